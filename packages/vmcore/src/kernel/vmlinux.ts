import { VmcoreError } from '../errors.js';
import { parseNotes, type Note } from '../notes/note.js';
import type { Dump } from '../read/dump.js';
import { bytesAt, checkRange, type ByteSource } from '../source/byte-source.js';
import { fileSource } from '../source/file-source.js';
import { Ehdr, ELF_MAGIC, ELFCLASS64, ELFDATA2LSB, Shdr } from '../structures/elf.js';
import { dumpTarget, structureCodec, type WordBits } from '../structures/targets.js';

/** Most sections of a kernel: those of its modules' build have a few hundred. */
const MAX_SECTIONS = 1 << 14;
/** Most bytes of a section that is read as a whole. */
const MAX_SECTION = 128 << 20;
const [SHT_SYMTAB, SHT_NOTE] = [2, 7];
/** NT_GNU_BUILD_ID. */
const BUILD_ID = 3;

interface Section {
  readonly name: string;
  readonly type: number;
  readonly offset: bigint;
  readonly size: bigint;
  readonly link: number;
}

/** A kernel's ELF file: of a package of debug symbols, or out of a build. Only what is asked for is read of it. */
export class Vmlinux {
  readonly #source: ByteSource;
  readonly #sections: readonly Section[];
  readonly #wordBits: WordBits;
  readonly #endian: 'little' | 'big';

  private constructor(source: ByteSource, sections: readonly Section[], wordBits: WordBits, endian: 'little' | 'big') {
    this.#source = source;
    this.#sections = sections;
    this.#wordBits = wordBits;
    this.#endian = endian;
  }

  get name(): string {
    return this.#source.name;
  }

  /** @throws VmcoreError `READ_FAILED`, `INVALID_ARGUMENT` where it is no such file, `TRUNCATED` */
  static async open(file: string): Promise<Vmlinux> {
    const source = await fileSource(file);
    try {
      const ident = new Uint8Array(16);
      const read = await source.read(0n, ident);
      if (read < 16 || !ELF_MAGIC.every((byte, index) => ident[index] === byte)) {
        throw new VmcoreError('INVALID_ARGUMENT', 'is not a kernel with symbols', {
          file,
          found: `the bytes ${Buffer.from(ident.subarray(0, 4)).toString('hex')}`,
          expected: 'an ELF vmlinux (of a bzImage: extract-vmlinux)',
        });
      }
      const wordBits = ident[4] === ELFCLASS64 ? 64 : 32;
      const endian = ident[5] === ELFDATA2LSB ? 'little' : 'big';
      return new Vmlinux(source, await sectionsOf(source, wordBits, endian), wordBits, endian);
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /** The bytes of a section; undefined where there is none of the name. */
  async section(name: string): Promise<Uint8Array | undefined> {
    const found = this.#sections.find((section) => section.name === name);
    return found === undefined ? undefined : this.#bytes(found);
  }

  async #bytes({ name, offset, size }: Section): Promise<Uint8Array> {
    checkRange(this.#source, offset, size, name);
    if (size <= BigInt(MAX_SECTION)) return bytesAt(this.#source, offset, Number(size), name);
    throw new VmcoreError('TOO_LARGE', 'a section is too large', {
      file: this.#source.name,
      field: name,
      found: `${size} bytes`,
      expected: `at most ${MAX_SECTION}`,
    });
  }

  /** The identifier that the linker gave it, in hexadecimal. */
  async buildId(): Promise<string | undefined> {
    for (const section of this.#sections.filter(({ type }) => type === SHT_NOTE)) {
      const notes: Note[] = [];
      parseNotes(await this.#bytes(section), this.#endian, { file: this.name, offset: section.offset }, notes);
      const note = notes.find(({ name, type }) => name === 'GNU' && type === BUILD_ID);
      if (note !== undefined) return Buffer.from(note.descriptor).toString('hex');
    }
    return undefined;
  }

  /** Addresses of symbols as they were linked, of those that were found. */
  async symbols(wanted: ReadonlySet<string>): Promise<ReadonlyMap<string, bigint>> {
    const found = new Map<string, bigint>();
    const table = this.#sections.find(({ type }) => type === SHT_SYMTAB);
    const texts = table === undefined ? undefined : this.#sections[table.link];
    if (table === undefined || texts === undefined) return found;
    const [bytes, names] = [await this.#bytes(table), Buffer.from(await this.#bytes(texts))];
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const little = this.#endian === 'little';
    const [size, valueAt] = this.#wordBits === 64 ? [24, 8] : [16, 4];
    const ends = new Map([...wanted].map((name) => [name, Buffer.from(`${name}\0`, 'latin1')]));
    for (let at = 0; at + size <= bytes.length; at += size) {
      const start = view.getUint32(at, little);
      for (const [name, text] of ends) {
        if (names[start] !== text[0] || text.compare(names, start, Math.min(start + text.length, names.length)) !== 0) {
          continue;
        }
        const value =
          this.#wordBits === 64
            ? view.getBigUint64(at + valueAt, little)
            : BigInt(view.getUint32(at + valueAt, little));
        // What is undefined here has its address elsewhere.
        if (value !== 0n && !found.has(name)) found.set(name, value);
      }
    }
    return found;
  }

  async close(): Promise<void> {
    await this.#source.close();
  }
}

async function sectionsOf(source: ByteSource, wordBits: WordBits, endian: 'little' | 'big'): Promise<Section[]> {
  const target = dumpTarget(endian, wordBits);
  const [headerCodec, codec] = [structureCodec(Ehdr, target), structureCodec(Shdr, target)];
  const header = headerCodec.decode(await bytesAt(source, 0n, headerCodec.size, 'ELF header'));
  const count = header.e_shnum;
  if (header.e_shentsize !== codec.size || count === 0 || count > MAX_SECTIONS) {
    throw new VmcoreError('INVALID_ARGUMENT', 'is not a kernel with symbols: its sections are missing', {
      file: source.name,
      field: 'e_shnum, e_shentsize',
      found: `${count} of ${header.e_shentsize} bytes`,
      expected: 'an ELF vmlinux as it was linked',
    });
  }
  checkRange(source, header.e_shoff, BigInt(count * codec.size), 'section headers');
  const bytes = await bytesAt(source, header.e_shoff, count * codec.size, 'section headers');
  const headers = codec.decodeArray(bytes, 0, count);
  const strings = headers[header.e_shstrndx];
  const names =
    strings === undefined || strings.sh_size > BigInt(MAX_SECTION)
      ? Buffer.alloc(0)
      : Buffer.from(await bytesAt(source, strings.sh_offset, Number(strings.sh_size), 'section names'));
  return headers.map(({ sh_name, sh_type, sh_offset, sh_size, sh_link }) => {
    const end = names.indexOf(0, sh_name);
    const name = names.toString('latin1', sh_name, end < 0 ? sh_name : end);
    return { name, type: sh_type, offset: sh_offset, size: sh_size, link: sh_link };
  });
}

/** Checks that a kernel's file is of the kernel that was dumped, where both say it. @throws VmcoreError `INVALID_ARGUMENT` */
export async function checkKernel(dump: Dump, vmlinux: Vmlinux): Promise<void> {
  const [dumped, linked] = [dump.vmcoreinfo?.get('BUILD-ID')?.trim(), await vmlinux.buildId()];
  if (dumped === undefined || linked === undefined || dumped === linked) return;
  throw new VmcoreError('INVALID_ARGUMENT', 'is of another kernel than the dump', {
    file: vmlinux.name,
    field: 'build id',
    found: linked,
    expected: /^[0-9a-f]{1,128}$/.test(dumped) ? dumped : 'that of the dump',
  });
}
