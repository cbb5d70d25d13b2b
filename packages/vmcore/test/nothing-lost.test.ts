import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  filterImage,
  memorySource,
  openSource,
  providedImage,
  splitDump,
  writeDump,
  type Dump,
  type MemoryImage,
  type MemoryProvider,
  type WriteOptions,
} from '../src/index.js';
import { encodeNote } from '../src/notes/note.js';
import { DiskDumpHeader, KdumpSubHeader } from '../src/structures/diskdump.js';
import { Ehdr, phdrCodec, PT_LOAD, PT_NOTE, type ProgramHeader } from '../src/structures/elf.js';
import { dumpTarget, structureCodec } from '../src/structures/targets.js';

const directory = mkdtempSync(join(tmpdir(), 'instar-lost-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const PAGE = 4096;
const target = dumpTarget('little', 64);
const [ehdr, phdr] = [structureCodec(Ehdr, target), phdrCodec('little', 64)];
const [headerCodec, subCodec] = [structureCodec(DiskDumpHeader, target), structureCodec(KdumpSubHeader, target)];

/** Bytes of memory that say where they are. */
function content(address: bigint, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => ((Number(address) + index) >>> 8) * 7 + 3);
}

function provided(pages: number, more: Partial<MemoryProvider> = {}): MemoryImage {
  return providedImage({
    machine: 'x86_64',
    ranges: [{ start: 0n, length: BigInt(pages * PAGE) }],
    read: (address, bytes) => {
      bytes.set(content(address, bytes.length));
    },
    ...more,
  });
}

async function written(image: MemoryImage, options: WriteOptions): Promise<Buffer> {
  const file = join(directory, 'dump');
  await writeDump(image, { file }, options);
  return readFileSync(file);
}

const opened = async (bytes: Uint8Array): Promise<Dump> => openSource(memorySource(bytes, 'dump'));

/** An ELF core file of these segments and notes. */
function elfFile(
  loads: readonly Partial<ProgramHeader>[],
  memory: Uint8Array,
  notes: Uint8Array = new Uint8Array(0),
): Buffer {
  const notesAt = ehdr.size + phdr.size * (loads.length + 1);
  const dataAt = Math.ceil((notesAt + notes.length) / PAGE) * PAGE;
  const bytes = Buffer.alloc(dataAt + memory.length);
  ehdr.encodeInto(bytes, {
    e_ident: Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    e_type: 4,
    e_machine: 62,
    e_version: 1,
    e_phoff: BigInt(ehdr.size),
    e_phentsize: phdr.size,
    e_phnum: loads.length + 1,
    e_ehsize: ehdr.size,
  });
  const size = BigInt(notes.length);
  const none = { p_flags: 7, p_offset: 0n, p_vaddr: 0n, p_paddr: 0n, p_filesz: 0n, p_memsz: 0n, p_align: 0n };
  const headers: ProgramHeader[] = [
    { ...none, p_type: PT_NOTE, p_offset: BigInt(notesAt), p_filesz: size, p_memsz: size },
    ...loads.map((load) => ({ ...none, p_type: PT_LOAD, ...load, p_offset: BigInt(dataAt) + (load.p_offset ?? 0n) })),
  ];
  bytes.set(phdr.encodeArray(headers), ehdr.size);
  bytes.set(notes, notesAt);
  bytes.set(memory, dataAt);
  return bytes;
}

function loadsOf(bytes: Buffer): readonly ProgramHeader[] {
  const { e_phoff: at, e_phnum: count } = ehdr.decode(bytes);
  return phdr.decodeArray(bytes, Number(at), count).filter(({ p_type: type }) => type === PT_LOAD);
}

const shape = ({ p_vaddr, p_paddr, p_filesz, p_memsz }: ProgramHeader): readonly bigint[] => [
  p_vaddr,
  p_paddr,
  p_filesz,
  p_memsz,
];

const infoNote = (text: string): Buffer =>
  Buffer.from(encodeNote({ name: 'VMCOREINFO', type: 0, descriptor: Buffer.from(text) }, 'little').bytes);

describe('phys_base', () => {
  it('is what VMCOREINFO says where the header says something else, as that of QEMU does', async () => {
    const bytes = await written(provided(16, { vmcoreinfo: 'NUMBER(phys_base)=33554432\n' }), { format: 'kdump' });
    subCodec.encodeInto(bytes, { ...subCodec.decode(bytes, PAGE), phys_base: 0x3355_4432n }, PAGE);
    const dump = await opened(bytes);
    expect(dump.physBase).toBe(0x200_0000n);
    expect(dump.warnings).toEqual(['the header says phys_base 0x33554432, VMCOREINFO 0x2000000: VMCOREINFO counts']);
    const again = await written(dump, { format: 'kdump' });
    expect(subCodec.decode(again, PAGE).phys_base).toBe(0x200_0000n);
  });
});

describe('segments of an ELF file that show the same memory', () => {
  const memory = content(0x10_0000n, 8 * PAGE);
  const loads = [
    { p_vaddr: 0xffff_ffff_8100_0000n, p_paddr: 0x10_2000n, p_offset: 0x2000n, p_filesz: 0x3000n, p_memsz: 0x3000n },
    { p_vaddr: 0xffff_8880_0010_0000n, p_paddr: 0x10_0000n, p_offset: 0n, p_filesz: 0x8000n, p_memsz: 0x9000n },
    { p_vaddr: 0xffff_8880_0030_0000n, p_paddr: 0x30_0000n, p_offset: 0n, p_filesz: 0n, p_memsz: 0x1000n },
  ];

  it('are all written again, and share their bytes', async () => {
    const input = elfFile(loads, memory);
    const output = await written(await opened(input), { format: 'elf' });
    const found = loadsOf(output);
    expect(found.map(shape)).toEqual(
      loads.map(({ p_vaddr, p_paddr, p_filesz, p_memsz }) => [p_vaddr, p_paddr, p_filesz, p_memsz]),
    );
    for (const { p_offset: at, p_paddr: address, p_filesz: size } of found) {
      const stored = output.subarray(Number(at), Number(at + size));
      expect(stored).toEqual(Buffer.from(content(address, Number(size))));
    }
    expect(output.length).toBe(input.length);
    // A segment without bytes points to the end of the file, not behind it and not into memory.
    expect(found[2]?.p_offset).toBe(BigInt(output.length));
  });

  it('are cut where a filter cuts memory', async () => {
    const image = await filterImage(await opened(elfFile(loads, memory)), { begin: 0x10_3000n, length: 0x4000n });
    expect(loadsOf(await written(image, { format: 'elf' })).map(shape)).toEqual([
      [0xffff_ffff_8100_1000n, 0x10_3000n, 0x2000n, 0x2000n],
      [0xffff_8880_0010_3000n, 0x10_3000n, 0x4000n, 0x4000n],
    ]);
  });

  it('do not hide stored memory behind a segment that stores nothing', async () => {
    const [first, second] = loads;
    const hiding = { ...second, p_filesz: 0n, p_memsz: 0x9000n };
    const dump = await opened(elfFile([hiding, first ?? {}], memory));
    expect(await dump.read(0x10_2000n, 0x3000)).toEqual(content(0x10_2000n, 0x3000));
    await expect(dump.read(0x10_1000n, 16)).rejects.toMatchObject({ code: 'PAGE_EXCLUDED' });
  });
});

describe('a kdump that becomes an ELF file', () => {
  const base = 0xffff_9100_0000_0000n;
  const info = (text: string): string => `SYMBOL(_stext)=ffffffff8a200000\nNUMBER(phys_base)=-167772160\n${text}`;

  it('gets the virtual addresses of its kernel, and of all memory where KASLR put them', async () => {
    const image = provided(1024, {
      // phys_base -0xa000000 puts the text of 0xffffffff8a200000 at 0x200000, and the variable at 0x201008.
      vmcoreinfo: info('SYMBOL(page_offset_base)=ffffffff8a201008\nNUMBER(KERNEL_IMAGE_SIZE)=1073741824\n'),
      read: (address, bytes) => {
        bytes.set(content(address, bytes.length));
        const at = 0x20_1008 - Number(address);
        if (at >= 0 && at + 8 <= bytes.length) Buffer.from(bytes.buffer, bytes.byteOffset).writeBigUInt64LE(base, at);
      },
    });
    const kdump = await opened(await written(image, { format: 'kdump' }));
    const elf = await written(kdump, { format: 'elf' });
    expect(loadsOf(elf).map(shape)).toEqual([
      [0xffff_ffff_8a20_0000n, 0x20_0000n, 0x20_0000n, 0x20_0000n],
      [base, 0n, 0x40_0000n, 0x40_0000n],
    ]);
  });

  it('keeps physical addresses where nobody can tell', async () => {
    const kdump = await opened(await written(provided(16), { format: 'kdump' }));
    expect(loadsOf(await written(kdump, { format: 'elf' })).map(shape)).toEqual([[0n, 0n, 0x1_0000n, 0x1_0000n]]);
  });

  it('keeps what was erased, as a note; and back as an area', async () => {
    const erased = Buffer.from('erase linux_banner size 12\n');
    const image = { ...provided(16), eraseInfo: erased };
    const elf = await opened(await written(await opened(await written(image, { format: 'kdump' })), { format: 'elf' }));
    expect(elf.notes.filter(({ name }) => name === 'ERASEINFO')).toHaveLength(1);
    expect(Buffer.from(elf.eraseInfo ?? [])).toEqual(erased);
    const again = await opened(await written(elf, { format: 'kdump' }));
    expect([Buffer.from(again.eraseInfo ?? []), again.notes.length]).toEqual([erased, 0]);
  });
});

describe('a kdump whose header names no machine', () => {
  const nameless = async (more: Partial<MemoryProvider>): Promise<Dump> => {
    const bytes = await written(provided(16, more), { format: 'kdump' });
    const header = headerCodec.decode(bytes);
    headerCodec.encodeInto(bytes, { ...header, utsname: { ...header.utsname, machine: 'Unknown' } });
    return opened(bytes);
  };

  it.each([
    ['ppc64', 'registers'],
    ['riscv64', 'registers'],
    ['aarch64', 'registers'],
  ] as const)('is of %s by its %s', async (machine, by) => {
    const dump = await nameless({ machine, cpus: [{ registers: { pc: 0x1234n } }] });
    expect([dump.machine, dump.cpus[0]?.programCounter]).toEqual([machine, 0x1234n]);
    expect(dump.warnings[0]).toContain(by);
  });

  it.each([
    ['aarch64', 'NUMBER(kimage_voffset)=0xffff800000000000\n'],
    ['riscv64', 'NUMBER(va_kernel_pa_offset)=0xffffffff00000000\n'],
    ['x86_64', 'NUMBER(phys_base)=0\n'],
  ])('is of %s by its VMCOREINFO', async (machine, vmcoreinfo) => {
    const dump = await nameless({ vmcoreinfo });
    expect([dump.machine, dump.warnings.length]).toEqual([machine, 1]);
  });

  it('says that it is unknown where nothing tells', async () => {
    const dump = await nameless({});
    expect([dump.machine, dump.warnings]).toEqual(['unknown', [expect.stringContaining('names no machine')]]);
  });
});

describe('the core of a process', () => {
  const process = elfFile(
    [
      { p_vaddr: 0x40_0000n, p_filesz: 4096n, p_memsz: 4096n },
      { p_vaddr: 0x7fff_0000n, p_offset: 4096n, p_filesz: 4096n, p_memsz: 4096n },
    ],
    content(0n, 8192),
  );
  it('is called one, and is not converted', async () => {
    const dump = await opened(process);
    expect(dump.processCore).toBe(true);
    await expect(written(dump, { format: 'kdump' })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  it('is not what a machine with memory at 0 alone is taken for', async () => {
    const one = { p_vaddr: 0xffff_8880_0000_0000n, p_filesz: 4096n, p_memsz: 4096n };
    expect((await opened(elfFile([one], content(0n, 4096)))).processCore).toBe(false);
    const info = infoNote('OSRELEASE=6.1\n');
    expect((await opened(elfFile([one, one], content(0n, 4096), info))).processCore).toBe(false);
  });
});

describe('parts of a split dump', () => {
  it.each([
    [5000, 2],
    [5000, 3],
    [10_000, 7],
    [1500, 4],
  ])('begin at multiples of 1,024 page frames: %i pages in %i parts', async (pages, count) => {
    const files = Array.from({ length: count }, (_, index) => join(directory, `part${index}`));
    await splitDump(provided(pages), files, { compression: 'none' });
    const subs = files.map((file) => subCodec.decode(readFileSync(file), PAGE));
    expect(subs[0]?.start_pfn_64).toBe(0n);
    expect(subs[count - 1]?.end_pfn_64).toBe(BigInt(pages));
    for (const { start_pfn_64: start, end_pfn_64: end } of subs) {
      if (start < end) expect(start % 1024n).toBe(0n);
    }
    for (let index = 1; index < count; index += 1) expect(subs[index]?.start_pfn_64).toBe(subs[index - 1]?.end_pfn_64);
  });
});
