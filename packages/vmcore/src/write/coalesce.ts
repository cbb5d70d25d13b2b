import type { Extent, MemoryImage } from '../image.js';

function continues(held: Extent, next: Extent): boolean {
  if (held.kind !== next.kind || held.start + held.length !== next.start) return false;
  return held.virtual === undefined ? next.virtual === undefined : held.virtual + held.length === next.virtual;
}

/** The extents of an image, neighbours of one kind made one. */
export async function* coalesced(image: MemoryImage): AsyncGenerator<Extent> {
  let held: Extent | undefined;
  for await (const extent of image.extents()) {
    if (held !== undefined && continues(held, extent)) {
      held = { ...held, length: held.length + extent.length };
    } else {
      if (held !== undefined) yield held;
      held = extent;
    }
  }
  if (held !== undefined) yield held;
}
