import { IMAGE_FORMAT } from '@instar/shared-abi';
import { EngineError } from './errors.js';
import { escapeText } from './escape.js';

const NUMBERS = IMAGE_FORMAT.values;

/** Formats by the name that qemu-img gives them. */
const BY_NAME: Readonly<Record<string, number>> = {
  raw: NUMBERS.RAW,
  qcow2: NUMBERS.QCOW2,
  vmdk: NUMBERS.VMDK,
  vdi: NUMBERS.VDI,
  vpc: NUMBERS.VPC,
  vhdx: NUMBERS.VHDX,
  qcow: NUMBERS.QCOW,
  qed: NUMBERS.QED,
  parallels: NUMBERS.PARALLELS,
  luks: NUMBERS.LUKS,
  bochs: NUMBERS.BOCHS,
  cloop: NUMBERS.CLOOP,
  dmg: NUMBERS.DMG,
  iso9660: NUMBERS.ISO,
};

/** Formats that can be read. */
export const READABLE_FORMATS = ['raw', 'qcow2'] as const;
/** Formats that can be written. */
export const WRITABLE_FORMATS = ['raw', 'qcow2'] as const;
/** A format that can be written. */
export type WritableFormat = (typeof WRITABLE_FORMATS)[number];

/** Name of a format number; `unknown` for a number that no format has. */
export function formatName(number: number): string {
  return Object.entries(BY_NAME).find(([, value]) => value === number)?.[0] ?? 'unknown';
}

/** Whether a name is that of a known format. */
export function isKnownFormat(name: string): boolean {
  return Object.hasOwn(BY_NAME, name);
}

/** Number of a known format's name. */
export function formatNumber(name: string): number | undefined {
  return isKnownFormat(name) ? BY_NAME[name] : undefined;
}

/**
 * The number of an input format that the user forced.
 * @throws EngineError `UNSUPPORTED_FORMAT`
 */
export function forcedFormat(name: string | undefined, file: string): number {
  if (name === undefined) return NUMBERS.PROBE;
  const number = formatNumber(name);
  if (number === undefined) {
    throw new EngineError('UNSUPPORTED_FORMAT', `unknown format '${escapeText(name)}'; known are ${known()}`, { file });
  }
  if (!(READABLE_FORMATS as readonly string[]).includes(name)) {
    throw new EngineError(
      'UNSUPPORTED_FORMAT',
      `images of format ${name} are not read yet; ${READABLE_FORMATS.join(' and ')} are`,
      { file },
    );
  }
  return number;
}

/**
 * The number of an output format.
 * @throws EngineError `UNSUPPORTED_FORMAT` for formats that are unknown or not written yet.
 */
export function outputFormat(name: string, file: string): number {
  const number = formatNumber(name);
  if (number === undefined) {
    throw new EngineError('UNSUPPORTED_FORMAT', `unknown output format '${escapeText(name)}'; known are ${known()}`, {
      file,
    });
  }
  if (!(WRITABLE_FORMATS as readonly string[]).includes(name)) {
    throw new EngineError(
      'UNSUPPORTED_FORMAT',
      `images of format ${name} are not written yet; ${WRITABLE_FORMATS.join(' and ')} are`,
      { file },
    );
  }
  return number;
}

function known(): string {
  return Object.keys(BY_NAME).join(', ');
}
