import type { FieldDescription, StructDescription, Type } from '../layout/types.js';
import { lookUp } from './read.js';

/** A struct that is being written: what was given, what follows from it, and where each field lies. */
export interface Scope {
  readonly type: StructDescription;
  readonly path: string;
  /** Given or worked out. */
  readonly values: Record<string, unknown>;
  readonly places: Map<string, readonly [from: number, to: number]>;
}

/** What the innermost struct that has a field says in it: one that was left out does not stand for one further out. */
export function valueAt(scopes: readonly Scope[], path: string): unknown {
  const [first = ''] = path.split('.');
  const scope = [...scopes].reverse().find((item) => item.type.fields.some((field) => field.name === first));
  return scope === undefined ? undefined : lookUp([scope.values], path);
}

/** A field as the check for misspelt keys sees it: what is worked out may be left out. */
export function knownKeys(item: FieldDescription): readonly { readonly name: string }[] {
  if (item.anonymous === true) return membersOf(item.type).flatMap(knownKeys);
  return [{ name: item.name }];
}

function membersOf(type: Type): readonly FieldDescription[] {
  if (type.kind === 'struct') return type.fields;
  return type.kind === 'union' ? type.arms : [];
}

/** Those of the values that are an anonymous member's. */
export function partOf(type: Type, values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const names = membersOf(type).flatMap(knownKeys);
  return Object.fromEntries(names.flatMap(({ name }) => (values[name] === undefined ? [] : [[name, values[name]]])));
}

/** The type that stands in the bytes: an integer without its bounds. */
export function integerOf(type: Type): Type {
  return type.kind === 'variable' && type.part.form === 'range' ? type.part.type : type;
}

/** A value with the number that a path leads to, in the type that the field has there. */
export function put(value: unknown, path: readonly string[], number: number | bigint, type: Type): unknown {
  const [first, ...rest] = path;
  if (first === undefined) {
    const isWide = type.kind === 'word' || (type.kind === 'integer' && type.bits > 32);
    return isWide ? BigInt(number) : Number(number);
  }
  const fields = type.kind === 'struct' || type.kind === 'integral' ? type.fields : [];
  const inner = fields.find((item) => item.name === first)?.type;
  const object = (value ?? {}) as Readonly<Record<string, unknown>>;
  return inner === undefined ? value : { ...object, [first]: put(object[first], rest, number, inner) };
}
