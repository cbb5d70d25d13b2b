import { createRequire } from 'node:module';
import { runInNewContext } from 'node:vm';

// The reference compiler writes a program, which reads with the runtime of the same people. Neither is shipped.
const load = createRequire(import.meta.url);

interface Compiler {
  compile(language: string, document: unknown, importer: unknown, debug: boolean): Promise<Record<string, string>>;
}

type Parsed = Readonly<Record<string, unknown>>;

/** The name that the JavaScript of the reference compiler gives to a field. */
export function camelCase(name: string): string {
  const stem = name.replace(/^_/, '');
  return (
    (name.startsWith('_') ? '_' : '') + stem.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
  );
}

/** Compiles a specification; the result reads a file, or throws. */
export async function referenceReader(document: {
  readonly meta: Readonly<Record<string, unknown>>;
}): Promise<(bytes: Uint8Array) => Parsed> {
  const id = String(document.meta['id']);
  const compiler = load('kaitai-struct-compiler') as Compiler;
  const files = await compiler.compile('javascript', document, undefined, false);
  const [program = ''] = Object.values(files);
  const KaitaiStream = load('kaitai-struct/KaitaiStream') as new (bytes: Uint8Array) => unknown;
  const name = id.charAt(0).toUpperCase() + camelCase(id).slice(1);
  const exported: Record<string, unknown> = {};
  const context = { exports: exported, require: () => KaitaiStream, Uint8Array };
  runInNewContext(program, context);
  const found = exported[name] as Record<string, unknown> | (new (stream: unknown) => Parsed);
  const Root = (typeof found === 'function' ? found : found[name]) as new (stream: unknown) => Parsed;
  return (bytes) => new Root(new KaitaiStream(Uint8Array.from(bytes)));
}

/** What is no UTF-8 is kept here, and replaced there. */
const replaced = (text: string): string => text.replaceAll(/[\udc80-\udcff\ufffd]+/gu, '\ufffd');

/**
 * What of a value the reference compiler's has too, in the same form: names as it writes them, numbers, bytes as arrays,
 * the value of a choice alone.
 */
export function inReferenceForm(mine: unknown, theirs: unknown): readonly [mine: unknown, theirs: unknown] {
  if (typeof mine === 'bigint' || typeof mine === 'number') return [Number(mine), Number(theirs)];
  if (typeof mine === 'string') return [replaced(mine), replaced(String(theirs))];
  if (mine instanceof Uint8Array) return [[...mine], theirs === undefined ? [] : [...(theirs as Uint8Array)]];
  if (Array.isArray(mine)) {
    const list = theirs as readonly unknown[];
    const pairs = mine.map((item: unknown, index) => inReferenceForm(item, list[index]));
    return [pairs.map(([one]) => one), [...pairs.map(([, other]) => other), ...list.slice(mine.length)]];
  }
  if (typeof mine !== 'object' || mine === null) return [mine, theirs];
  if ('arm' in mine && 'value' in mine) return inReferenceForm(mine.value, theirs);
  const other = theirs as Parsed;
  const pairs = Object.entries(mine)
    .filter(([name]) => !name.endsWith('_rest'))
    .map(([name, value]) => [name, inReferenceForm(value, other[camelCase(name)])] as const);
  return [
    Object.fromEntries(pairs.map(([name, [one]]) => [name, one])),
    Object.fromEntries(pairs.map(([name, [, two]]) => [name, two])),
  ];
}
