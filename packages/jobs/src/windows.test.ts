import type { MappedExtent } from '@instar/engine';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { convertJob } from './payloads.js';
import { chooseWindows } from './window-choice.js';
import type { WindowRun } from './window-inputs.js';
import { convertInWindows } from './windows.js';

const UNIT = 65_536n;

interface Piece {
  readonly length: bigint;
  readonly kind: 'compressed' | 'data' | 'zero';
}

/** A disk of such pieces. */
function disk(pieces: readonly Piece[]): Parameters<typeof chooseWindows>[0] {
  const virtualSize = pieces.reduce((sum, { length }) => sum + length, 0n);
  return {
    virtualSize,
    async *extents() {
      let start = 0n;
      for (const { length, kind } of pieces) {
        const extent = {
          start,
          length,
          data: kind !== 'zero',
          zero: kind === 'zero',
          compressed: kind === 'compressed',
        };
        yield await Promise.resolve(extent as unknown as MappedExtent);
        start += length;
      }
    },
  };
}

const piece = fc.record({
  length: fc.bigInt(1n, 40n << 20n),
  kind: fc.constantFrom('compressed' as const, 'data' as const, 'zero' as const),
});

describe('windows of a disk', () => {
  it('are all of it, each byte once, no more of them than were asked for', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 64 }),
        async (pieces, most) => {
          const image = disk(pieces);
          const windows = await chooseWindows(image, most);
          expect(windows.length).toBeLessThanOrEqual(most);
          let next = 0n;
          for (const { start, end } of windows) {
            expect(start).toBe(next);
            expect(start % UNIT).toBe(0n);
            expect(end).toBeGreaterThan(start);
            next = end;
          }
          expect(next).toBe(image.virtualSize);
        },
      ),
    );
  });

  it('have as much to decode each, not as many bytes', async () => {
    const windows = await chooseWindows(
      disk([
        { length: 64n << 20n, kind: 'compressed' },
        { length: 1n << 30n, kind: 'zero' },
        { length: 64n << 20n, kind: 'compressed' },
      ]),
      2,
    );
    expect(windows.map(({ end }) => end)).toEqual([576n << 20n, 1152n << 20n]);
    const most = await chooseWindows(
      disk([
        { length: 64n << 20n, kind: 'data' },
        { length: 1n << 30n, kind: 'zero' },
      ]),
      4,
    );
    // A zero costs a sixteenth of a byte that is copied: half of all is in the first part.
    expect(most[1]?.end).toBe(64n << 20n);
  });
});

describe('the end of a job in windows, whose part has gone', () => {
  /** A job whose windows wrote into the file of this number. */
  function ended(directory: string, file: string): WindowRun {
    const { signal } = new AbortController();
    const unused = (): never => {
      throw new Error('nothing is asked for');
    };
    const job = { id: 'one', data: {}, attempt: 2, lastAttempt: false, signal, spread: true, progress: unused };
    const parts = {
      failedParts: async () => Promise.resolve([]),
      partResults: async () => Promise.resolve([{ bytes: 1, file }]),
      keep: unused,
      kept: unused,
      isOver: unused,
    };
    return { job: { ...job, ...parts, spreadTo: unused }, policy: { directories: [directory] }, control: {} };
  }

  it('is done where an earlier attempt gave it its name, and failed where an older file has that', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'instar-windows-'));
    try {
      const output = join(directory, 'out.raw');
      const job = convertJob({ input: join(directory, 'disk.raw'), output, windows: 2 });
      writeFileSync(join(directory, 'disk.raw'), new Uint8Array(512));
      writeFileSync(output, 'some disk');
      const { ino } = statSync(output, { bigint: true });
      expect(await convertInWindows(job, ended(directory, String(ino)))).toEqual({ outputLength: 9n });
      await expect(convertInWindows(job, ended(directory, String(ino + 1n)))).rejects.toThrow(/OUTPUT_LOST|is gone/);
      rmSync(output);
      await expect(convertInWindows(job, ended(directory, String(ino)))).rejects.toThrow(/OUTPUT_LOST|is gone/);
      expect(readFileSync(join(directory, 'disk.raw')).length).toBe(512);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
