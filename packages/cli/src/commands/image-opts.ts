import { EngineError, quoteName } from '@instar/engine';
import { splitOptions, type ListedOption } from './option-list.js';

/** An image as `--image-opts` describes it. */
export interface DescribedImage {
  readonly file: string;
  readonly format: string | undefined;
  /** Ids of the secrets that it, and what lies below it, is encrypted with. */
  readonly secrets: readonly string[];
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

/** The secret of an image below. */
const SECRET_BELOW = /^(?:backing\.)+(?:encrypt\.)?key-secret$/;

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', `--image-opts: ${what}`);
}

/**
 * Reads `driver=luks,key-secret=NAME,file.filename=FILE`: a file and its format. What else qemu-img can open is refused.
 * @throws EngineError `INVALID_OPTION`
 */
export function parseImageOptions(text: string): DescribedImage {
  return describedBy(splitOptions(text));
}

/**
 * An image as an operand names it: by options, by `json:{…}` with the same keys, or by its file.
 * @throws EngineError `INVALID_OPTION`
 */
export function describeImage(text: string, byOptions: boolean): DescribedImage {
  if (text.startsWith('json:')) return describedBy(flattened(parsedJson(text.slice('json:'.length))));
  return byOptions ? parseImageOptions(text) : { file: text, format: undefined, secrets: [] };
}

/**
 * The file that a name of qemu-img's means: `file:` in front of it is taken away, any other protocol is refused.
 * @throws EngineError `INVALID_OPTION`
 */
export function withoutProtocol(name: string): string {
  const [before, protocol] = /^([a-z][a-z0-9+._-]*):/i.exec(name) ?? ['', undefined];
  if (protocol === undefined || protocol === 'json') return name;
  if (protocol === 'file') return name.slice(before.length);
  throw new EngineError(
    'INVALID_OPTION',
    `Unknown protocol ${quoteName(protocol)}: images are files; write ./ in front`,
  );
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new EngineError('INVALID_OPTION', `${quoteName(`json:${text}`)} is no JSON`);
  }
}

/** `{"file": {"filename": "x"}}` as `file.filename=x`. */
function flattened(value: unknown, path = ''): readonly ListedOption[] {
  if (typeof value !== 'object' || value === null) return [{ key: path, value: String(value) }];
  return Object.entries(value).flatMap(([key, item]) => flattened(item, path === '' ? key : `${path}.${key}`));
}

function describedBy(options: readonly ListedOption[]): DescribedImage {
  const found = new Map<string, string>();
  const below: string[] = [];
  for (const { key, value } of options) {
    if (SECRET_BELOW.test(key) && value !== undefined) {
      below.push(value);
      continue;
    }
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
  const own = found.get('secret');
  return { file, format: found.get('format'), secrets: [...(own === undefined ? [] : [own]), ...below] };
}
