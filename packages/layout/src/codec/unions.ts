import { LayoutError } from '../layout/errors.js';
import type { Fields } from '../layout/kinds.js';
import { resolveTagged, resolveUnion } from '../layout/resolve-unions.js';
import type { ResolvedArm, ResolvedField, ResolvedTagged, ResolvedType, ResolvedUnion } from '../layout/resolved.js';
import { writeBits } from './bits.js';
import { checkKeys, checkObject } from './integers.js';
import { putInto, valueFor } from './members.js';
import { byteOf, readValue, writeValue } from './interpret.js';

function readUnion(type: ResolvedUnion, view: DataView, bit: number, path: string): unknown {
  const value: Record<string, unknown> = {};
  for (const arm of type.arms) putInto(value, arm, readValue(arm.type, view, bit, `${path}.${arm.name}`));
  return value;
}

function writeUnion(type: ResolvedUnion, view: DataView, bit: number, value: unknown, path: string): void {
  const offset = byteOf(bit);
  const given = checkObject(value ?? {}, path, offset);
  const chosen = type.arms.filter((arm) => valueFor(arm, given) !== undefined);
  const [arm] = chosen;
  if (arm === undefined) checkKeys(type.arms, given, path, offset);
  if (chosen.length > 1) {
    throw new LayoutError(
      'LAYOUT_VALUE',
      `found ${chosen.map((item) => item.name).join(', ')} at once, expected one arm`,
      {
        path,
        offset,
        found: chosen.length,
        expected: 1,
      },
    );
  }
  // An arm may be shorter than the union: what lay there before is not passed on behind it.
  clear(view, bit, type.bits);
  if (arm !== undefined) writeValue(arm.type, view, bit, valueFor(arm, given), `${path}.${arm.name}`);
}

function clear(view: DataView, bit: number, bits: number): void {
  for (let done = 0; done < bits; done += 32) writeBits(view, bit + done, Math.min(32, bits - done), 'big', 'msb', 0);
}

function readTagged(type: ResolvedTagged, view: DataView, bit: number, path: string, around: Fields): unknown {
  const tag = tagIn(type, around);
  const arm = armOf(type, tag, path, byteOf(bit));
  return { arm: arm.name, value: readValue(arm.type, view, bit, `${path}.${arm.name}`) };
}

function writeTagged(
  type: ResolvedTagged,
  view: DataView,
  bit: number,
  value: unknown,
  path: string,
  around: Fields,
): void {
  const offset = byteOf(bit);
  clear(view, bit, type.bits);
  if (value === undefined) return;
  const given = checkObject(value, path, offset);
  checkKeys(ARM, given, path, offset);
  const arm = armOf(type, tagIn(type, around), path, offset);
  if (given['arm'] !== arm.name) {
    throw new LayoutError(
      'LAYOUT_TAG',
      `found ${String(given['arm'])}, but the tag ${type.by.join('.')} says ${arm.name}`,
      {
        path,
        offset,
        found: given['arm'],
        expected: arm.name,
      },
    );
  }
  writeValue(arm.type, view, bit, given['value'], `${path}.${arm.name}`);
}

const ARM = [{ name: 'arm' }, { name: 'value' }];

function tagIn(type: ResolvedTagged, around: Fields): unknown {
  let found: unknown = around;
  for (const step of type.by) {
    found = typeof found === 'object' && found !== null ? (found as Fields)[step] : undefined;
  }
  return found;
}

function armOf(type: ResolvedTagged, tag: unknown, path: string, offset: number): ResolvedArm {
  const number = typeof tag === 'number' || typeof tag === 'bigint' ? BigInt(tag) : undefined;
  const arm = type.arms.find((item) => item.tag === number);
  if (arm !== undefined) return arm;
  const expected = type.arms.map((item) => `${item.tag} (${item.name})`).join(', ');
  throw new LayoutError('LAYOUT_TAG', `found the tag ${String(tag)} in ${type.by.join('.')}, expected ${expected}`, {
    path,
    offset,
    found: tag,
    expected,
  });
}

/** Fills in tags that the caller left out but that follow from the arm that was given. */
function fillTags(fields: readonly ResolvedField[], given: Fields, path: string, offset: number): Fields {
  let filled = given;
  for (const { name, type } of fields) {
    if (type.kind !== 'tagged') continue;
    const wanted = given[name];
    if (wanted === undefined || tagIn(type, given) !== undefined) continue;
    const arm = type.arms.find((item) => item.name === checkObject(wanted, `${path}.${name}`, offset)['arm']);
    if (arm !== undefined) filled = withTag(filled, type.by, arm.tag, fields);
  }
  return filled;
}

function withTag(value: Fields, by: readonly string[], tag: bigint, fields: readonly TagField[]): Fields {
  const [first, ...rest] = by;
  const item = fields.find((candidate) => candidate.name === first);
  if (first === undefined || item === undefined) return value;
  if (item.type.kind === 'integer') return { ...value, [first]: item.type.wide ? tag : Number(tag) };
  if (item.type.kind !== 'struct' && item.type.kind !== 'integral') return value;
  const inner = (value[first] ?? {}) as Fields;
  return { ...value, [first]: withTag(inner, rest, tag, item.type.fields) };
}

function padded(type: ResolvedType, view: DataView, offset: number): DataView | undefined {
  const last = type.kind === 'struct' ? type.fields.at(-1) : undefined;
  const there = view.byteLength - offset;
  if (type.kind !== 'struct' || last?.type.kind !== 'tagged' || !Number.isInteger(offset) || offset < 0)
    return undefined;
  if (there * 8 < last.bit) return undefined;
  const bytes = new Uint8Array(Math.ceil(type.bits / 8));
  bytes.set(new Uint8Array(view.buffer, view.byteOffset + offset, there));
  const whole = new DataView(bytes.buffer);
  const value: Record<string, unknown> = {};
  for (const item of type.fields.slice(0, -1))
    value[item.name] = readValue(item.type, whole, item.bit, type.name, value);
  const arm = armOf(last.type, tagIn(last.type, value), `${type.name}.${last.name}`, offset + last.offset);
  return last.bit + arm.type.bits <= there * 8 ? whole : undefined;
}

/** What structs and integral structs have in common here. */
interface TagField {
  readonly name: string;
  readonly type: ResolvedType;
}

/** C unions. */
export const unionKind = { resolve: resolveUnion, read: readUnion, write: writeUnion };
/** Tagged unions. */
export const taggedKind = { resolve: resolveTagged, read: readTagged, write: writeTagged, fill: fillTags, padded };
