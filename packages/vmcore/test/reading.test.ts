import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import {
  memorySource,
  openSource,
  providedImage,
  splitDump,
  verifyDump,
  writeDump,
  type ByteSource,
  type Dump,
  type Extent,
  type MemoryProvider,
  type WriteOptions,
} from '../src/index.js';
import { DiskDumpHeader } from '../src/structures/diskdump.js';
import { dumpTarget, structureCodec } from '../src/structures/targets.js';

const PAGE = 4096;

const provider: MemoryProvider = {
  machine: 'x86_64',
  ranges: [{ start: 0n, length: 16n * 4096n }],
  read: (address, target) => {
    target.forEach((_byte, index) => {
      target[index] = ((Number(address) + index) >> 8) + 1;
    });
  },
};

/** A dump as bytes; a kdump comes flattened. */
async function written(options: WriteOptions, more: Partial<MemoryProvider> = {}): Promise<Buffer> {
  const parts: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      parts.push(Buffer.from(chunk));
      done();
    },
  });
  await writeDump(providedImage({ ...provider, ...more }), { stream }, options);
  return Buffer.concat(parts);
}

/** A kdump as the file that its flattened stream stands for. */
async function kdump(more: Partial<MemoryProvider> = {}): Promise<Buffer> {
  const flat = await written({ format: 'kdump' }, more);
  const pieces: { readonly offset: number; readonly data: Buffer }[] = [];
  for (let at = 4096; flat.readBigInt64BE(at) >= 0n;) {
    const [offset, size] = [Number(flat.readBigInt64BE(at)), Number(flat.readBigInt64BE(at + 8))];
    pieces.push({ offset, data: flat.subarray(at + 16, at + 16 + size) });
    at += 16 + size;
  }
  const whole = Buffer.alloc(Math.max(...pieces.map(({ offset, data }) => offset + data.length)));
  for (const { offset, data } of pieces) data.copy(whole, offset);
  return whole;
}

/** Where the first page descriptor stands. */
function descriptorsAt(bytes: Buffer): number {
  const header = structureCodec(DiskDumpHeader, dumpTarget('little', 64)).decode(bytes);
  return (1 + header.sub_hdr_size + header.bitmap_blocks) * PAGE;
}

describe('a source that fails now and then', () => {
  it.each(['kdump', 'flattened kdump'] as const)('can be read again afterwards: %s', async (kind) => {
    const bytes = kind === 'kdump' ? await kdump() : await written({ format: 'kdump' });
    let broken = false;
    const inner = memorySource(bytes);
    const source: ByteSource = {
      ...inner,
      read: async (offset, target) => {
        if (broken) throw new Error('not now');
        return inner.read(offset, target);
      },
    };
    const dump = await openSource(source);
    broken = true;
    await expect(dump.read(8192n, 16)).rejects.toThrow('not now');
    broken = false;
    expect((await dump.read(8192n, 16))[0]).toBe(33);
    broken = true;
    await expect(dump.read(0n, 5 * PAGE)).rejects.toThrow('not now');
    broken = false;
    expect((await dump.read(0n, 5 * PAGE))[0]).toBe(1);
  });
});

describe('a dump that makedumpfile could not finish', () => {
  it('reads pages without a descriptor as zeros where that is wanted', async () => {
    const bytes = await kdump();
    bytes.fill(0, descriptorsAt(bytes) + 24 * 2, descriptorsAt(bytes) + 24 * 3);
    const dump = await openSource(memorySource(bytes));
    await expect(dump.read(0n, 4 * PAGE)).rejects.toMatchObject({ code: 'PAGE_EXCLUDED', offset: 8192n });
    const read = await dump.read(100n, 4 * PAGE, { excluded: 'zero' });
    expect(read[0]).toBe(1);
    expect(read.subarray(2 * PAGE - 100, 3 * PAGE - 100).every((byte) => byte === 0)).toBe(true);
    expect(read[3 * PAGE - 100]).toBe(49);
    expect(read[2 * PAGE - 101]).toBe(32);
  });
});

describe('a kernel that was loaded below where it was linked', () => {
  it.each(['elf', 'kdump'] as const)('has a negative phys_base in %s', async (format) => {
    const vmcoreinfo = 'NUMBER(phys_base)=-4096\n';
    const dump = await openSource(memorySource(await written({ format }, { vmcoreinfo })));
    expect(dump.physBase).toBe(-4096n);
  });
});

describe('memory in very many extents', () => {
  /** An image whose extents never end; asking for them cancels after some. */
  async function endless(controller: AbortController): Promise<Dump> {
    const dump = await openSource(memorySource(await written({ format: 'elf' })));
    return {
      ...dump,
      async *extents(): AsyncGenerator<Extent> {
        for (let index = 0n; ; index += 1n) {
          if (index === 100n) controller.abort();
          if (index === 100_000n) throw new Error('nobody looked at the signal');
          yield await Promise.resolve({ start: index * 8192n, length: 4096n, kind: 'stored' });
        }
      },
    };
  }

  it.each([
    [
      'written as ELF',
      async (dump: Dump, stream: Writable, signal: AbortSignal) =>
        writeDump(dump, { stream }, { format: 'elf', signal }),
    ],
    [
      'written as kdump',
      async (dump: Dump, stream: Writable, signal: AbortSignal) =>
        writeDump(dump, { stream }, { format: 'kdump', signal }),
    ],
    ['split', async (dump: Dump, _stream: Writable, signal: AbortSignal) => splitDump(dump, ['a', 'b'], { signal })],
    ['verified', async (dump: Dump, _stream: Writable, signal: AbortSignal) => verifyDump(dump, { signal })],
  ] as const)('is cancelled while it is counted to be %s', async (_name, use) => {
    const controller = new AbortController();
    const stream = new Writable({
      write(_chunk, _encoding, done) {
        done();
      },
    });
    await expect(use(await endless(controller), stream, controller.signal)).rejects.toMatchObject({ code: 'ABORTED' });
  });
});

describe('arguments that cannot be', () => {
  it.each([
    ['a part that ends before it begins', { part: { startPfn: 5n, endPfn: 2n } }],
    ['a part before the first page', { part: { startPfn: -5n, endPfn: 2n } }],
    ['a time that is none', { time: new Date(Number.NaN) }],
  ])('are refused: %s', async (_name, options) => {
    await expect(written({ format: 'kdump', ...options })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('are refused: a register that the machine does not have', () => {
    expect(() => providedImage({ ...provider, cpus: [{ registers: { rpi: 1n } }] })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});
