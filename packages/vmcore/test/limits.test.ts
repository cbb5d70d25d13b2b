import { describe, expect, it } from 'vitest';
import { PassThrough, Writable } from 'node:stream';
import { memorySource, openSource, providedImage, writeDump, type MemoryImage, type Note } from '../src/index.js';
import { encodeNote } from '../src/notes/note.js';
import { Ehdr, ELF_MAGIC, ET_CORE, phdrCodec, PT_LOAD, PT_NOTE, type ProgramHeader } from '../src/structures/elf.js';
import { dumpTarget, structureCodec } from '../src/structures/targets.js';

/** An ELF vmcore of x86_64 with these segments; `data` lies behind the program headers. */
function elfFile(
  segments: readonly (Partial<Record<keyof ProgramHeader, bigint>> & { readonly type: number })[],
  data: Uint8Array,
): Buffer {
  const headerCodec = structureCodec(Ehdr, dumpTarget('little', 64));
  const codec = phdrCodec('little', 64);
  const ident = new Uint8Array(16);
  ident.set([...ELF_MAGIC, 2, 1, 1]);
  const dataAt = BigInt(headerCodec.size + segments.length * codec.size);
  const header = headerCodec.encode({
    e_ident: ident,
    e_type: ET_CORE,
    e_machine: 62,
    e_version: 1,
    e_phoff: BigInt(headerCodec.size),
    e_ehsize: headerCodec.size,
    e_phentsize: codec.size,
    e_phnum: segments.length,
  });
  const table = codec.encodeArray(
    segments.map(({ type, p_offset = 0n, p_paddr = 0n, p_filesz = 0n, p_memsz = p_filesz }) => ({
      p_type: type,
      p_flags: 0,
      p_offset: dataAt + p_offset,
      p_vaddr: 0n,
      p_paddr,
      p_filesz,
      p_memsz,
      p_align: 0n,
    })),
  );
  return Buffer.concat([header, table, data]);
}

/** Takes everything and keeps nothing. */
function sponge(): Writable {
  return new Writable({
    write(_chunk, _encoding, done) {
      done();
    },
  });
}

/** So many empty notes of type 1. */
function emptyNotes(count: number): Buffer {
  const notes = Buffer.alloc(12 * count);
  for (let index = 0; index < count; index += 1) notes.writeUInt32LE(1, 12 * index + 8);
  return notes;
}

describe('a dump with as many notes as are read', () => {
  it('is opened', async () => {
    const notes = emptyNotes(1 << 15);
    const dump = await openSource(
      memorySource(elfFile([{ type: PT_NOTE, p_filesz: BigInt(notes.length) }], notes), 'notes'),
    );
    expect(dump.notes).toHaveLength(1 << 15);
  });

  it('is refused when they are in several segments and too many together', async () => {
    const notes = emptyNotes((1 << 14) + 1);
    const segment = { type: PT_NOTE, p_filesz: BigInt(notes.length) };
    await expect(openSource(memorySource(elfFile([segment, segment], notes)))).rejects.toMatchObject({
      code: 'TOO_LARGE',
    });
  });
});

describe('memory that a format cannot say', () => {
  const image = (length: bigint, notes: readonly Note[] = []): MemoryImage =>
    providedImage({ machine: 'i386', ranges: [{ start: 0n, length }], notes, read: () => undefined });

  it('is refused where a segment of ELF32 would have 4 GiB', async () => {
    await expect(writeDump(image(1n << 32n), { stream: sponge() }, { format: 'elf' })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      field: 'p_filesz',
    });
  });

  it('is refused where a segment of ELF32 would lie beyond 4 GiB of the file', async () => {
    const ranges = [
      { start: 0n, length: (1n << 32n) - 8192n },
      { start: (1n << 32n) - 4096n, length: 4096n },
    ];
    const notes = [{ name: 'N', type: 1, descriptor: new Uint8Array(65536) }];
    const wide = providedImage({ machine: 'i386', ranges, notes, read: () => undefined });
    await expect(writeDump(wide, { stream: sponge() }, { format: 'elf' })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      field: 'p_offset',
    });
  });

  it('is refused where the bitmaps of a kdump would have more blocks than their count can say', async () => {
    const far = providedImage({
      machine: 'x86_64',
      pageSize: 512,
      ranges: [{ start: (1n << 52n) - 512n, length: 512n }],
      read: () => undefined,
    });
    await expect(writeDump(far, { stream: new PassThrough() }, { format: 'kdump' })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      field: 'max_mapnr',
    });
  });
});

describe('registers of a 32-bit machine in a 64-bit file', () => {
  it.each(['elf', 'kdump'] as const)('are read from %s as they were written', async (format) => {
    const parts: Buffer[] = [];
    const stream = new Writable({
      write(chunk: Buffer, _encoding, done) {
        parts.push(Buffer.from(chunk));
        done();
      },
    });
    const image = providedImage({
      machine: 'i386',
      wordBits: 64,
      ranges: [{ start: 0n, length: 4096n }],
      read: () => undefined,
      cpus: [{ registers: { eip: 0xc010_0000n, esp: 0x1234n } }],
    });
    await writeDump(image, { stream }, { format });
    const dump = await openSource(memorySource(Buffer.concat(parts)));
    expect(dump.machine).toBe('i386');
    expect(dump.cpus[0]?.registers).toMatchObject({ eip: 0xc010_0000n, esp: 0x1234n });
  });
});

describe('segments of a byte each', () => {
  it('come to pages whose memory is read at once where they follow each other', async () => {
    const count = 8192;
    const segments = Array.from({ length: count }, (_, index) => ({
      type: PT_LOAD,
      p_offset: BigInt(index),
      p_paddr: BigInt(index),
      p_filesz: 1n,
    }));
    const data = Buffer.from(Array.from({ length: count }, (_, index) => index & 0xff));
    const dump = await openSource(memorySource(elfFile(segments, data)));
    const pages: Buffer[] = [];
    for await (const page of dump.pages()) pages.push(Buffer.from(page.data));
    expect(Buffer.concat(pages)).toEqual(data);
  });
});

describe('a note of an odd length', () => {
  it('is padded so that the next one is found', () => {
    const { bytes } = encodeNote({ name: 'abcd', type: 7, descriptor: new Uint8Array(5) }, 'little');
    expect(bytes.length).toBe(12 + 8 + 8);
  });
});
