import { LayoutError } from './errors.js';
import type { WordDescription } from './types.js';

/** Where a contiguous table lies in memory. */
export interface TablePlace {
  /** Address of its first entry. */
  readonly base: bigint;
  /** Entries. */
  readonly count: bigint;
}

function strideOf(type: WordDescription): { readonly name: string; readonly stride: bigint } {
  if (type.table !== undefined) return { name: type.table.name, stride: BigInt(type.table.stride) };
  throw new LayoutError('LAYOUT_UNSUPPORTED', 'found a word that leads into no table, expected tablePointer(…)', {
    path: type.pointer ?? 'word',
    offset: 0,
  });
}

/**
 * The index that stands for a pointer into a table.
 * @throws LayoutError `LAYOUT_RANGE` for a pointer outside the table, or between two entries.
 */
export function indexOfPointer(type: WordDescription, pointer: bigint, table: TablePlace): bigint {
  const { name, stride } = strideOf(type);
  const distance = pointer - table.base;
  if (distance >= 0n && distance < table.count * stride && distance % stride === 0n) return distance / stride;
  const end = table.base + table.count * stride;
  throw new LayoutError(
    'LAYOUT_RANGE',
    `found 0x${pointer.toString(16)}, expected the address of an entry (0x${table.base.toString(16)} to 0x${end.toString(16)}, ${stride} bytes each)`,
    { path: name, offset: 0, found: pointer },
  );
}

/**
 * The pointer that an index stands for.
 * @throws LayoutError `LAYOUT_RANGE` for an index that the table does not have.
 */
export function pointerOfIndex(type: WordDescription, index: bigint, table: TablePlace): bigint {
  const { name, stride } = strideOf(type);
  if (index >= 0n && index < table.count) return table.base + index * stride;
  throw new LayoutError('LAYOUT_RANGE', `found the index ${index}, expected 0 to ${table.count - 1n}`, {
    path: name,
    offset: 0,
    found: index,
  });
}
