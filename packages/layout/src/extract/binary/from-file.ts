import { LayoutError } from '../../layout/errors.js';
import { resolve } from '../../layout/resolve.js';
import { aarch64, i386, ppc, s390x, x86_64, type Target } from '../../layout/target.js';
import { TypeReader } from '../c-types.js';
import type { ExtractedConstant } from '../constants.js';
import { Describer } from '../describe.js';
import { AT, readUnit, TAG, type Entry, type Unit } from '../dwarf.js';
import { ExtractError } from '../errors.js';
import { extracted, type Extraction } from '../extract.js';
import { isBtf, readBtf, type Btf } from './btf.js';
import { isElf, readElf, type Elf } from './elf.js';
import { openBytes } from './file.js';

/** Which types to take out of which file. */
export interface ExtractFileOptions {
  /** A program, a library, a module, an object file, a vmlinux, or BTF itself (`/sys/kernel/btf/vmlinux`). */
  readonly file: string;
  /** What the file holds, where it is in memory already: `file` then is only what messages call it. */
  readonly bytes?: Uint8Array | undefined;
  /** `struct foo`, `union bar`, `enum baz`, `name_t`, `ns::Name`, or the name of an enumerator. */
  readonly types: readonly string[];
  /** What a module's BTF was split from. */
  readonly base?: string | undefined;
  /** Of a file of BTF alone, which does not say it. */
  readonly target?: Target | undefined;
}

interface Found {
  readonly entry: Entry;
  readonly reader: TypeReader;
}

/** A file that types can be looked up in. */
interface Source {
  readonly format: string;
  readonly target: Target;
  readonly find: (keyword: Keyword | undefined, name: string) => Found | undefined;
  readonly enumerator: (name: string) => bigint | undefined;
}

type Keyword = 'struct' | 'union' | 'enum';

const NAME = /^(?:(struct|union|enum|class)\s+)?((?:[A-Za-z_]\w*::)*[A-Za-z_]\w*)$/;

/**
 * Takes types out of the BTF or the debug information of a file; no compiler is asked, and nothing is run. Alignments are
 * those that the places of the fields imply.
 * @throws ExtractError `EXTRACT_BINARY`, `EXTRACT_UNKNOWN_TYPE`, `EXTRACT_UNSUPPORTED`, `EXTRACT_REQUEST`.
 */
export function extractFile(options: ExtractFileOptions): Extraction {
  if (options.types.length === 0) throw new ExtractError('EXTRACT_REQUEST', 'found no type, expected at least one');
  const source = sourceOf(options);
  const describer = new Describer(source.target, new Map());
  const types: Extraction['types'][number][] = [];
  const constants: ExtractedConstant[] = [];
  for (const word of options.types) {
    const [, keyword, name] = NAME.exec(word) ?? [];
    if (name === undefined) {
      throw new ExtractError('EXTRACT_REQUEST', `found ${JSON.stringify(word)}, expected a type such as "struct foo"`);
    }
    const found = source.find(keyword === 'class' ? 'struct' : (keyword as Keyword | undefined), name);
    if (found !== undefined) {
      types.push(described(word, found, describer, source.target));
      continue;
    }
    const value = keyword === undefined ? source.enumerator(name) : undefined;
    if (value === undefined) {
      throw new ExtractError('EXTRACT_UNKNOWN_TYPE', `${word} is not in the ${source.format} of ${options.file}`);
    }
    constants.push({ name, type: 'enum', size: 4, value });
  }
  return { compiler: source.format, target: source.target.name, types, constants };
}

/** @throws ExtractError `EXTRACT_UNSUPPORTED` also of what no compiler lays out so, as a file of a stranger may have it. */
function described(word: string, found: Found, describer: Describer, target: Target): Extraction['types'][number] {
  try {
    const made = extracted(word, found.reader.type(found.entry), new Map(), describer);
    return { ...made, align: resolve(made.layout, target).align };
  } catch (error) {
    if (!(error instanceof LayoutError)) throw error;
    throw new ExtractError('EXTRACT_UNSUPPORTED', `${word} cannot be described: ${error.message}`, { cause: error });
  }
}

function sourceOf({ file, bytes: given, base, target }: ExtractFileOptions): Source {
  const { bytes, fill } = given === undefined ? openBytes(file) : { bytes: given, fill: undefined };
  if (isBtf(bytes)) return btfSource(readBtf(bytes, baseOf(base)), target);
  if (!isElf(bytes)) throw new ExtractError('EXTRACT_BINARY', `${file} is neither ELF nor BTF`);
  const elf = readElf(bytes, fill);
  if (elf.has('.BTF')) return btfSource(readBtf(elf.section('.BTF').bytes, baseOf(base)), elf.target);
  if (elf.has('.debug_info')) return dwarfSource(elf);
  throw new ExtractError(
    'EXTRACT_BINARY',
    `${file} has neither BTF nor debug information; build it with -g, or name the file that has it`,
  );
}

function baseOf(file: string | undefined): Btf['base'] | undefined {
  if (file === undefined) return undefined;
  const { bytes, fill } = openBytes(file);
  return readBtf(isElf(bytes) ? readElf(bytes, fill).section('.BTF').bytes : bytes).base;
}

function btfSource(btf: Btf, target: Target | undefined): Source {
  const is64 = (btf.wordBits ?? 64) === 64;
  const here = process.arch === 'arm64' ? aarch64 : x86_64;
  const guessed = btf.endian === 'little' ? (is64 ? here : i386) : is64 ? s390x : ppc;
  const chosen = target?.endian === btf.endian ? target : guessed;
  const reader = new TypeReader({ entries: [], referred: btf.referred }, chosen);
  return {
    format: 'BTF',
    target: chosen,
    enumerator: btf.enumerator,
    find(keyword, name) {
      const entry = btf.find(keyword, name);
      return entry === undefined ? undefined : { entry, reader };
    },
  };
}

const TAGS: Readonly<Record<Keyword, readonly number[]>> = {
  struct: [TAG.structure, TAG.class],
  union: [TAG.union],
  enum: [TAG.enumeration],
};
const ANY: readonly number[] = [TAG.typedef, TAG.base, ...Object.values(TAGS).flat()];

/** Units are read one after the other, until the type was found. */
function dwarfSource(elf: Elf): Source {
  const size = elf.section('.debug_info').bytes.length;
  const units: { readonly unit: Unit; readonly reader: TypeReader }[] = [];
  let next = 0;
  const unitAt = (index: number): (typeof units)[number] | undefined => {
    if (units[index] === undefined && next < size) {
      const unit = readUnit(elf, next);
      next = unit.end;
      units.push({ unit, reader: new TypeReader(unit, elf.target) });
    }
    return units[index];
  };
  const inScope = (entries: readonly Entry[], path: readonly string[], tags: readonly number[]): Entry | undefined => {
    const [first, ...rest] = path;
    for (const entry of entries) {
      if (entry.attributes.get(AT.name) !== first) continue;
      if (rest.length === 0 && tags.includes(entry.tag) && !entry.attributes.has(AT.declaration)) return entry;
      const inner = rest.length === 0 ? undefined : inScope(entry.children, rest, tags);
      if (inner !== undefined) return inner;
    }
    return undefined;
  };
  const search = <T>(look: (found: (typeof units)[number]) => T | undefined): T | undefined => {
    for (let index = 0; ; index += 1) {
      const unit = unitAt(index);
      if (unit === undefined) return undefined;
      const found = look(unit);
      if (found !== undefined) return found;
    }
  };
  return {
    format: 'DWARF',
    target: elf.target,
    find: (keyword, name) =>
      search(({ unit, reader }) => {
        const entry = inScope(unit.entries, name.split('::'), keyword === undefined ? ANY : TAGS[keyword]);
        return entry === undefined ? undefined : { entry, reader };
      }),
    enumerator: (name) =>
      search(({ unit }) => {
        for (const entry of unit.entries) {
          if (entry.tag !== TAG.enumeration) continue;
          const found = entry.children
            .find((item) => item.attributes.get(AT.name) === name)
            ?.attributes.get(AT.constValue);
          if (found !== undefined) return BigInt(found);
        }
        return undefined;
      }),
  };
}
