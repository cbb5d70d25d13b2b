import { openDump, readLog, VmcoreError, writeDump } from '@instar/vmcore';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Random } from '../support/random.js';
import { workdir } from '../support/workdir.js';
import { DIRECT, newKernel, oldKernel, SCATTERED, STRUCTURES, TEXT } from './kernel-memory.js';

/** Cases for each kernel; more with the environment's INSTAR_KERNEL_CASES. */
const CASES = Number(process.env['INSTAR_KERNEL_CASES'] ?? 500);
/** Records after which a log counts as endless: no buffer of these kernels has room for more. */
const MOST_RECORDS = 5000;

const LINES = Array.from({ length: 12 }, (_, index) => ({ time: BigInt(index), level: 6, text: `line ${index}` }));

/** Values that go wrong most: all or nothing, another structure, a table that is its own entry. */
function evil(random: Random, at: number): bigint {
  const own = BigInt(at & ~0xfff) | 0x67n;
  const any = random.bytes(8).readBigUInt64LE();
  return random.pick([0n, ~0n & ((1n << 64n) - 1n), own, DIRECT, TEXT, any, any & 0xffffn, 1n << 63n, 0x67n]);
}

describe('page tables and logs of a stranger', () => {
  it.each([
    ['of before 5.10', oldKernel(LINES)],
    ['since 5.10', newKernel(LINES, 7)],
    ['since 5.10, with five levels', newKernel(LINES, 7, true)],
  ])('come to records or to a typed error, in little time: %s', async (_name, image) => {
    const directory = workdir();
    await writeDump(image, { file: directory.file('dump') }, { format: 'elf' });
    const bytes = readFileSync(directory.file('dump'));
    const random = new Random(4711);
    const started = performance.now();
    const ends = new Map<string, number>();
    // The file's memory is as long as the machine's, and stands at its end.
    const memoryAt = bytes.length - Number(image.addressLimit);
    for (let round = 0; round < CASES; round += 1) {
      const changed: (readonly [number, bigint])[] = [];
      for (let change = 1 + random.below(3); change > 0; change -= 1) {
        const { start, length } = random.pick(STRUCTURES);
        const at = memoryAt + start + 8 * random.below(length / 8);
        changed.push([at, bytes.readBigUInt64LE(at)]);
        bytes.writeBigUInt64LE(evil(random, at - memoryAt), at);
      }
      const dump = await openDump(bytes);
      let end = 'read';
      try {
        let records = 0;
        for await (const { text } of readLog(dump)) {
          records += text.length > 1 << 20 ? MOST_RECORDS : 1;
          if (records > MOST_RECORDS) throw new Error('the log does not end');
        }
        await dump.readVirtual(SCATTERED + 4000n, 200);
      } catch (error) {
        if (!(error instanceof VmcoreError)) throw error;
        end = error.code;
      }
      ends.set(end, (ends.get(end) ?? 0) + 1);
      for (const [at, value] of changed.reverse()) bytes.writeBigUInt64LE(value, at);
    }
    expect((performance.now() - started) / CASES).toBeLessThan(50);
    // A test whose changes hit nothing, or everything, would show nothing.
    expect(ends.get('read') ?? 0).toBeGreaterThan(CASES / 50);
    expect(CASES - (ends.get('read') ?? 0)).toBeGreaterThan(CASES / 20);
  });
});
