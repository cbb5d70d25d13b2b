import { EngineError, quoteName } from '@instar/engine';
import { splitOptions } from './option-list.js';

/** An image as `--image-opts` describes it. */
export interface DescribedImage {
  readonly file: string;
  readonly format: string | undefined;
  /** Id of the secret that it is encrypted with. */
  readonly secret: string | undefined;
}

const NAMES = {
  driver: 'format',
  'file.filename': 'file',
  filename: 'file',
  'file.driver': 'protocol',
  'key-secret': 'secret',
  'encrypt.key-secret': 'secret',
  'encrypt.format': 'encryption',
} as const;

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', `--image-opts: ${what}`);
}

/**
 * Reads `driver=luks,key-secret=NAME,file.filename=FILE`: a file and its format. What else qemu-img can open is refused.
 * @throws EngineError `INVALID_OPTION`
 */
export function parseImageOptions(text: string): DescribedImage {
  const found = new Map<string, string>();
  for (const { key, value } of splitOptions(text)) {
    const name = Object.hasOwn(NAMES, key) ? NAMES[key as keyof typeof NAMES] : undefined;
    if (name === undefined || value === undefined) {
      throw invalid(`${quoteName(key)} is not offered; it takes ${Object.keys(NAMES).join(', ')}`);
    }
    found.set(name, value);
  }
  const protocol = found.get('protocol') ?? 'file';
  if (protocol !== 'file') throw invalid(`file.driver=${quoteName(protocol)} is not offered: images are files`);
  const file = found.get('file');
  if (file === undefined || file === '') throw invalid('file.filename=FILE is missing');
  return { file, format: found.get('format'), secret: found.get('secret') };
}
