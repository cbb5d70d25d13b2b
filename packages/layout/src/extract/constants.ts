import { readAssembly, type Assembly } from './assembly.js';
import { TypeReader } from './c-types.js';
import type { Compiler } from './compiler.js';
import { readUnit } from './dwarf.js';
import { ExtractError } from './errors.js';

/** The value of a macro or of an enumerator, as the compiler works it out. */
export interface ExtractedConstant {
  readonly name: string;
  /** How C calls its type. */
  readonly type: string;
  /** Bytes. */
  readonly size: number;
  /** An integer as `bigint`, a floating-point number as `number`, a string without its end. */
  readonly value: bigint | number | string;
}

/** What a macro or an enumerator may be called. */
const NAME = /^(::)?[A-Za-z_]\w*(::[A-Za-z_]\w*)*$/;

/** The names that are no types, but that stand for values. */
export async function constantNames(compiler: Compiler, names: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const name of names) {
    if (!NAME.test(name) || (await compiler.accepts(`typedef ${name} instar_0;\n`))) continue;
    if (await compiler.accepts(`__typeof__((${name})) instar_0;\n`)) found.push(name);
  }
  return found;
}

/**
 * Asks a compiler for the values of constant expressions, by initialised data.
 * @throws ExtractError `EXTRACT_UNSUPPORTED` for what is neither a number nor a string.
 */
export async function readConstant(compiler: Compiler, name: string): Promise<ExtractedConstant> {
  // A bit-wise or takes integers only; what it refuses is asked for as a number, then as a string.
  const whole = await tryReading(compiler, name, 'unsigned long long', `(unsigned long long)((${name}) | 0)`);
  const isWhole = whole ?? (await tryReading(compiler, name, 'unsigned long long', scopedEnumerator(compiler, name)));
  if (isWhole !== undefined) {
    const { type, bytes, view, little } = isWhole;
    const bits = view(bytes(8)).getBigUint64(0, little);
    const signed = 'signed' in type && type.signed;
    const size = type.kind === 'array' ? 0 : type.size;
    const value = signed ? BigInt.asIntN(64, bits) : BigInt.asUintN(size * 8, bits);
    return { name, type: nameOf(type), size, value };
  }
  const real = await tryReading(compiler, name, 'double', `(${name}) * 1.0`);
  if (real !== undefined) {
    const { type, bytes, view, little } = real;
    return {
      name,
      type: nameOf(type),
      size: type.kind === 'array' ? 0 : type.size,
      value: view(bytes(8)).getFloat64(0, little),
    };
  }
  const words = await tryReading(compiler, name, 'char', name, '[]');
  if (words?.type.kind === 'array') {
    const value = new TextDecoder().decode(words.bytes(words.type.count)).replace(/\0$/, '');
    return { name, type: 'char', size: words.type.count, value };
  }
  throw new ExtractError(
    'EXTRACT_UNSUPPORTED',
    `${name} stands for neither a constant number nor a string, expected a type, a macro with a value, or an enumerator`,
  );
}

/** An enumerator of C++ that has a scope of its own is not an integer before it is cast. */
function scopedEnumerator(compiler: Compiler, name: string): string | undefined {
  return compiler.isPlusPlus ? `(unsigned long long)(__underlying_type(__typeof__((${name}))))(${name})` : undefined;
}

interface Reading {
  readonly type: ReturnType<TypeReader['variable']>;
  readonly bytes: (count: number) => Uint8Array;
  readonly view: (bytes: Uint8Array) => DataView;
  readonly little: boolean;
}

async function tryReading(
  compiler: Compiler,
  name: string,
  type: string,
  value: string | undefined,
  suffix = '',
): Promise<Reading | undefined> {
  if (value === undefined) return undefined;
  const own = `__typeof__((${name})) *instar_0;\n`;
  const object = `extern "C" { extern const ${type} instar_value${suffix}; const ${type} instar_value${suffix} = ${value}; }\n`;
  let assembly: Assembly;
  try {
    const source = compiler.isPlusPlus ? own + object : `${own}const ${type} instar_value${suffix} = ${value};\n`;
    assembly = readAssembly(await compiler.assembly(source, compiler.debugFlags), compiler.target);
  } catch (error) {
    if (error instanceof ExtractError && error.code === 'EXTRACT_COMPILER_FAILED') return undefined;
    throw error;
  }
  return {
    type: new TypeReader(readUnit(assembly), compiler.target).pointed('instar_0'),
    bytes: (count) => assembly.object('instar_value', count),
    view: (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    little: assembly.endian === 'little',
  };
}

function nameOf(type: Reading['type']): string {
  return 'name' in type ? (type.name ?? '') : '';
}
