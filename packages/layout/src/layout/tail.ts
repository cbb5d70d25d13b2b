import { codec } from '../codec/compiled.js';
import { LayoutError } from './errors.js';
import { resolve } from './resolve.js';
import { byteSize } from './resolved.js';
import type { Struct } from './struct.js';
import { TARGETS, type Target } from './target.js';
import type { StructDescription } from './types.js';

// A record whose last fields differ from target to target (a register set) is split: tools write and read its head, and
// treat the tail as bytes that they need not understand.

function tailIndex(type: StructDescription): number {
  const index = type.fields.findIndex((item) => item.name === type.tail);
  if (index > 0) return index;
  throw new LayoutError('LAYOUT_NAME', 'found no tail behind a first field, expected one (option `tail`)', {
    path: type.name,
    offset: 0,
    found: type.tail,
  });
}

/**
 * The head of a record as a struct of its own: the fields before its tail.
 * @param targets Those on which it must be the same, by default all.
 * @throws LayoutError `LAYOUT_OFFSET` that names the first field of the head that is not.
 */
export function headOf<V>(type: Struct<V>, targets: readonly Target[] = TARGETS): Struct<Partial<V>> {
  const fields = type.fields.slice(0, tailIndex(type));
  const head: Struct<Partial<V>> = { ...type, fields, tail: undefined, size: undefined };
  const [first, ...rest] = targets.map((target) => ({ target, layout: resolve(head, target) }));
  for (const { target, layout } of rest) {
    layout.fields.forEach((item, index) => {
      const other = first?.layout.fields[index];
      if (other === undefined || (other.bit === item.bit && other.type.bits === item.type.bits)) return;
      throw new LayoutError(
        'LAYOUT_OFFSET',
        `found ${item.type.bits / 8} bytes at ${item.bit / 8} on ${target.name} and ${other.type.bits / 8} at ` +
          `${other.bit / 8} on ${first?.target.name ?? ''}, expected a head that is the same on both`,
        { path: `${type.name}.${item.name}`, offset: item.offset, found: item.bit / 8, expected: other.bit / 8 },
      );
    });
  }
  return head;
}

/** Bytes before the tail: what a file holds of such a record. */
export function headSize(type: StructDescription, target: Target): number {
  return resolve(type, target).fields[tailIndex(type)]?.offset ?? 0;
}

/** A record without its tail, for a file. */
export function truncateTail(type: StructDescription, record: Uint8Array, target: Target): Uint8Array {
  return record.slice(0, headSize(type, target));
}

/**
 * A record in the memory of a target, out of the head that a file holds: the record is zeroed, and the head is put into
 * the target's byte order.
 * @param type The record with the target's own tail.
 * @param head Bytes from the file, at least the head.
 * @param from The target that the file was written for.
 * @throws LayoutError `LAYOUT_TRUNCATED` when the file holds less than the head.
 */
export function loadHead<V>(type: Struct<V>, head: Uint8Array, from: Target, to: Target): Uint8Array<ArrayBuffer> {
  const description = headOf(type, [from, to]);
  const memory = new Uint8Array(byteSize(resolve(type, to)));
  const value = codec(description, from).decode(padded(head, description, from));
  codec(description, to).encodeInto(memory, value as Parameters<ReturnType<typeof codec<Partial<V>>>['encode']>[0]);
  return memory;
}

/** A file may end with the head's last field; a struct of its own may be padded to its alignment behind that. */
function padded(head: Uint8Array, description: StructDescription, from: Target): Uint8Array {
  const { fields } = resolve(description, from);
  const last = fields.at(-1);
  const needed = last === undefined ? 0 : Math.ceil((last.bit + last.type.bits) / 8);
  if (head.length < needed) {
    throw new LayoutError('LAYOUT_TRUNCATED', `needs ${needed} bytes, ${head.length} are there`, {
      path: description.name,
      offset: 0,
      found: head.length,
      expected: needed,
    });
  }
  const whole = new Uint8Array(byteSize(resolve(description, from)));
  whole.set(head.subarray(0, needed));
  return whole;
}
