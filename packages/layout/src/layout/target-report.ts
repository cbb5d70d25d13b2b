import { resolve } from './resolve.js';
import { TARGETS, type Target } from './target.js';
import type { StructDescription, UnionDescription } from './types.js';

/** Where something lies on one target. */
export interface TargetPlace {
  readonly target: string;
  /** Bits from the start of the type; for the type itself 0. */
  readonly bit: number;
  /** Size in bits. */
  readonly bits: number;
  /** Alignment in bytes. */
  readonly align: number;
}

/** Something that is not the same on all targets. */
export interface TargetDifference {
  /** `Node.next`, or `Node` for the type as a whole. */
  readonly path: string;
  readonly places: readonly TargetPlace[];
}

/**
 * What of a type differs from target to target: positions, sizes and alignments of its fields, and of itself. An empty
 * list means that one layout is good for all (the order of bytes aside).
 */
export function compareTargets(
  type: StructDescription | UnionDescription,
  targets: readonly Target[] = TARGETS,
): TargetDifference[] {
  const resolved = targets.map((target) => ({ target, layout: resolve(type, target) }));
  const fields = type.kind === 'struct' ? type.fields : type.arms;
  const whole: TargetDifference = {
    path: type.name,
    places: resolved.map(({ target, layout }) => ({
      target: target.name,
      bit: 0,
      bits: layout.bits,
      align: layout.align,
    })),
  };
  const parts = fields.map((item, index): TargetDifference => {
    const places = resolved.map(({ target, layout }): TargetPlace => {
      const list = layout.kind === 'struct' ? layout.fields : layout.kind === 'union' ? layout.arms : [];
      const place = list[index];
      return { target: target.name, bit: place?.bit ?? 0, bits: place?.type.bits ?? 0, align: place?.type.align ?? 1 };
    });
    return { path: `${type.name}.${item.name}`, places };
  });
  return [whole, ...parts].filter(({ places }) => {
    const [first] = places;
    return places.some((place) => place.bit !== first?.bit || place.bits !== first.bits || place.align !== first.align);
  });
}
