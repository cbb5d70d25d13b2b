import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve as resolvePath } from 'node:path';
import { TARGETS, type Target } from '../layout/target.js';
import { readAssembly, type Assembly } from './assembly.js';
import { sizeOf, TypeReader, type CRecord, type CType } from './c-types.js';
import { Describer } from './describe.js';
import { readUnit } from './dwarf.js';
import { ExtractError } from './errors.js';
import { extracted, type Extraction } from './extract.js';
import { firstMessage, run } from './run.js';

/** Which Rust types to ask about. */
export interface ExtractRustOptions {
  /** A file that stands for itself: its modules may be beside it, other crates may not be needed. */
  readonly file?: string;
  /** Or its text. */
  readonly source?: string;
  /** Types as the file's root module writes them: `Foo`, `wire::Header`, `Pair<u8, u16>`. */
  readonly types: readonly string[];
  /** By default `rustc`. */
  readonly compiler?: string;
  /** A target triple whose core library is installed; by default this machine. */
  readonly target?: string;
  readonly edition?: '2018' | '2021' | '2024';
  readonly signal?: AbortSignal;
}

const TYPE_PATH = /^[A-Za-z_]\w*(::[A-Za-z_]\w*)*(<[\w\s,:<>]*>)?$/;

/**
 * Asks rustc how it lays types out, without running what it compiles. Names and positions come from the debug information
 * of `--emit asm`; `size_of`, `align_of` and `offset_of!` in the initialised data of the same file confirm them. Elements
 * of arrays and fields of enumerations with data are not looked into.
 * @throws ExtractError with a code that says what went wrong.
 */
export async function extractRust(options: ExtractRustOptions): Promise<Extraction> {
  const { compiler = 'rustc', types, signal, edition = '2021' } = options;
  const wrong = types.find((name) => !TYPE_PATH.test(name));
  if (types.length === 0 || wrong !== undefined) {
    throw new ExtractError(
      'EXTRACT_REQUEST',
      `found ${wrong ?? 'no type'}, expected types such as "Foo" or "wire::Header"`,
    );
  }
  const text = textOf(options);
  const target = await targetOf(compiler, options.target, signal);
  const assemble = async (probe: string): Promise<Assembly> => {
    const folder = mkdtempSync(join(tmpdir(), 'instar-extract-'));
    try {
      const out = join(folder, 'probe.s');
      const flags = [
        '--crate-type',
        'lib',
        '--crate-name',
        'instar_probe',
        '--edition',
        edition,
        '--cap-lints',
        'allow',
      ];
      const debug = ['-C', 'debuginfo=2', '-C', 'opt-level=0', '-C', 'codegen-units=1', '--emit', 'asm', '-o', out];
      const triple = options.target === undefined ? [] : ['--target', options.target];
      const directory = options.file === undefined ? folder : dirname(resolvePath(options.file));
      const { status, stderr } = await run(compiler, [...flags, ...debug, ...triple, '-'], probe, signal, directory);
      if (status !== 0) throw failure(compiler, stderr, types);
      return readAssembly(readFileSync(out, 'utf8'), target);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  const first = await assemble(
    [text, ...types.map((name, index) => `pub fn instar_${index}(_: &${name}) {}`), ''].join('\n'),
  );
  const reader = new TypeReader(readUnit(first), target);
  const found = types.map((name, index) => [name, reader.referent(`instar_${index}`)] as const);
  const questions = found.flatMap(([name, type]) => questionsAbout(name, type, reader.aligns.get(type)));
  const probe = (asked: readonly Question[]): string =>
    [
      text,
      'const fn instar_size<T, F>(_: fn(T) -> F) -> u64 { core::mem::size_of::<F>() as u64 }',
      `#[used] pub static INSTAR_NUMBERS: [u64; ${asked.length}] = [`,
      ...asked.map((item) => `    ${item.expression},`),
      '];',
      '',
    ].join('\n');
  // A field cannot be moved out of a type that is dropped: such sizes are left to the offsets around them.
  const certain = questions.filter((item) => !item.mayFail);
  const [asked, second] = await assemble(probe(questions)).then(
    (assembly) => [questions, assembly] as const,
    async (error: unknown) => {
      if (error instanceof ExtractError && error.code === 'EXTRACT_COMPILER_FAILED') {
        return [certain, await assemble(probe(certain))] as const;
      }
      throw error;
    },
  );
  check(asked, second, (about, answer) => {
    for (const [name, type] of found) if (about === alignQuestion(name)) reader.aligns.set(type, answer);
  });
  const describer = new Describer(target, reader.aligns);
  return {
    compiler,
    target: target.name,
    constants: [],
    types: found.map(([name, type]) => extracted(name, type, reader.aligns, describer)),
  };
}

function textOf({ file, source }: ExtractRustOptions): string {
  if (source !== undefined) return source;
  if (file === undefined) throw new ExtractError('EXTRACT_REQUEST', 'found neither a file nor a source, expected one');
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ExtractError('EXTRACT_REQUEST', `${file} cannot be read`, { cause });
  }
}

async function targetOf(
  compiler: string,
  triple: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Target> {
  let named = triple;
  if (named === undefined) {
    const { stdout } = await run(compiler, ['-vV'], '', signal);
    named = /^host: (\S+)$/m.exec(stdout)?.[1] ?? '';
  }
  const machine = named.split('-')[0] ?? '';
  const name = /^i[3-6]86$/.test(machine) ? 'i386' : machine;
  const target = TARGETS.find((item) => item.name === name);
  if (target !== undefined) return target;
  throw new ExtractError(
    'EXTRACT_REQUEST',
    `found the target ${named}, expected one of ${TARGETS.map((t) => t.name).join(', ')}`,
  );
}

function failure(compiler: string, stderr: string, types: readonly string[]): ExtractError {
  const message = `${compiler}: ${firstMessage(stderr)}`;
  // E0412, E0425, E0433: a name that cannot be found.
  const [, missing = ''] = /^error\[E04(?:12|25|33)\]: [^`]*`(\w+)`/m.exec(stderr) ?? [];
  const isAsked = types.some((name) => name.split(/\W+/).includes(missing));
  return new ExtractError(missing !== '' && isAsked ? 'EXTRACT_UNKNOWN_TYPE' : 'EXTRACT_COMPILER_FAILED', message);
}

interface Question {
  readonly about: string;
  readonly expression: string;
  /** Undefined where the debug information says nothing, as of the alignment of enumerations. */
  readonly expected: number | undefined;
  readonly mayFail: boolean;
}

function alignQuestion(name: string): string {
  return `align_of::<${name}>()`;
}

function questionsAbout(name: string, type: CType, align: number | undefined): Question[] {
  const ask = (about: string, expression: string, expected: number | undefined, mayFail = false): Question => ({
    about,
    expression,
    expected,
    mayFail,
  });
  const list = [ask(`size_of::<${name}>()`, `core::mem::size_of::<${name}>() as u64`, sizeOf(type))];
  list.push(ask(alignQuestion(name), `core::mem::align_of::<${name}>() as u64`, align));
  if (type.kind === 'enum') {
    for (const [constant, value] of type.values) {
      list.push(ask(`${name}::${constant}`, `${name}::${constant} as u64`, Number(BigInt.asUintN(64, value))));
    }
  }
  const visit = (record: CRecord, path: string, base: number): void => {
    for (const field of record.fields) {
      // Fields of a tuple are numbers in Rust and `__0` in its debug information.
      const plain = field.name ?? '';
      const own = /^__\d+$/.test(plain) ? plain.slice(2) : `r#${plain}`;
      const inner = path === '' ? own : `${path}.${own}`;
      const bit = base + field.bit;
      list.push(ask(`offset_of!(${name}, ${inner})`, `core::mem::offset_of!(${name}, ${inner}) as u64`, bit / 8));
      if (type.kind === 'struct') {
        list.push(ask(`size of ${name}.${inner}`, `instar_size(|v: ${name}| v.${inner})`, sizeOf(field.type), true));
      }
      // A wide pointer and the like are structs to the debug information only.
      const isOwn = 'fields' in field.type && !/^[&*(]|^(alloc|core|std)::|</.test(field.type.name ?? '');
      if ('fields' in field.type && field.type.kind === 'struct' && isOwn) visit(field.type, inner, bit);
    }
  };
  if ('fields' in type) visit(type, '', 0);
  return list;
}

function check(asked: readonly Question[], assembly: Assembly, learn: (about: string, answer: number) => void): void {
  const label = assembly.labels.find((name) => name.includes('INSTAR_NUMBERS'));
  const bytes = assembly.object(label ?? 'INSTAR_NUMBERS', asked.length * 8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [index, { about, expected }] of asked.entries()) {
    const answer = view.getBigUint64(index * 8, assembly.endian === 'little');
    if (expected === undefined) learn(about, Number(answer));
    if (expected === undefined || answer === BigInt(expected)) continue;
    throw new ExtractError(
      'EXTRACT_CONTRADICTION',
      `${about}: the debug information says ${expected}, the initialised data ${answer}`,
    );
  }
}
