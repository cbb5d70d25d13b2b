import type { Judge } from '../../../../../tests/support/judge.js';

/** An attribute of a specification. */
export type Attribute = Readonly<Record<string, unknown>>;

/** The facts of a format in Kaitai's language, and how a program that is not ours makes a file of it. */
export interface Format {
  /** The `id` of the specification. */
  readonly name: string;
  readonly endian: 'le' | 'be';
  readonly seq: readonly Attribute[];
  readonly types?: Readonly<Record<string, { readonly seq: readonly Attribute[] }>>;
  readonly instances?: Readonly<Record<string, Attribute>>;
  readonly enums?: Readonly<Record<string, Readonly<Record<number, string>>>>;
  readonly maker: Judge;
  /** Commands of a shell that leave the file as `made`. */
  readonly make: string;
  /** What is known of the file from how it was made, by paths. */
  readonly known: Readonly<Record<string, unknown>>;
  /** Whether all of the file is described, so that writing gives it back. */
  readonly whole: boolean;
}

/** Attributes from `name: type` words: `magic:u4 flags:u2be name:16 label:str11 rest:*`. */
export function fields(words: string): readonly Attribute[] {
  return words
    .trim()
    .split(/\s+/)
    .map((word) => {
      const [id = '', type = ''] = word.split(':');
      if (type === '*') return { id, 'size-eos': true };
      if (/^\d+$/.test(type)) return { id, size: Number(type) };
      const [, text] = /^str(\d+)$/.exec(type) ?? [];
      if (text !== undefined) return { id, type: 'str', size: Number(text), encoding: 'ASCII' };
      return { id, type };
    });
}

/** The document that a compiler takes. */
export function documentOf({ name, endian, seq, types = {}, instances = {}, enums = {} }: Format) {
  return { meta: { id: name, endian, encoding: 'ASCII' }, seq, types, instances, enums } as const;
}

const judge = (program: string, debian: string, probe = '--version'): Judge => ({
  program,
  probe: [probe],
  package: debian,
});

export const PYTHON = judge('python3', 'python3');
export const GZIP = judge('gzip', 'gzip');
export const BZIP2 = judge('bzip2', 'bzip2', '--help');
export const ZIP = judge('zip', 'zip', '-v');
export const SFDISK = judge('sfdisk', 'fdisk');
export const MKFS_FAT = judge('mkfs.fat', 'dosfstools', '--help');
export const CRYPTSETUP = judge('cryptsetup', 'cryptsetup-bin');
export const MKE2FS = judge('mke2fs', 'e2fsprogs', '-V');
export const MKSWAP = judge('mkswap', 'util-linux');
export const MKFS_MINIX = judge('mkfs.minix', 'util-linux');
export const TCPDUMP = judge('tcpdump', 'tcpdump');
export const GCC = judge('gcc', 'gcc');
export const CHROMIUM = judge('chromium', 'chromium');
