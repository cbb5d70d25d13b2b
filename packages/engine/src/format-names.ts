import { FORMAT_NUMBERS } from '@instar/shared-abi';

/** Every format that is known, also those that are only recognised. */
export const FORMAT_NAMES = Object.keys(FORMAT_NUMBERS);

/** Name of a format number; `unknown` for a number that no format has. */
export function formatName(number: number): string {
  return Object.entries(FORMAT_NUMBERS).find(([, value]) => value === number)?.[0] ?? 'unknown';
}

/** Whether a name is that of a known format. */
export function isKnownFormat(name: string): boolean {
  return Object.hasOwn(FORMAT_NUMBERS, name);
}

/** Number of a known format's name. */
export function formatNumber(name: string): number | undefined {
  return isKnownFormat(name) ? FORMAT_NUMBERS[name] : undefined;
}
