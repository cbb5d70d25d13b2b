import { checkOffset, checkSize } from './claims.js';
import { LayoutError } from './errors.js';
import { resolvedField, resolveIn } from './resolve.js';
import type { BitOrder, ResolvedField, ResolvedStruct, ResolvedType } from './resolved.js';
import type { Endian, Target } from './target.js';
import type { Description, FieldDescription, StructDescription } from './types.js';

/** GNU poke's rules: one field behind the other to the bit, unless a label puts it elsewhere. */
export function resolveBits(type: StructDescription, target: Target, inside: readonly Description[]): ResolvedStruct {
  const fields: ResolvedField[] = [];
  let next = 0;
  let nextOrder: BitOrder = type.order ?? 'msb';
  let end = 0;
  for (const item of type.fields) {
    const path = `${type.name}.${item.name}`;
    const resolved = resolveIn(item.type, target, inside);
    const before = next;
    const label = labelBit(item, target.endian);
    const bit = label ?? next;
    if (!Number.isInteger(bit) || bit < 0) {
      throw new LayoutError('LAYOUT_OFFSET', `found a label of ${bit} bits, expected a whole number from 0`, {
        path,
        offset: 0,
        found: bit,
      });
    }
    const order = orderOf(resolved) ?? type.order ?? 'msb';
    if (bit % 8 !== 0) checkOrder(resolved, order, label === undefined ? nextOrder : undefined, path, bit);
    for (const other of fields) {
      if (overlap({ bit, bits: resolved.bits, order }, other)) {
        throw new LayoutError(
          'LAYOUT_OVERLAP',
          `found at bit ${bit}, where ${other.name} (bits ${other.bit} to ${other.bit + other.type.bits - 1}) lies`,
          {
            path,
            offset: Math.floor(bit / 8),
            found: bit,
            expected: 'a bit that no other field has',
          },
        );
      }
    }
    checkOffset(type, item, path, bit, before, 1);
    fields.push(resolvedField(item, resolved, bit));
    next = bit + resolved.bits;
    nextOrder = order;
    end = Math.max(end, next);
  }
  checkSize(type, end);
  return { kind: 'struct', name: type.name, doc: type.doc, fields, bits: end, align: 1, source: type };
}

function labelBit(item: FieldDescription, endian: Endian): number | undefined {
  return typeof item.label === 'object' ? item.label[endian] : item.label;
}

/** @param expected the order of the field before, where no label says at which bit this one begins */
function checkOrder(
  type: ResolvedType,
  order: BitOrder,
  expected: BitOrder | undefined,
  path: string,
  bit: number,
): void {
  const details = { path, offset: Math.floor(bit / 8) };
  if ([...ordersIn(type)].some((inner) => inner !== order)) {
    const message = holdsBitFields(type)
      ? 'C bit fields can only begin with a byte'
      : `found bits in the order ${order === 'lsb' ? 'msb' : 'lsb'} that do not begin with a byte, expected ${order}`;
    throw new LayoutError('LAYOUT_UNSUPPORTED', message, details);
  }
  if (expected === undefined || expected === order) return;
  throw new LayoutError(
    'LAYOUT_UNSUPPORTED',
    `found bits in the order ${order} behind ${expected} inside a byte, expected a label, or fields that end with a byte`,
    details,
  );
}

/** The order in which the bits of an integer, or of an array of them, are counted; other types have none of their own. */
function orderOf(type: ResolvedType): BitOrder | undefined {
  if (type.kind === 'array') return orderOf(type.element);
  return type.kind === 'integer' && type.declaredBits === undefined ? type.order : undefined;
}

/** Every order of bits in a type. Bytes, and numbers of several bytes, are counted from the most significant bit on. */
function ordersIn(type: ResolvedType, found = new Set<BitOrder>()): ReadonlySet<BitOrder> {
  switch (type.kind) {
    case 'integer':
    case 'boolean':
      found.add(type.order);
      break;
    case 'array':
      ordersIn(type.element, found);
      break;
    case 'struct':
      for (const item of type.fields) ordersIn(item.type, found);
      break;
    case 'union':
    case 'tagged':
      for (const arm of type.arms) ordersIn(arm.type, found);
      break;
    default:
      found.add('msb');
  }
  return found;
}

function holdsBitFields(type: ResolvedType): boolean {
  switch (type.kind) {
    case 'integer':
    case 'boolean':
      return type.declaredBits !== undefined;
    case 'array':
      return holdsBitFields(type.element);
    case 'struct':
      return type.fields.some((item) => holdsBitFields(item.type));
    case 'union':
    case 'tagged':
      return type.arms.some((arm) => holdsBitFields(arm.type));
    default:
      return false;
  }
}

interface Range {
  readonly bit: number;
  readonly bits: number;
  readonly order: BitOrder;
}

/** Whether two fields have a bit in common, each counted in its own order. */
function overlap(one: Range, field: ResolvedField): boolean {
  const other: Range = { bit: field.bit, bits: field.type.bits, order: orderOf(field.type) ?? one.order };
  if (one.order === other.order) return one.bit < other.bit + other.bits && other.bit < one.bit + one.bits;
  if (one.bits === 0 || other.bits === 0) return false;
  const first = Math.max(Math.floor(one.bit / 8), Math.floor(other.bit / 8));
  const last = Math.min(Math.floor((one.bit + one.bits - 1) / 8), Math.floor((other.bit + other.bits - 1) / 8));
  // Of three bytes that both touch, the middle one is whole in both.
  for (let at = first; at <= Math.min(last, first + 2); at += 1)
    if ((maskIn(one, at) & maskIn(other, at)) !== 0) return true;
  return false;
}

/** The bits of a byte that a field has. */
function maskIn({ bit, bits, order }: Range, byte: number): number {
  const from = Math.max(bit - byte * 8, 0);
  const to = Math.min(bit + bits - byte * 8, 8);
  const run = (1 << (to - from)) - 1;
  return order === 'lsb' ? run << from : run << (8 - to);
}
