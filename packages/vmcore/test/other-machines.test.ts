import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  openDump,
  providedImage,
  readLog,
  writeDump,
  type Dump,
  type MemoryProvider,
  type WriteOptions,
} from '../src/index.js';

const directory = mkdtempSync(join(tmpdir(), 'instar-machines-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** A page table entry, or any other word: physical address, value. */
type Word = readonly [address: number, value: bigint];

interface Kernel {
  readonly machine: MemoryProvider['machine'];
  /** First physical address, and bytes of memory. */
  readonly memory: readonly [start: number, length: number];
  readonly info: readonly string[];
  readonly words: readonly Word[];
  readonly wordBytes?: 4 | 8;
  readonly format?: WriteOptions['format'];
  readonly provider?: Partial<MemoryProvider>;
  /** A virtual address that is mapped, where, and one that is not, with the level that says so. */
  readonly mapped: readonly [virtual: bigint, physical: bigint, pageSize: bigint];
  readonly unmapped: readonly [virtual: bigint, level: string];
}

async function opened({
  machine,
  memory,
  info,
  words,
  wordBytes = 8,
  format = 'elf',
  provider,
}: Kernel): Promise<Dump> {
  const [start, length] = memory;
  const bytes = Buffer.alloc(length);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const little = machine !== 's390x';
  for (const [address, value] of words) {
    if (wordBytes === 8) view.setBigUint64(address - start, value, little);
    else view.setUint32(address - start, Number(value), little);
  }
  const image = providedImage({
    machine,
    ranges: [{ start: BigInt(start), length: BigInt(length) }],
    read: (address, target) => {
      bytes.copy(target, 0, Number(address) - start);
    },
    vmcoreinfo: ['OSRELEASE=6.1.0', 'PAGESIZE=4096', ...info, ''].join('\n'),
    ...provider,
  });
  const file = join(directory, machine);
  await writeDump(image, { file }, { format });
  return openDump(file);
}

/** Arm ARM, VMSAv8-64: bits 1 and 0 say table or page; the first index is bits 47 to 39. */
const AARCH64: Kernel = {
  machine: 'aarch64',
  memory: [0x4000_0000, 0x30_0000],
  info: [
    'NUMBER(VA_BITS)=48',
    'NUMBER(TCR_EL1_T1SZ)=0x10',
    'SYMBOL(swapper_pg_dir)=ffff800008010000',
    'NUMBER(kimage_voffset)=0xffff7fffc8000000',
  ],
  words: [
    [0x4001_0000, 0x4001_1003n],
    [0x4001_1000, 0x4001_2003n],
    [0x4001_2000 + 8, 0x4001_3003n],
    [0x4001_3000 + 8 * 3, 0x4020_5003n],
  ],
  // Bit 47 is not set: the bits above it alone say that the address is the kernel's.
  mapped: [0xffff_0000_0020_3456n, 0x4020_5456n, 4096n],
  unmapped: [0xffff_0000_0020_2000n, 'level 3'],
};

/** Intel SDM, PAE paging: the first index is bits 31 and 30. */
const I386: Kernel = {
  machine: 'i386',
  memory: [0, 0x10_0000],
  info: ['CONFIG_X86_PAE=y', 'SYMBOL(swapper_pg_dir)=c0001000'],
  words: [
    [0x1000 + 8 * 3, 0x2001n],
    [0x2000 + 8 * 2, 0x3003n],
    [0x3000 + 8 * 5, 0x7063n],
    [0x2000 + 8 * 4, 0xe3n],
  ],
  mapped: [0xc040_5678n, 0x7678n, 4096n],
  unmapped: [0xc040_6000n, 'PT'],
  provider: { wordBits: 64 },
};

/** RISC-V privileged specification, Sv39: page numbers from bit 10 on. */
const RISCV64: Kernel = {
  machine: 'riscv64',
  memory: [0x8000_0000, 0x10_0000],
  info: [
    'NUMBER(VA_BITS)=39',
    'SYMBOL(swapper_pg_dir)=ffffffff80001000',
    'NUMBER(va_kernel_pa_offset)=0xffffffff00000000',
  ],
  words: [
    [0x8000_1000 + 8 * 0x140, (0x8000_2n << 10n) | 1n],
    [0x8000_2000 + 8, (0x8000_3n << 10n) | 1n],
    [0x8000_3000 + 8, (0x8000_9n << 10n) | 0xcfn],
  ],
  mapped: [0xffff_ffd0_0020_1234n, 0x8000_9234n, 4096n],
  unmapped: [0xffff_ffd0_0020_2000n, 'level 0'],
};

/** z/Architecture Principles of Operation: three levels, invalid entries have bit 0x20, pages bit 0x400. */
const S390X: Kernel = {
  machine: 's390x',
  memory: [0, 0x10_0000],
  info: ['SYMBOL(swapper_pg_dir)=4000'],
  words: [
    [0x4000, 0x8000n | 7n],
    [0x4008, 0x24n],
    [0x8000, 0xc000n],
    [0x8008, 0x20n],
    [0xc000 + 8 * 2, 0x5000n],
    [0xc000 + 8 * 3, 0x400n],
  ],
  mapped: [0x2abcn, 0x5abcn, 4096n],
  unmapped: [0x3000n, 'page'],
};

describe('virtual addresses of other machines', () => {
  it.each([AARCH64, I386, RISCV64, S390X])('are looked up as the manual of $machine says', async (kernel) => {
    const dump = await opened(kernel);
    const [virtual, physical, pageSize] = kernel.mapped;
    expect(await dump.translate(virtual)).toMatchObject({ physical, pageSize });
    const [missing, level] = kernel.unmapped;
    await expect(dump.translate(missing)).rejects.toMatchObject({ code: 'NOT_MAPPED', field: level });
    await dump.close();
  });

  it('are those of the kernel where the file has larger blocks than it has pages, as of QEMU on AArch64', async () => {
    const dump = await opened({ ...AARCH64, format: 'kdump', provider: { pageSize: 65536 } });
    expect(dump.pageSize).toBe(65536);
    const [virtual, physical] = AARCH64.mapped;
    expect(await dump.translate(virtual)).toMatchObject({ physical });
    // Written anew it has blocks of pages, which other readers want.
    const again = join(directory, 'again');
    await writeDump(dump, { file: again }, { format: 'kdump' });
    const rewritten = await openDump(again);
    expect(rewritten.pageSize).toBe(4096);
    expect(await rewritten.readVirtual(virtual, 64)).toEqual(await dump.readVirtual(virtual, 64));
    await rewritten.close();
    await dump.close();
  });

  it('are refused where their highest bits are neither the kernel’s nor those of a process', async () => {
    const dump = await opened(AARCH64);
    for (const address of [0xfffe_0000_0020_3456n, 0x0001_0000_0020_3456n, 1n << 64n]) {
      await expect(dump.translate(address)).rejects.toMatchObject({ code: 'NOT_MAPPED', field: 'canonical' });
    }
    await dump.close();
  });

  it('lead to words of 32 bits where an i386 is in a file of 64, as QEMU writes it', async () => {
    // Of before 3.5: a pointer to a ring, its length and its end, each 4 bytes.
    const line = '<6>[    1.500000] a line of an i386\n';
    const text = Buffer.alloc(64);
    text.write(line);
    const words: Word[] = I386.words.map(([at, value]) => [at, value]);
    for (let at = 0; at < text.length; at += 4) words.push([0x7100 + at, BigInt(text.readUInt32LE(at))]);
    words.push([0x7000, 0xc040_5100n], [0x7004, 4096n], [0x7008, BigInt(line.length)], [0x700c, 0n]);
    const dump = await opened({
      ...I386,
      wordBytes: 4,
      words,
      info: [
        ...I386.info,
        'SYMBOL(log_buf)=c0405000',
        'SYMBOL(log_buf_len)=c0405004',
        'SYMBOL(log_end)=c0405008',
        'SYMBOL(logged_chars)=c0405008',
      ],
    });
    expect(dump.wordBits).toBe(64);
    const records: string[] = [];
    for await (const record of readLog(dump)) records.push(Buffer.from(record.text).toString());
    expect(records).toEqual(['a line of an i386']);
    await dump.close();
  });
});
