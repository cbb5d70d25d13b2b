import type { Extent, Segment } from '../image.js';

/** What of memory is left: extents and segments are cut where it begins and ends. */
export interface Cutter {
  /** Cuts a stored extent into what is left and what is not. */
  cut(extent: Extent): Iterable<Extent>;
}

/** A part of an extent. */
export function partOf(extent: Extent, start: bigint, end: bigint, kind: Extent['kind']): Extent {
  const virtual = extent.virtual === undefined ? undefined : extent.virtual + (start - extent.start);
  return { start, length: end - start, kind, virtual };
}

/** Segments cut where something of them is not left. */
export function* cutSegments(segments: Iterable<Segment>, left: Cutter): Generator<Segment> {
  for (const { start, length, stored, virtual } of segments) {
    if (stored < length) {
      yield { start: start + stored, length: length - stored, stored: 0n, virtual: virtual + stored };
    }
    if (stored === 0n) continue;
    for (const cut of left.cut({ start, length: stored, kind: 'stored', virtual })) {
      const has = cut.kind === 'stored' ? cut.length : 0n;
      yield { start: cut.start, length: cut.length, stored: has, virtual: cut.virtual ?? virtual };
    }
  }
}
