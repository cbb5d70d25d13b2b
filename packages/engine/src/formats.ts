import {
  IMAGE_FORMAT,
  PACKED_FORMATS,
  READABLE_FORMATS,
  WRITABLE_FORMATS,
  type WritableFormat,
} from '@instar/shared-abi';
import { EngineError } from './errors.js';
import { escapeText } from '@instar/host-files';
import { FORMAT_NAMES, formatNumber } from './format-names.js';

const { PROBE } = IMAGE_FORMAT.values;

export { READABLE_FORMATS, WRITABLE_FORMATS, type WritableFormat };

/** What `convert` writes: images, and an appliance in one file with an image inside. */
export const CONVERT_FORMATS = [...WRITABLE_FORMATS, 'ova'] as const;
/** One of them. */
export type ConvertFormat = (typeof CONVERT_FORMATS)[number];

/**
 * The number of an input format that the user forced.
 * @throws EngineError `UNSUPPORTED_FORMAT`
 */
export function forcedFormat(name: string | undefined, file: string): number {
  if (name === undefined) return PROBE;
  const number = formatNumber(name);
  if (number === undefined) {
    throw new EngineError('UNSUPPORTED_FORMAT', `unknown format '${escapeText(name)}'; known are ${known()}`, { file });
  }
  if (!isReadable(name)) {
    throw new EngineError(
      'UNSUPPORTED_FORMAT',
      `images of format ${name} are not read yet; ${listed(READABLE_FORMATS)} are`,
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
    throw new EngineError(
      'UNSUPPORTED_FORMAT',
      `unknown output format '${escapeText(name)}'; written are ${listed(WRITABLE_FORMATS)}`,
      {
        file,
      },
    );
  }
  if (!(WRITABLE_FORMATS as readonly string[]).includes(name)) {
    throw new EngineError(
      'UNSUPPORTED_FORMAT',
      `images of format ${name} are not written yet; ${listed(WRITABLE_FORMATS)} are`,
      { file },
    );
  }
  return number;
}

/** Names in a sentence: `a, b and c`. */
export function listed(names: readonly string[]): string {
  return [names.slice(0, -1).join(', '), ...names.slice(-1)].filter((part) => part !== '').join(' and ');
}

/** Whether images of a format can be read. */
export function isReadable(name: string): boolean {
  return (READABLE_FORMATS as readonly string[]).includes(name);
}

/** Whether a format is that of a raw disk which was packed as a whole. */
export function isPacked(name: string): boolean {
  return PACKED_FORMATS.includes(name);
}

function known(): string {
  return FORMAT_NAMES.join(', ');
}
