import { quoteName } from '@instar/engine';
import { nameOf, type ConstantSet, type ResolvedInteger, type ResolvedType } from '@instar/layout';
import type { Colour } from './colours.js';

/** One line of a dump: a leaf of a value, with the bytes that it was read from. */
export interface DumpedField {
  /** Path from the type, for instance `devices[3].role`. */
  readonly path: string;
  /** Bit from the start of the value. */
  readonly bit: number;
  readonly bits: number;
  readonly type: ResolvedType;
  readonly value: unknown;
}

/** How many leaves a value has, and at least how many values are inside each other; nothing is decoded for it. */
export function leafCount(type: ResolvedType, known = new Map<ResolvedType, number>()): number {
  const before = known.get(type);
  if (before !== undefined) return before;
  const sum = (inner: readonly { readonly type: ResolvedType }[]): number =>
    inner.reduce((total, item) => total + leafCount(item.type, known), 0);
  let count = 1;
  if (type.kind === 'struct' || type.kind === 'integral') count = sum(type.fields);
  if (type.kind === 'union' || type.kind === 'tagged') count = sum(type.arms);
  if (type.kind === 'array') count = type.count * leafCount(type.element, known);
  known.set(type, Math.max(1, count));
  return Math.max(1, count);
}

/** The leaves of a decoded value, in memory order. */
export function leavesOf(type: ResolvedType, value: unknown, path = '', bit = 0): DumpedField[] {
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
  const leaf = { path, bit, bits: type.bits, type, value };
  switch (type.kind) {
    case 'struct':
      return type.fields
        .filter((item) => !item.unnamed)
        .flatMap((item) =>
          item.anonymous === true
            ? leavesOf(item.type, value, path, bit + item.bit)
            : leavesOf(item.type, field(value, item.name), at(item.name), bit + item.bit),
        );
    case 'integral':
      return type.fields.flatMap((item) =>
        leavesOf(item.type, field(value, item.name), at(item.name), bit).map((inner) => ({
          ...inner,
          bit,
          bits: type.bits,
        })),
      );
    case 'union':
      return type.arms.flatMap((arm) =>
        arm.anonymous === true
          ? leavesOf(arm.type, value, path, bit)
          : leavesOf(arm.type, field(value, arm.name), at(arm.name), bit),
      );
    case 'tagged': {
      const chosen = type.arms.find((arm) => arm.name === field(value, 'arm'));
      return chosen === undefined ? [leaf] : leavesOf(chosen.type, field(value, 'value'), at(chosen.name), bit);
    }
    case 'array':
      if (!Array.isArray(value)) return [leaf];
      return value.flatMap((item: unknown, index) =>
        leavesOf(type.element, item, `${path}[${index}]`, bit + index * type.element.bits),
      );
    default:
      return [leaf];
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

/** What a set of constants makes of a number: the name of a value, the names of the bits that are set. */
function namesOf(set: ConstantSet, value: number): string {
  if (set.kind === 'enum') return nameOf(set, value) ?? 'unknown';
  let rest = value;
  const names: string[] = [];
  for (const [name, bit] of Object.entries<number>(set.values)) {
    if ((value & bit) >>> 0 !== bit >>> 0) continue;
    names.push(name);
    rest = (rest & ~bit) >>> 0;
  }
  if (rest !== 0) names.push(`0x${rest.toString(16)}`);
  return names.join(' | ');
}

function integerText(type: ResolvedInteger, value: number | bigint): string {
  const decimal = value.toString();
  const named = type.set !== undefined && typeof value === 'number' ? ` ${namesOf(type.set, value)}` : '';
  if (value < 0 || value < 10) return `${decimal}${named}`.trimEnd();
  return `${decimal} (0x${value.toString(16)})${named}`;
}

function bytesText(value: Uint8Array): string {
  let end = value.length;
  while (end > 0 && value[end - 1] === 0) end -= 1;
  if (end === 0) return 'zeros';
  const printable = value.subarray(0, end).every((byte) => byte >= 0x20 && byte < 0x7f);
  return printable ? JSON.stringify(Buffer.from(value.subarray(0, end)).toString('latin1')) : `${value.length} bytes`;
}

/** A leaf's value for people, on one line. */
export function valueText(type: ResolvedType, value: unknown): string {
  if (type.kind === 'integer' && (typeof value === 'number' || typeof value === 'bigint'))
    return integerText(type, value);
  if (value instanceof Uint8Array) return bytesText(value);
  return typeof value === 'string' ? quoteName(value) : String(value);
}

const HEX_COLUMNS = 8;
const MOST_ROWS = 3;

/**
 * A hexdump beside the fields: offset, bytes, path, value.
 * @param colours of neighbouring fields; each marks its bytes and its name
 */
export function fieldDump(
  leaves: readonly DumpedField[],
  bytes: Uint8Array,
  colours: readonly Colour[],
  dim: Colour,
): string {
  const width = leaves.reduce((most, item) => Math.max(most, item.path.length), 4);
  const lines: string[] = [];
  leaves.forEach((leaf, index) => {
    const colour = colours[index % colours.length] ?? ((text: string) => text);
    const first = Math.floor(leaf.bit / 8);
    const last = Math.max(first + 1, Math.ceil((leaf.bit + leaf.bits) / 8));
    const range = bytes.subarray(first, last);
    const rows = Math.ceil(range.length / HEX_COLUMNS);
    for (let row = 0; row < Math.min(rows, MOST_ROWS); row += 1) {
      const part = range.subarray(row * HEX_COLUMNS, (row + 1) * HEX_COLUMNS);
      const hex = Array.from(part, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
      const offset = dim(`0x${(first + row * HEX_COLUMNS).toString(16).padStart(4, '0')}`);
      const shown = colour(hex.padEnd(HEX_COLUMNS * 3 - 1));
      const text = row === 0 ? `${colour(leaf.path.padEnd(width))}  ${valueText(leaf.type, leaf.value)}` : '';
      lines.push(`${offset}  ${shown}  ${text}`.trimEnd());
    }
    if (rows > MOST_ROWS) lines.push(dim(`        … ${range.length - MOST_ROWS * HEX_COLUMNS} more bytes`));
  });
  return `${lines.join('\n')}\n`;
}

/** A decoded value for JSON: byte strings in hexadecimal. */
export function valueJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(valueJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, valueJson(inner)]));
}
