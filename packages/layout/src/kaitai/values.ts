import { layoutError } from '../layout/errors.js';
import type { Comparison, Description, Integer, TextEncoding, Type } from '../layout/types.js';
import { ranged } from '../variable/describe.js';
import type { Expression } from './expression.js';
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

/** The least and the greatest value of an attribute. */
export interface Bounds {
  readonly least?: number;
  readonly most?: number;
}

/** An attribute whose `valid` is one number or bounds, without that; other rules stay, and are refused. */
export function constantOf(attribute: KsyMap): {
  readonly constant?: number | undefined;
  readonly bounds?: Bounds;
  readonly rest: KsyMap;
} {
  const valid = attribute.get('valid');
  const rest = new Map([...attribute].filter(([key]) => key !== 'valid'));
  const constant = numberOf(valid instanceof Map && valid.size === 1 ? valid.get('eq') : valid);
  if (constant !== undefined) return { constant, rest };
  const bounds = boundsOf(valid);
  return bounds === undefined ? { rest: attribute } : { bounds, rest };
}

function boundsOf(valid: unknown): Bounds | undefined {
  if (!(valid instanceof Map)) return undefined;
  const [least, most] = [numberOf(valid.get('min')), numberOf(valid.get('max'))];
  const isWhole = valid.size > 0 && valid.size === Number(least !== undefined) + Number(most !== undefined);
  if (!isWhole || (least !== undefined && most !== undefined && least > most)) return undefined;
  return { ...(least === undefined ? {} : { least }), ...(most === undefined ? {} : { most }) };
}

/** An integer within bounds. */
export function bounded(type: Type, bounds: Bounds, path: string): Type {
  if (type.kind !== 'integer') {
    throw layoutError('LAYOUT_UNSUPPORTED', 'found bounds of what is not an integer', path, 0);
  }
  return ranged(type as Integer, bounds);
}

const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=']);

/** What a condition compares, where it does no more than that: a field and a number, or some bits of a field and zero. */
export function comparisonOf(parsed: Expression): Comparison | undefined {
  if (parsed.kind !== 'binary' || parsed.right.kind !== 'value' || typeof parsed.right.value !== 'bigint') {
    return undefined;
  }
  const { left, operator, right } = parsed;
  const number = right.value as bigint;
  if (left.kind === 'name' && COMPARISONS.has(operator)) {
    return { path: left.path.join('.'), operator: operator as Comparison['operator'], number };
  }
  const bits = left.kind === 'binary' && left.operator === '&' && left.left.kind === 'name' ? left : undefined;
  if (operator !== '!=' || number !== 0n || bits?.right.kind !== 'value' || typeof bits.right.value !== 'bigint') {
    return undefined;
  }
  return bits.left.kind === 'name'
    ? { path: bits.left.path.join('.'), operator: '&', number: bits.right.value }
    : undefined;
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
