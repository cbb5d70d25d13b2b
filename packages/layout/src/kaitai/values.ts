import type { Description, TextEncoding } from '../layout/types.js';
import type { KsyMap } from './type-tree.js';

/** Encodings by the names that specifications use, in lower case. */
export const ENCODINGS: Readonly<Record<string, TextEncoding>> = {
  ascii: 'ascii',
  'us-ascii': 'ascii',
  'utf-8': 'utf8',
  utf8: 'utf8',
  'utf-16le': 'utf16le',
  'utf-16be': 'utf16be',
  'iso-8859-1': 'latin1',
  'iso8859-1': 'latin1',
};

/** A number as YAML has it. */
export function numberOf(value: unknown): number | undefined {
  const number = typeof value === 'bigint' ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : undefined;
}

/** A value of a specification in a message. */
export function shownKey(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? JSON.stringify(value) : typeof value;
}

/** An attribute whose `valid` is one number, without that; other rules stay, and are refused. */
export function constantOf(attribute: KsyMap): { readonly constant: number | undefined; readonly rest: KsyMap } {
  const valid = attribute.get('valid');
  const constant = numberOf(valid instanceof Map && valid.size === 1 ? valid.get('eq') : valid);
  if (constant === undefined) return { constant, rest: attribute };
  return { constant, rest: new Map([...attribute].filter(([key]) => key !== 'valid')) };
}

/** Whether names lead from a type to fields inside it: what Kaitai calls by a name as well (`length`, `to_i`) is none. */
export function hasSteps(type: Description, [name, ...rest]: readonly string[]): boolean {
  if (name === undefined) return true;
  if (type.kind === 'variable') {
    const { part } = type;
    return 'type' in part && typeof part.type !== 'function' && hasSteps(part.type, [name, ...rest]);
  }
  if (type.kind !== 'struct') return false;
  return type.fields.some(
    (field) =>
      (field.name === name && hasSteps(field.type, rest)) ||
      (field.anonymous === true && hasSteps(field.type, [name, ...rest])),
  );
}

/** What names lead to from a value. */
export function valueAt(value: unknown, names: readonly string[]): unknown {
  return names.reduce<unknown>(
    (found, name) =>
      typeof found === 'object' && found !== null && Object.hasOwn(found, name)
        ? (found as Readonly<Record<string, unknown>>)[name]
        : undefined,
    value,
  );
}
