import type { Extent, MemoryImage } from '../image.js';

function continues(held: Extent, next: Extent): boolean {
  if (held.kind !== next.kind || held.start + held.length !== next.start) return false;
  return held.virtual === undefined ? next.virtual === undefined : held.virtual + held.length === next.virtual;
}

/**
 * The extents of an image, neighbours of one kind made one.
 * @param physical whether virtual addresses keep nothing apart
 */
export async function* coalesced(image: MemoryImage, physical = false): AsyncGenerator<Extent> {
  let held: Extent | undefined;
  for await (const found of image.extents()) {
    const extent = physical ? { ...found, virtual: undefined } : found;
    if (held !== undefined && continues(held, extent)) {
      held = { ...held, length: held.length + extent.length };
    } else {
      if (held !== undefined) yield held;
      held = extent;
    }
  }
  if (held !== undefined) yield held;
}
