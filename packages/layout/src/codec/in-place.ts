import type { Codec } from './codec.js';
import { arrayOf, checkRoom, roomFor, viewOf as dataViewOf, type Memory } from './memory.js';
import { listViewer, viewer, type ArrayView, type View } from './views.js';

// Functions and no methods of a codec: a bundler leaves out what is not called.

function nameOf({ layout }: Pick<Codec<unknown>, 'layout'>): string {
  return 'name' in layout ? layout.name : layout.kind;
}

/**
 * A value in place: reading a field reads the memory, assigning one writes it.
 * @param offset Bytes.
 * @throws LayoutError `LAYOUT_TRUNCATED` when the bytes end too early.
 */
export function viewOf<T>(codec: Codec<T>, memory: Memory, offset = 0): View<T> {
  const view = dataViewOf(memory);
  checkRoom(view, offset, codec.layout.bits, nameOf(codec));
  return viewer(codec.layout)(view, offset) as View<T>;
}

/**
 * `count` values in place, one behind the other; as many as there is room for when it is left out.
 * @throws LayoutError `LAYOUT_TRUNCATED` when the bytes end too early, `LAYOUT_WIDTH` for what is no count.
 */
export function viewArrayOf<T>(
  codec: Codec<T>,
  memory: Memory,
  offset = 0,
  count = roomFor(codec.layout, dataViewOf(memory), offset),
): ArrayView<T> {
  const view = dataViewOf(memory);
  const path = nameOf(codec);
  checkRoom(view, offset, arrayOf(codec.layout, count, path).bits, path);
  return listViewer(codec.layout)(view, offset, count) as ArrayView<T>;
}
