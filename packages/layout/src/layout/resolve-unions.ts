import { kinds, known, type Cursor } from './kinds.js';
import { alignUp, checkCType, resolvedField, resolveIn } from './resolve.js';
import type { ResolvedArm, ResolvedTagged, ResolvedType, ResolvedUnion } from './resolved.js';
import type { Target } from './target.js';
import type { Description, TaggedDescription, UnionDescription } from './types.js';

/** A C union: every arm at its first byte. */
export function resolveUnion(type: UnionDescription, target: Target, inside: readonly Description[]): ResolvedUnion {
  const cursor: Cursor = { bit: 0, align: 1 };
  let most = 0;
  const arms = type.arms.map((item) => {
    let resolved: ResolvedType;
    if (item.type.kind === 'bitField') {
      cursor.bit = 0;
      cursor.unit = undefined;
      const path = `${type.name}.${item.name}`;
      const { align } = cursor;
      resolved = known(kinds.bitField).place(item.type, item, cursor, type.packed, target, path).type;
      if (target.microsoftBitFields === true) {
        // The whole unit counts, but aligns nothing.
        most = Math.max(most, cursor.bit);
        cursor.align = align;
      }
    } else {
      resolved = resolveIn(item.type, target, inside);
      checkCType(resolved, `${type.name}.${item.name}`, 0, type.packed);
      cursor.align = Math.max(cursor.align, type.packed ? 1 : resolved.align, item.align ?? 1);
    }
    most = Math.max(most, resolved.bits);
    return resolvedField(item, resolved, 0);
  });
  return {
    kind: 'union',
    name: type.name,
    doc: type.doc,
    packed: type.packed,
    arms,
    bits: alignUp(most, cursor.align * 8),
    align: cursor.align,
  };
}

/** A tagged union: as large as its largest arm. */
export function resolveTagged(type: TaggedDescription, target: Target, inside: readonly Description[]): ResolvedTagged {
  const arms = type.arms.map((arm): ResolvedArm => ({
    name: arm.name,
    tag: BigInt(arm.tag),
    type: resolveIn(arm.type, target, inside),
  }));
  const align = Math.max(...arms.map((arm) => arm.type.align));
  const bits = alignUp(Math.max(...arms.map((arm) => arm.type.bits)), align === 1 ? 1 : align * 8);
  return { kind: 'tagged', name: type.name, doc: type.doc, by: type.by, arms, bits, align };
}
