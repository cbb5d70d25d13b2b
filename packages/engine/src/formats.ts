import { IMAGE_FORMAT } from '@instar/shared-abi';
import { EngineError } from './errors.js';
import { escapeText } from './escape.js';
import { FORMAT_NAMES, formatNumber } from './format-names.js';

const { PROBE } = IMAGE_FORMAT.values;

/** Formats that can be read. */
export const READABLE_FORMATS = ['raw', 'qcow2'] as const;
/** Formats that can be written. */
export const WRITABLE_FORMATS = ['raw', 'qcow2'] as const;
/** A format that can be written. */
export type WritableFormat = (typeof WRITABLE_FORMATS)[number];

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
  return FORMAT_NAMES.join(', ');
}
