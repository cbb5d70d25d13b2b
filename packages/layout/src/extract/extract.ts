import type { Type } from '../layout/types.js';
import { readAssembly } from './assembly.js';
import { sizeOf, TypeReader, type CField, type CType } from './c-types.js';
import { constantNames, readConstant, type ExtractedConstant } from './constants.js';
import { compilerFor, type Compiler, type CompilerOptions } from './compiler.js';
import { confirm, type Alignments } from './confirm.js';
import { Describer } from './describe.js';
import { readUnit } from './dwarf.js';
import { ExtractError } from './errors.js';
import { markFullWidth } from './full-width.js';

/** What to ask about. */
export interface ExtractOptions extends CompilerOptions {
  /** Types as C writes them: `struct foo`, `bar_t`, `enum baz`. */
  readonly types: readonly string[];
}

/** A field as the compiler lays it out. */
export interface ExtractedField {
  /** C's name; null for an anonymous struct or union. */
  readonly name: string | null;
  /** C's name of the type; of an array that of its elements. */
  readonly type: string;
  readonly kind: Exclude<CType['kind'], 'array'>;
  /** Bits from the start of the struct around it: of a bit field, the end that the byte order says. */
  readonly bitOffset: number;
  readonly bitWidth: number;
  readonly bitField: boolean;
  /** Of integers and enumerations. */
  readonly signed?: boolean;
  /** Elements of an array, one number for each dimension; 0 for a flexible array. */
  readonly counts?: readonly number[];
  /** Of a struct or union. */
  readonly fields?: readonly ExtractedField[];
}

/** A type as the compiler lays it out. Bytes, unless a name says bits. */
export interface ExtractedType {
  /** As it was asked for. */
  readonly name: string;
  readonly kind: CType['kind'];
  readonly size: number;
  readonly align: number;
  readonly signed?: boolean;
  readonly counts?: readonly number[];
  readonly fields?: readonly ExtractedField[];
  /** Of an enumeration; values that a double cannot hold are decimal strings. */
  readonly values?: readonly { readonly name: string; readonly value: number | string }[];
  /** The same in the layout language: resolved for the same target, it gives the same numbers. */
  readonly layout: Type;
}

/** What a compiler answered: plain data, ready for `JSON.stringify`. */
export interface Extraction {
  readonly compiler: string;
  readonly target: string;
  readonly types: readonly ExtractedType[];
  /** What was asked for and is not a type: macros and enumerators. */
  readonly constants: readonly ExtractedConstant[];
}

/** Names of C, and of C++ with scopes and arguments of templates. */
const TYPE_NAME =
  /^((struct|union|enum|class)\s+)?(::)?[A-Za-z_]\w*(::[A-Za-z_]\w*)*(<[\w\s,:<>*]*>)?$|^(unsigned|signed|long|short|int|char|double|\s)+$/;

/**
 * Asks a real compiler how it lays types out, without running what it compiles. Names, types and positions come from the
 * debug information in its assembly; a second probe confirms every number by initialised data.
 * @throws ExtractError with a code that says what went wrong: {@link ExtractErrorCode}.
 */
export async function extract(options: ExtractOptions): Promise<Extraction> {
  if (options.types.length === 0) throw new ExtractError('EXTRACT_REQUEST', 'found no type, expected at least one');
  for (const name of options.types) {
    if (TYPE_NAME.test(name)) continue;
    throw new ExtractError('EXTRACT_REQUEST', `found ${JSON.stringify(name)}, expected a type such as "struct foo"`);
  }
  const compiler = compilerFor(options);
  const ask = (names: readonly string[]): Promise<string> => {
    // A class of C++ may have no constructor without arguments: a pointer to it needs none.
    const declare = (name: string, index: number): string =>
      compiler.isPlusPlus
        ? `${name} *instar_${index}; static_assert(sizeof(${name}) > 0, "");`
        : `${name} instar_${index};`;
    return compiler.assembly(`${names.map(declare).join('\n')}\n`, compiler.debugFlags);
  };
  let names = options.types;
  const constants: ExtractedConstant[] = [];
  const text = await ask(names).catch(async (error: unknown) => {
    if (!(error instanceof ExtractError) || error.code !== 'EXTRACT_COMPILER_FAILED') throw error;
    const values = await constantNames(compiler, names);
    if (values.length === 0) throw await explain(error, compiler, names);
    names = names.filter((name) => !values.includes(name));
    for (const name of values) constants.push(await readConstant(compiler, name));
    if (names.length === 0) return undefined;
    return ask(names).catch(async (again: unknown) => Promise.reject((await explain(again, compiler, names)) as Error));
  });
  const found = { compiler: compiler.program, target: compiler.target.name, constants };
  if (text === undefined) return { ...found, types: [] };
  const reader = new TypeReader(readUnit(readAssembly(text, compiler.target)), compiler.target);
  const types = names.map((name, index) => {
    const variable = `instar_${index}`;
    return [name, compiler.isPlusPlus ? reader.pointed(variable) : reader.variable(variable)] as const;
  });
  if (compiler.isClang) await markFullWidth(compiler, types);
  const aligns = await confirm(compiler, types);
  const describer = new Describer(compiler.target, aligns);
  return { ...found, types: types.map(([name, type]) => extracted(name, type, aligns, describer)) };
}

/** Finds out whether the header or one of the names is to blame. */
async function explain(error: unknown, compiler: Compiler, names: readonly string[]): Promise<unknown> {
  if (!(error instanceof ExtractError) || error.code !== 'EXTRACT_COMPILER_FAILED') return error;
  try {
    // What is wrong with the header alone is said with its own lines.
    await compiler.assembly('\n', []);
  } catch (ofHeader) {
    return ofHeader;
  }
  for (const name of names) {
    if (await compiler.accepts(`${name} instar_0;\n`)) continue;
    return new ExtractError('EXTRACT_UNKNOWN_TYPE', `${name} is unknown or has no size (${error.message})`, {
      cause: error,
    });
  }
  return error;
}

/** Puts what is known of a type into the form that callers get. */
export function extracted(name: string, type: CType, aligns: Alignments, describer: Describer): ExtractedType {
  const [element, counts] = elementOf(type);
  const layout = describer.describe(type, name.replace(/^(struct|union|enum|class)\s+/, '').replace(/^.*::/, ''));
  return {
    name,
    kind: type.kind,
    size: sizeOf(type),
    align: aligns.get(element) ?? 1,
    ...(counts.length === 0 ? {} : { counts }),
    ...('signed' in element && hasSign(element) ? { signed: element.signed } : {}),
    ...('fields' in element ? { fields: element.fields.map(fieldOf) } : {}),
    ...(element.kind === 'enum'
      ? { values: element.values.map(([key, value]) => ({ name: key, value: plain(value) })) }
      : {}),
    layout,
  };
}

function plain(value: bigint): number | string {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
}

function hasSign(type: CType): boolean {
  return type.kind === 'integer' || type.kind === 'enum';
}

function elementOf(type: CType): readonly [Exclude<CType, { readonly kind: 'array' }>, readonly number[]] {
  const counts: number[] = [];
  let element = type;
  while (element.kind === 'array') {
    counts.push(element.count);
    element = element.element;
  }
  return [element, counts];
}

function fieldOf(field: CField): ExtractedField {
  const [element, counts] = elementOf(field.type);
  const name =
    element.kind === 'struct' || element.kind === 'union' ? `${element.kind} ${element.name ?? ''}`.trim() : '';
  return {
    name: field.name ?? null,
    type: name === '' && element.name !== undefined ? element.name : name,
    kind: element.kind,
    bitOffset: field.bit,
    bitWidth: field.width ?? sizeOf(field.type) * 8,
    bitField: field.width !== undefined,
    ...('signed' in element && hasSign(element) ? { signed: element.signed } : {}),
    ...(counts.length === 0 ? {} : { counts }),
    ...('fields' in element ? { fields: element.fields.map(fieldOf) } : {}),
  };
}
