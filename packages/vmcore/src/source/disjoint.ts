/** Ascending pieces that do not overlap; each belongs to one of the intervals that they were made from. */
export interface Pieces {
  readonly count: number;
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  /** Index of the interval. */
  readonly owners: Uint32Array;
}

function ascending(starts: Float64Array, count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  for (let index = 1; index < count; index += 1) {
    if ((starts[index] ?? 0) < (starts[index - 1] ?? 0)) {
      return order.sort((a, b) => (starts[a] ?? 0) - (starts[b] ?? 0) || a - b);
    }
  }
  return order;
}

/** A binary heap of numbers, the smallest on top. */
class Heap {
  readonly #items: number[] = [];

  get top(): number | undefined {
    return this.#items[0];
  }

  push(value: number): void {
    const items = this.#items;
    let at = items.push(value) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((items[parent] ?? 0) <= value) break;
      items[at] = items[parent] ?? 0;
      at = parent;
    }
    items[at] = value;
  }

  pop(): void {
    const items = this.#items;
    const last = items.pop();
    if (last === undefined || items.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && (items[child + 1] ?? 0) < (items[child] ?? 0)) child += 1;
      if ((items[child] ?? 0) >= last) break;
      items[at] = items[child] ?? 0;
      at = child;
    }
    items[at] = last;
  }
}

function resized(array: Float64Array, size: number): Float64Array<ArrayBuffer> {
  const copy = new Float64Array(size);
  copy.set(array.subarray(0, size));
  return copy;
}

/** Pieces that are appended one by one; neighbours of the same interval become one. */
class PieceList {
  #starts: Float64Array;
  #ends: Float64Array;
  #owners: Uint32Array;
  #count = 0;

  constructor(expected: number) {
    const capacity = Math.max(expected, 1);
    this.#starts = new Float64Array(capacity);
    this.#ends = new Float64Array(capacity);
    this.#owners = new Uint32Array(capacity);
  }

  add(start: number, end: number, owner: number): void {
    const last = this.#count - 1;
    if (last >= 0 && this.#owners[last] === owner && this.#ends[last] === start) {
      this.#ends[last] = end;
      return;
    }
    if (this.#count === this.#starts.length) this.#resize(Math.ceil(this.#count * 1.5) + 1);
    this.#starts[this.#count] = start;
    this.#ends[this.#count] = end;
    this.#owners[this.#count] = owner;
    this.#count += 1;
  }

  #resize(size: number): void {
    this.#starts = resized(this.#starts, size);
    this.#ends = resized(this.#ends, size);
    const owners = new Uint32Array(size);
    owners.set(this.#owners.subarray(0, size));
    this.#owners = owners;
  }

  pieces(): Pieces {
    return { count: this.#count, starts: this.#starts, ends: this.#ends, owners: this.#owners };
  }
}

/**
 * Cuts intervals into pieces that do not overlap. Takes O(n log n) whatever the intervals are.
 * @param laterWins whether an interval hides those before it (a rearranged stream) or those behind it (segments)
 */
export function disjoint(starts: Float64Array, lengths: Float64Array, count: number, laterWins: boolean): Pieces {
  const order = ascending(starts, count);
  const rank = (index: number): number => (laterWins ? count - 1 - index : index);
  const ends = (index: number): number => (starts[index] ?? 0) + (lengths[index] ?? 0);
  const found = new PieceList(count);
  const emit = (start: number, end: number, owner: number): void => {
    found.add(start, end, owner);
  };
  const active = new Heap();
  let next = 0;
  let position = 0;
  while (next < count || active.top !== undefined) {
    const best = active.top;
    const nextStart = next < count ? (starts[order[next] ?? 0] ?? 0) : Infinity;
    if (best === undefined) {
      position = nextStart;
    } else {
      const owner = rank(best);
      const end = ends(owner);
      if (end <= position) {
        active.pop();
        continue;
      }
      const until = Math.min(end, nextStart);
      if (until > position) emit(position, until, owner);
      position = until;
    }
    while (next < count && (starts[order[next] ?? 0] ?? 0) === position) {
      const index = order[next] ?? 0;
      if ((lengths[index] ?? 0) > 0) active.push(rank(index));
      next += 1;
    }
  }
  return found.pieces();
}

/** Index of the piece that holds a position, or of the first one behind it; `count` when there is none. */
export function pieceAt(pieces: Pieces, position: number): number {
  let [low, high] = [0, pieces.count];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((pieces.ends[middle] ?? 0) <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}
