import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { requireJudge } from '../../../tests/support/judge.js';
import { Random } from '../../../tests/support/random.js';
import { FILE } from '../../../tests/vmcore/tools.js';
import { openDump, providedImage, writeDump, type MemoryImage } from '../src/index.js';

const directory = mkdtempSync(join(tmpdir(), 'instar-windows-'));
const path = join(directory, 'memory.dmp');
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const PAGE = 4096;
const PAGES = 64;
const memory = new Random(7).bytes(PAGES * PAGE);
/** First pages and counts: memory with a hole that Windows does not count. */
const RUNS = [
  [1, 20],
  [40, 24],
] as const;

/** A header as the driver of virtio-win leaves it: QEMU, include/qemu/win_dump_defs.h. */
function header(bits: 32 | 64, runs: readonly (readonly [number, number])[] = RUNS): Buffer {
  const wide = bits === 64;
  const bytes = Buffer.alloc(wide ? 8192 : 4096, 'PAGE');
  bytes.write(wide ? 'DU64' : 'DUMP', 4);
  bytes.writeUInt32LE(15, 8);
  bytes.writeUInt32LE(wide ? 0x8664 : 0x14c, wide ? 48 : 32);
  bytes.writeUInt32LE(1, wide ? 52 : 36);
  const at = wide ? 0x88 : 0x64;
  bytes.writeUInt32LE(runs.length, at);
  runs.forEach(([first, count], index) => {
    if (wide) {
      bytes.writeBigUInt64LE(BigInt(first), at + 16 + 16 * index);
      bytes.writeBigUInt64LE(BigInt(count), at + 24 + 16 * index);
    } else {
      bytes.writeUInt32LE(first, at + 8 + 8 * index);
      bytes.writeUInt32LE(count, at + 12 + 8 * index);
    }
  });
  return bytes;
}

function windows(descriptor: Buffer): MemoryImage {
  return providedImage({
    machine: 'x86_64',
    ranges: [{ start: 0n, length: BigInt(memory.length) }],
    read: (address, target) => {
      memory.copy(target, 0, Number(address));
    },
    cpus: [{ registers: { rip: 0xffff_f800_0000_1234n } }],
    notes: [{ name: 'VMCOREINFO', type: 0, descriptor }],
  });
}

const dmp = { format: 'dmp' } as const;

describe.each([32, 64] as const)('a dump of Windows with %i bits', (bits) => {
  it('becomes a full crash dump with the memory that Windows counts', async (context) => {
    for (const format of ['elf', 'kdump'] as const) {
      const dump = join(directory, format);
      await writeDump(windows(header(bits)), { file: dump }, { format });
      const opened = await openDump(dump);
      await writeDump(opened, { file: path }, dmp);
      await opened.close();
      const bytes = readFileSync(path);
      const size = bits === 64 ? 8192 : 4096;
      expect(bytes).toHaveLength(size + 44 * PAGE);
      const parts = RUNS.map(([first, count]) => memory.subarray(first * PAGE, (first + count) * PAGE));
      expect(bytes.subarray(size).equals(Buffer.concat(parts))).toBe(true);
      expect(Number(bytes.readBigUInt64LE(0xfa0))).toBe(bytes.length);
    }
    requireJudge(context, FILE);
    const told = execFileSync('file', ['--brief', path], { encoding: 'utf8' });
    expect(told).toMatch(new RegExp(`MS Windows ${bits}bit crash dump.*full dump.*44 pages`));
    // And is named when somebody hands it in.
    await expect(openDump(path)).rejects.toThrow(/crash dump of Windows.*dump-guest-memory/);
  });

  it('is refused where the header cannot be', async () => {
    const bad = [
      [],
      [[60, 5]],
      [
        [20, 4],
        [10, 2],
      ],
    ] as const;
    for (const runs of bad) {
      await expect(writeDump(windows(header(bits, runs)), { file: path }, dmp)).rejects.toMatchObject({
        code: 'BAD_DUMP',
      });
    }
    await expect(writeDump(windows(Buffer.alloc(100)), { file: path }, dmp)).rejects.toThrow(/virtio-win/);
    const partial = { ...dmp, filter: { begin: 0n, length: 4096n } };
    await expect(writeDump(windows(header(bits)), { file: path }, partial)).rejects.toMatchObject({
      name: 'VmcoreError',
    });
    await expect(writeDump(windows(header(bits)), { file: path }, { ...dmp, flattened: true })).rejects.toThrow(
      /no flattened form/,
    );
  });
});
