import { nameOf } from '@instar/layout';
import { RAW_CONTENT } from '@instar/shared-abi';

/** What a raw file holds, as far as its first bytes tell. Stable; new ones append. */
export type RawContentName =
  | 'mbr'
  | 'gpt'
  | 'iso9660'
  | 'file-system'
  | 'gzip'
  | 'xz'
  | 'zstd'
  | 'bzip2'
  | 'zip'
  | 'tar'
  | 'lz4'
  | 'seven-zip'
  | 'rar'
  | 'android-sparse';

/** What a raw file was recognised by. */
export interface RawContent {
  /** Undefined where nothing was recognised. */
  readonly name: RawContentName | undefined;
  /** In words. */
  readonly text: string;
  /** The command that unpacks it, where there is one that everybody has. */
  readonly unpack: string | undefined;
  /** Somebody has still to unpack it: its bytes are not those of a disk. */
  readonly packed: boolean;
}

const TEXTS: Readonly<Record<RawContentName, string>> = {
  mbr: 'a partition table (MBR)',
  gpt: 'a partition table (GPT)',
  iso9660: 'an ISO 9660 file system',
  'file-system': 'a file system, swap area or volume group without partitions',
  gzip: 'compressed by gzip',
  xz: 'compressed by xz',
  zstd: 'compressed by zstd',
  bzip2: 'compressed by bzip2',
  zip: 'a ZIP archive',
  tar: 'a tar archive (as appliances, .ova, are)',
  lz4: 'compressed by lz4',
  'seven-zip': 'a 7-Zip archive',
  rar: 'a RAR archive',
  'android-sparse': 'an Android sparse image',
};

const UNPACK: Readonly<Partial<Record<RawContentName, string>>> = {
  gzip: 'gzip -dk',
  xz: 'xz -dk',
  zstd: 'zstd -d',
  bzip2: 'bzip2 -dk',
  zip: 'unzip',
  tar: 'tar -xf',
  lz4: 'lz4 -d',
};

const NOTHING: RawContent = { name: undefined, text: 'nothing recognised', unpack: undefined, packed: false };

/** The content behind its number in the ABI; a number that none has is nothing recognised. */
export function contentOf(number: number): RawContent {
  const code = nameOf(RAW_CONTENT, number)?.toLowerCase().replaceAll('_', '-');
  const name = Object.keys(TEXTS).find((known): known is RawContentName => known === code);
  if (name === undefined) return NOTHING;
  return { name, text: TEXTS[name], unpack: UNPACK[name], packed: number >= RAW_CONTENT.values.GZIP };
}
