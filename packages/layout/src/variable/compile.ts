import type { Generator } from '../codec/generate.js';
import { make } from '../codec/runtime.js';
import { resolve } from '../layout/resolve.js';
import type { ResolvedType } from '../layout/resolved.js';
import type { Target } from '../layout/target.js';
import type { FieldDescription, StructDescription, Type, VariablePart } from '../layout/types.js';

// What the compilers of reading and of writing parts that vary have in common. Whatever the generated code finds wrong or
// odd, it throws BAIL: the interpreter then does it all again, and says where and what. So generated code may refuse more
// than the interpreter does, never less.

/** Thrown by generated code that leaves a value to the interpreter. */
export const BAIL = new Error('left to the interpreter');

/** Thrown while compiling: this type stays interpreted. */
export class NotCompiled extends Error {}

/** Types in types, and values in all, for which code is made; a type with more stays interpreted. */
const [MOST_DEPTH, MOST_VALUES] = [60, 3000];

export type Part<F extends VariablePart['form']> = Extract<VariablePart, { readonly form: F }>;

/** A number of a description, as code. */
export function numberCode(value: number | undefined): string {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new NotCompiled();
  return `${value}`;
}

/** A constant of a description, as code. */
export function constantCode(value: number | bigint): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (!Number.isSafeInteger(value)) throw new NotCompiled();
  return `${value}`;
}

/** A tag of a description, as code that a value of a type is compared with. */
export function tagCode(tag: bigint, isWide: boolean): string {
  if (typeof tag !== 'bigint') throw new NotCompiled();
  return isWide ? `${tag}n` : `${tag}`;
}

/** A check that a value is within its bounds. */
export function rangeCode({ type, least, most }: Part<'range'>, value: string): string {
  const code = (bound: bigint): string => tagCode(bound, type.bits > 32);
  return [
    ...(least === undefined ? [] : [`if(!(${value}>=${code(least)}))S();`]),
    ...(most === undefined ? [] : [`if(!(${value}<=${code(most)}))S();`]),
  ].join('');
}

/** A field of a description whose name may stand in code. */
export function nameCode(item: { readonly name: string }): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(item.name) || item.name in {}) throw new NotCompiled();
  return item.name;
}

export function isVariableStruct(type: Type): type is StructDescription {
  return type.kind === 'struct' && type.variable === true;
}

export function hasFixedSize(type: Type): boolean {
  return type.kind !== 'variable' && !isVariableStruct(type);
}

/** Fields, or arms of a union. */
export function membersOf(type: Type): readonly FieldDescription[] {
  if (type.kind === 'struct' || type.kind === 'integral') return type.fields;
  return type.kind === 'union' ? type.arms : [];
}

/** The type of a field inside a struct, or inside an anonymous member of it. */
export function memberType(type: Type, name: string): Type | undefined {
  for (const item of membersOf(type)) {
    const found = item.anonymous === true ? memberType(item.type, name) : item.name === name ? item.type : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The fields that an anonymous member gives to the struct around it, and the code that leads to them. */
export function liftedFields(type: Type, code: string): readonly (readonly [name: string, code: string, type: Type])[] {
  return membersOf(type).flatMap((item) =>
    item.anonymous === true ? liftedFields(item.type, code) : [[item.name, `${code}.${item.name}`, item.type] as const],
  );
}

/** What a path that leads to a number or a tag has there; anything else stays interpreted. */
export function leafOf(type: Type | undefined): { readonly isWide: boolean; readonly isCount: boolean } {
  const isInteger = type?.kind === 'variable' && (type.part.form === 'checksum' || type.part.form === 'range');
  const leaf = isInteger ? type.part.type : type;
  if (leaf?.kind === 'word') return { isWide: true, isCount: false };
  if (leaf?.kind !== 'integer') throw new NotCompiled();
  return { isWide: leaf.bits > 32, isCount: leaf.bits <= 32 && !leaf.signed };
}

/** Follows the rest of a path from the type of its first field. */
export function follow(type: Type, steps: readonly string[]): Type {
  let found = type;
  for (const step of steps) {
    const isObject = found.kind === 'struct' || found.kind === 'integral';
    const next = isObject ? memberType(found, step) : undefined;
    if (next === undefined) throw new NotCompiled();
    found = next;
  }
  return found;
}

/** Counts what is compiled, and gives up where that is too much. */
export class Measure {
  #values = 0;
  #depth = 0;

  inside<T>(make: () => T): T {
    this.#values += 1;
    this.#depth += 1;
    if (this.#values > MOST_VALUES || this.#depth > MOST_DEPTH) throw new NotCompiled();
    const made = make();
    this.#depth -= 1;
    return made;
  }
}

/** What both compilers write their statements with. */
export class Code {
  readonly target: Target;
  readonly measure = new Measure();
  readonly generator: Generator;
  #names = 0;

  constructor(generator: Generator, target: Target) {
    this.generator = generator;
    this.target = target;
  }

  emit(text: string): void {
    this.generator.emit(text);
  }

  /** The name of a new variable; those of the generator have others. */
  fresh(): string {
    this.#names += 1;
    return `w${this.#names}`;
  }

  /** The statements that are emitted meanwhile. */
  block(fill: () => void): string {
    return this.generator.block(fill);
  }

  /** A variable that holds an expression's value. */
  keep(expression: string): string {
    const name = this.fresh();
    this.emit(`const ${name}=${expression};`);
    return name;
  }

  /** A variable with an object; one that was left out has no fields. */
  object(value: string): string {
    const name = this.fresh();
    this.emit(`let ${name}=${value};if(${name}===undefined)${name}={};`);
    this.emit(`if(typeof ${name}!=='object'||${name}===null||Array.isArray(${name}))S();`);
    return name;
  }

  /** Code for what is no code. */
  typed(value: unknown): string {
    return `T[${this.generator.types.push(value) - 1}]`;
  }

  /** A function: `head`, and a result that is made of all that was emitted. */
  make(parameters: string, head: string, result: (text: string) => string): (...values: unknown[]) => unknown {
    const { text, types } = this.generator;
    return make(parameters, `${head}\nreturn ${result(text())};`, types, () => {
      throw BAIL;
    });
  }

  /** @throws NotCompiled for what has no layout of its own */
  resolved(type: Type): ResolvedType {
    if (type.kind === 'bitField') throw new NotCompiled();
    return resolve(type, this.target);
  }
}

/** Makes a function, or undefined where a type stays interpreted. */
export function unlessNotCompiled<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof NotCompiled || (error instanceof Error && error.name === 'LayoutError')) return undefined;
    throw error;
  }
}

/** Finds the names that paths begin with, and whether something stands elsewhere. */
export function survey(
  type: Type,
  found: { readonly claims: Set<string>; isDeferred: boolean },
  measure: Measure,
): void {
  measure.inside(() => {
    if (isVariableStruct(type)) for (const item of type.fields) survey(item.type, found, measure);
    if (type.kind !== 'variable') return;
    const { part } = type;
    const path =
      part.form === 'list'
        ? part.count
        : part.form === 'run' || part.form === 'sized' || part.form === 'processed'
          ? part.length
          : part.form === 'variant'
            ? part.by
            : part.form === 'pointed'
              ? part.at
              : undefined;
    if (typeof path === 'string') found.claims.add(path.split('.')[0] ?? '');
    if (part.form === 'pointed') found.isDeferred = true;
    if (part.form === 'lazy') throw new NotCompiled();
    if (part.form === 'list') survey(part.element, found, measure);
    else if (part.form === 'variant') for (const arm of part.arms) survey(arm.type, found, measure);
    else if ('type' in part) survey(part.type, found, measure);
  });
}
