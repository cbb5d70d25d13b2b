import type { MappedExtent } from '@instar/engine';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CELLS, mainKind, RANGE_KINDS, summarize } from './summary.js';

const FILE = 'disk.qcow2';

function extent(start: bigint, length: bigint, given: Partial<MappedExtent> = {}): MappedExtent {
  const nothing = { depth: 0, present: false, zero: false, data: false, compressed: false };
  return { start, length, ...nothing, offset: undefined, filename: undefined, ...given };
}

async function* each(extents: readonly MappedExtent[]): AsyncGenerator<MappedExtent> {
  for (const item of extents) yield await Promise.resolve(item);
}

describe('the summary of a map', () => {
  it('loses no byte, whatever the sizes are', async () => {
    const lengths = fc.array(fc.bigInt(1n, 1n << 40n), { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(lengths, async (all) => {
        let at = 0n;
        const extents = all.map((length, index) => {
          const data = index % 2 === 0;
          const item = extent(at, length, data ? { data, offset: at, filename: FILE } : {});
          at += length;
          return item;
        });
        const summary = await summarize(each(extents), {
          file: FILE,
          virtualSize: at,
          fileLength: at,
          fileUses: undefined,
        });
        const sum = summary.cells.reduce(
          (total, { bytes }) => total + RANGE_KINDS.reduce((part, kind) => part + bytes[kind], 0),
          0,
        );
        expect(Math.abs(sum - Number(at))).toBeLessThanOrEqual(Number(at) * 1e-12);
        expect(summary.bytes.data + summary.bytes.unallocated).toBe(at);
        expect(summary.layerBytes).toEqual([summary.bytes.data]);
      }),
      { numRuns: 30 },
    );
  });

  it('counts jumps in the file, and says which layer holds what', async () => {
    const part = 1n << 20n;
    const own = (at: bigint, offset: bigint): MappedExtent =>
      extent(at * part, part, { data: true, offset: offset * part, filename: FILE });
    const below = extent(4n * part, part, { data: true, offset: 0n, filename: 'base.raw', depth: 1 });
    const extents = [own(0n, 1n), own(1n, 2n), own(2n, 3n), own(3n, 0n), below];
    const sizes = { file: FILE, virtualSize: part * 5n, fileLength: part * 8n, fileUses: undefined };
    const summary = await summarize(each(extents), sizes);
    expect(summary.jumps).toBe(1);
    expect(summary.plainBytes).toBe(4n * part);
    expect(summary.layerBytes).toEqual([4n * part, part]);
    expect(summary.cells.map(mainKind)).toEqual(summary.cells.map(() => 'data'));
    expect(summary.fileCells.filter((bytes) => bytes > 0)).toHaveLength(summary.fileCells.length / 2);
  });

  it('of a disk of fewer bytes than cells leaves cells empty', async () => {
    const summary = await summarize(each([extent(0n, 512n, { zero: true, present: true })]), {
      file: FILE,
      virtualSize: 512n,
      fileLength: 0n,
      fileUses: undefined,
    });
    expect(summary.cells.filter((cell) => mainKind(cell) === 'zero')).toHaveLength(512);
    expect(summary.cells).toHaveLength(CELLS);
  });
});
