import type { Machine } from '../structures/machines.js';

/** What a part keeps only as long as it is read. */
export interface Releasable {
  /** Forgets what can be read again. */
  release(): void;
}

/**
 * The memory that all parts of a split dump take together. What is the same in all of them, notes above all, is kept of the
 * first; pages and pieces of bitmaps are kept of the part that is read.
 */
export class PartBudget {
  /** Parts of the dump. */
  readonly parts: number;
  /** Runs of flattened streams that were indexed so far, in all parts. */
  runs = 0;
  /** The machine of the first part, and the name of it in that part's header. */
  first: { readonly machine: Machine; readonly named: Machine } | undefined;
  /** Whether a part has told already what was erased. */
  eraseInfo = false;
  #reading: Releasable | undefined;

  constructor(parts: number) {
    this.parts = parts;
  }

  /** Says that a part is read now: another one forgets what it holds. */
  use(part: Releasable): void {
    if (this.#reading === part) return;
    this.#reading?.release();
    this.#reading = part;
  }
}
