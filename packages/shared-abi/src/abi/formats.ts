import { defineEnum } from '@instar/layout';

/** What is said of a format. */
interface Format {
  /** Its number, which never changes. */
  readonly number: number;
  /** Its name, as qemu-img spells it where it knows the format. */
  readonly name: string;
  readonly doc: string;
  /** Whether images of it are read, and written. */
  readonly uses: 'recognised' | 'read' | 'written';
  /** A raw disk that was packed as a whole. */
  readonly packed?: true;
}

/** Every format: the one table of the host and of the guest, whose drivers lie in folders of these names. */
const FORMATS = {
  RAW: { number: 1, name: 'raw', doc: 'raw bytes', uses: 'written' },
  QCOW2: { number: 2, name: 'qcow2', doc: 'QEMU copy-on-write 2 and 3', uses: 'written' },
  VMDK: { number: 3, name: 'vmdk', doc: 'VMware virtual disk', uses: 'written' },
  VDI: { number: 4, name: 'vdi', doc: 'VirtualBox disk image', uses: 'written' },
  VPC: { number: 5, name: 'vpc', doc: 'Virtual PC / VHD', uses: 'written' },
  VHDX: { number: 6, name: 'vhdx', doc: 'Hyper-V virtual disk v2', uses: 'written' },
  QCOW: { number: 7, name: 'qcow', doc: 'QEMU copy-on-write 1', uses: 'written' },
  LUKS: { number: 10, name: 'luks', doc: 'LUKS container', uses: 'written' },
  QED: { number: 8, name: 'qed', doc: 'QEMU enhanced disk', uses: 'written' },
  PARALLELS: { number: 9, name: 'parallels', doc: 'Parallels disk', uses: 'written' },
  BOCHS: { number: 11, name: 'bochs', doc: 'Bochs growing disk', uses: 'read' },
  CLOOP: { number: 12, name: 'cloop', doc: 'compressed loop image', uses: 'read' },
  DMG: { number: 13, name: 'dmg', doc: 'Apple disk image', uses: 'read' },
  ISO: { number: 14, name: 'iso9660', doc: 'ISO 9660 file system in a raw image', uses: 'recognised' },
  SIMG: { number: 15, name: 'simg', doc: 'Android sparse image', uses: 'written' },
  GZIP: { number: 16, name: 'gzip', doc: 'raw bytes, packed by gzip', uses: 'read', packed: true },
  XZ: { number: 17, name: 'xz', doc: 'raw bytes, packed by xz', uses: 'read', packed: true },
  ZSTD: { number: 18, name: 'zstd', doc: 'raw bytes, packed by zstd', uses: 'read', packed: true },
  BZIP2: { number: 19, name: 'bzip2', doc: 'raw bytes, packed by bzip2', uses: 'read', packed: true },
  ASIF: { number: 20, name: 'asif', doc: 'Apple sparse image', uses: 'read' },
  SPARSEIMAGE: { number: 21, name: 'sparseimage', doc: 'Apple sparse image before ASIF (UDSP)', uses: 'read' },
} as const satisfies Readonly<Record<string, Format>>;

type Formats = typeof FORMATS;
type NameOf<U> = { [K in keyof Formats]: Formats[K]['uses'] extends U ? Formats[K]['name'] : never }[keyof Formats];
/** The name of a format whose images are read. */
export type ReadableFormat = NameOf<'read' | 'written'>;
/** The name of a format whose images are written. */
export type WritableFormat = NameOf<'written'>;

const rows: readonly (readonly [code: string, format: Format])[] = Object.entries(FORMATS);

function namesWhere(is: (format: Format) => boolean): readonly string[] {
  return rows.filter(([, format]) => is(format)).map(([, { name }]) => name);
}

const numbered = {} as Record<keyof Formats, readonly [number, string]>;
for (const code of Object.keys(FORMATS) as (keyof Formats)[])
  numbered[code] = [FORMATS[code].number, FORMATS[code].doc];

/** Image formats by the number that `target_format` and the probe use. */
export const IMAGE_FORMAT = defineEnum('ImageFormat', 'Image formats; 0 asks for a probe.', {
  PROBE: [0, 'not stated: probe'],
  ...numbered,
});

/** Numbers of formats by their names, also of those that are only recognised. */
export const FORMAT_NUMBERS: Readonly<Record<string, number>> = Object.fromEntries(
  rows.map(([, { name, number }]) => [name, number]),
);
/** Names of the formats whose images are read. */
export const READABLE_FORMATS = namesWhere(({ uses }) => uses !== 'recognised') as readonly ReadableFormat[];
/** Names of the formats whose images are written. */
export const WRITABLE_FORMATS = namesWhere(({ uses }) => uses === 'written') as readonly WritableFormat[];
/** Names of the formats of files that are a raw disk, packed as a whole. */
export const PACKED_FORMATS = namesWhere(({ packed }) => packed === true);
