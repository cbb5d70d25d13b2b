import { layoutError } from '../layout/errors.js';
import type { ResolvedArray, ResolvedType } from '../layout/resolved.js';

/** Bytes to read from or write to. */
export type Memory = Uint8Array | DataView;

export function viewOf(memory: Memory): DataView {
  return memory instanceof DataView ? memory : new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
}

/** @throws LayoutError `LAYOUT_TRUNCATED` where a memory has no room for so many bits. */
export function checkRoom(view: DataView, offset: number, bits: number, path: string): void {
  const needed = Math.ceil(bits / 8);
  if (Number.isInteger(offset) && offset >= 0 && offset + needed <= view.byteLength) return;
  const there = view.byteLength - offset;
  throw layoutError('LAYOUT_TRUNCATED', `needs ${needed} bytes, ${there} are there`, path, offset, there, needed);
}

/** How many values there is room for. */
export function roomFor(layout: ResolvedType, view: DataView, offset: number): number {
  return layout.bits === 0 ? 0 : Math.max(0, Math.floor(((view.byteLength - offset) * 8) / layout.bits));
}

/** @throws LayoutError `LAYOUT_WIDTH` for what is no count. */
export function arrayOf(element: ResolvedType, count: number, path: string): ResolvedArray {
  if (!Number.isInteger(count) || count < 0) {
    throw layoutError('LAYOUT_WIDTH', `found ${count}, expected a count`, path, 0, count);
  }
  return { kind: 'array', element, count, bits: element.bits * count, align: element.align };
}
