import { viewOf, type Memory } from '../codec/memory.js';
import type { ResolvedType } from '../layout/resolved.js';
import { x86_64, type Target } from '../layout/target.js';
import type { Type } from '../layout/types.js';
import { failure, VariableReader } from './read.js';

/** A value that is not made of others whose places vary, and where it lies. */
export interface Place {
  /** From the value that was decoded: `chunks[3].length`; empty for that itself. */
  readonly path: string;
  /** First byte, and how many, in the memory. */
  readonly offset: number;
  readonly size: number;
  readonly value: unknown;
  /** Where it has a fixed one: a struct among them, whose fields are none of the places. */
  readonly layout: ResolvedType | undefined;
}

/** A value, and where everything of it lies. */
export interface Placed<T> {
  readonly value: T;
  readonly places: readonly Place[];
  /** The byte behind the value; what is elsewhere may lie behind that. */
  readonly next: number;
}

/** Most places of a value unless another number is given. */
const MOST_PLACES = 1_000_000;

/**
 * Decodes a value of any type, and says where its parts lie, in the order in which they are read. What a function unpacks is
 * one place; what is decoded when it is asked for has none.
 * @throws LayoutError `LAYOUT_UNSUPPORTED` also where it has more places than `most`
 */
export function placesOf<T>(
  type: Type<T>,
  memory: Memory,
  { target = x86_64, offset = 0, most = MOST_PLACES }: { target?: Target; offset?: number; most?: number } = {},
): Placed<T> {
  const view = viewOf(memory);
  const name = 'name' in type ? type.name : type.kind;
  if (!Number.isInteger(offset) || offset < 0 || offset > view.byteLength) {
    throw failure(
      'LAYOUT_TRUNCATED',
      `found the offset ${offset}, but ${view.byteLength} bytes are there`,
      name,
      offset,
    );
  }
  const places: Place[] = [];
  const reader = new VariableReader(view, offset, target, (path, from, to, value, layout) => {
    if (places.length >= most) throw failure('LAYOUT_UNSUPPORTED', `found more than ${most} places`, path, from);
    const inner = path.slice(name.length).replace(/^\./, '');
    places.push({ path: inner, offset: from, size: to - from, value, layout });
  });
  const { value, next } = reader.read(type, offset, view.byteLength, name, []);
  return { value: value as T, places, next };
}
