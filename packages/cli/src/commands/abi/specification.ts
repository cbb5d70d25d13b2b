import { escapeText, EngineError } from '@instar/engine';
import { byteSize, codec, LayoutError, resolve, x86_64, type Endian, type Type } from '@instar/layout';
import { isNamed, type NamedDescription } from '@instar/layout/emit';
import { importKsy, type KaitaiImport } from '@instar/layout/kaitai';
import { isMap, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import { valueJson } from '../../render/field-dump.js';
import { recordText } from '../../render/record.js';
import { placeOf, readBytes, usageError, type Source } from './source.js';

/** More than any specification has (bytes). */
const MOST_SPECIFICATION = 4 << 20;
/** What a dump is good for (bytes). */
const MOST_BYTES = 256 * 1024 * 1024;
/** Anchors that stand for others may be many times as much. */
const MOST_ALIASES = 100;

/** Whether a file describes types in Kaitai's language, by its name. */
export function isSpecification(file: string | undefined): file is string {
  return file !== undefined && /\.ksy(?:\.json)?$/.test(file);
}

/** What the first error of a document is, and where. @throws EngineError */
function refuseMistakes(document: Document, lines: LineCounter, file: string): void {
  const [error] = document.errors;
  if (error === undefined) return;
  const { line, col } = lines.linePos(error.pos[0]);
  const what = escapeText(error.message.split('\n')[0] ?? '');
  throw new EngineError('INVALID_OPTION', `is no YAML: line ${line}, column ${col}: ${what}`, { file });
}

/**
 * Reads a specification in Kaitai's language.
 * @throws EngineError where it cannot be read, is no YAML, or has what is not taken
 */
async function readSpecification(file: string): Promise<KaitaiImport & { readonly id: string }> {
  const bytes = await readBytes(file, 0, MOST_SPECIFICATION + 1);
  if (bytes.length > MOST_SPECIFICATION) {
    throw new EngineError('INVALID_OPTION', `has more than ${MOST_SPECIFICATION} bytes`, { file });
  }
  const lines = new LineCounter();
  const document = parseDocument(bytes.toString('utf8'), { lineCounter: lines, prettyErrors: false });
  refuseMistakes(document, lines, file);
  const meta = isMap(document.contents) ? document.contents.get('meta') : undefined;
  const id = isMap(meta) ? meta.get('id') : undefined;
  try {
    const name = isScalar(id) ? id.value : id;
    return { ...importKsy(document.toJS({ maxAliasCount: MOST_ALIASES })), id: typeof name === 'string' ? name : '' };
  } catch (error) {
    if (error instanceof LayoutError) throw new EngineError('INVALID_OPTION', escapeText(error.message), { file });
    // Too many aliases, of which the parser says so itself.
    if (error instanceof ReferenceError) throw new EngineError('INVALID_OPTION', escapeText(error.message), { file });
    throw error;
  }
}

/** A note on what of a specification is not taken; nothing where all is. */
function noteOn(leftOut: readonly string[]): string | undefined {
  if (leftOut.length === 0) return undefined;
  return `left out, since they are worked out from others: ${leftOut.map((name) => escapeText(name)).join(', ')}`;
}

/** Types of a specification, that of a whole file last, and what their names are as words of a command line. */
export interface SpecifiedSource extends Source {
  /** The name of the type for `.`, the specification's `id`, or a name as the specification has it (`id::type`). */
  readonly nameOf: (word: string) => string;
}

/**
 * Reads the types of a specification, to be written in other languages or shown.
 * @throws EngineError
 */
export async function specifiedSource(file: string, onNote: (note: string) => void): Promise<SpecifiedSource> {
  const { root, types, leftOut, id } = await readSpecification(file);
  const named = new Map<string, NamedDescription>();
  for (const [name, type] of types) if (isNamed(type)) named.set(name, type);
  const whole = [...named.values()].find((type) => type === root);
  if (whole === undefined) throw new EngineError('INVALID_OPTION', 'describes no file', { file });
  const note = noteOn(leftOut);
  if (note !== undefined) onNote(note);
  return {
    unit: {
      title: id,
      regions: [],
      constants: [],
      sets: [],
      types: [...[...named.values()].filter((type) => type !== whole), whole],
    },
    fingerprint: undefined,
    nameOf: (word) => (word === '.' || word === id ? whole : named.get(word))?.name ?? word,
  };
}

/** A value as indented lines. */
function* linesOf(value: unknown, indent = ''): Generator<string> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* entry(`[${index}]`, item, indent);
    return;
  }
  for (const [name, item] of Object.entries(value as object)) yield* entry(escapeText(name), item, indent);
}

/** Bytes of a field that are shown. */
const MOST_SHOWN = 32;

function* entry(name: string, value: unknown, indent: string): Generator<string> {
  if (value instanceof Uint8Array) {
    const hex = Buffer.from(value.subarray(0, MOST_SHOWN)).toString('hex');
    const rest = value.length > MOST_SHOWN ? `… (${value.length} bytes)` : '';
    yield `${indent}${name}: ${hex}${rest}`;
  } else if (typeof value === 'object' && value !== null) {
    yield `${indent}${name}:`;
    yield* linesOf(value, `${indent}  `);
  } else if (value !== undefined) {
    const text = typeof value === 'string' ? escapeText(value) : value;
    const shown = typeof text === 'bigint' ? text.toString() : JSON.stringify(text);
    yield `${indent}${name}: ${shown}`;
  }
}

/** How a value of a type of a specification is decoded. */
export interface SpecifiedFlags {
  readonly endian: Endian | undefined;
  readonly json: boolean;
  /** Told of what is not decoded. */
  readonly onNote: (note: string) => void;
}

/**
 * Decodes a type of a specification out of a file: a name, or `.` for what a whole file is.
 * @throws EngineError
 */
export async function decodeSpecified(
  from: string,
  wanted: string,
  word: string,
  { endian, json, onNote }: SpecifiedFlags,
): Promise<string> {
  const { root, types, leftOut, id } = await readSpecification(from);
  const type: Type | undefined = wanted === '.' || wanted === id ? root : types.get(wanted);
  if (type === undefined) {
    const names = ['.', ...types.keys()].map((name) => escapeText(name)).join(', ');
    throw usageError(`found no type ${escapeText(wanted)} in ${escapeText(from)}; there is ${names}`);
  }
  const { file, offset } = placeOf(word);
  const bytes = await readBytes(file, Number(offset), MOST_BYTES + 1);
  if (bytes.length > MOST_BYTES) throw new EngineError('INVALID_OPTION', `has more than ${MOST_BYTES} bytes`, { file });
  const target = endian === undefined ? x86_64 : { ...x86_64, endian };
  let value: unknown;
  try {
    const fixed =
      type.kind === 'variable' || (type.kind === 'struct' && type.variable === true)
        ? undefined
        : resolve(type, target);
    value = codec(type, target).decode(fixed === undefined ? bytes : bytes.subarray(0, byteSize(fixed)));
  } catch (error) {
    if (error instanceof LayoutError)
      throw new EngineError('READ_FAILED', escapeText(error.message), { file, cause: error });
    throw error;
  }
  const note = noteOn(leftOut);
  if (note !== undefined) onNote(note);
  if (json) return recordText({ type: wanted, file, offset, value: valueJson(value) });
  return [...linesOf(typeof value === 'object' && value !== null ? value : { value })]
    .map((line) => `${line}\n`)
    .join('');
}
