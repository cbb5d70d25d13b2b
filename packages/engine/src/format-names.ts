import { IMAGE_FORMAT } from '@instar/shared-abi';

const NUMBERS = IMAGE_FORMAT.values;

/** Formats by the name that qemu-img gives them. */
const BY_NAME: Readonly<Record<string, number>> = {
  raw: NUMBERS.RAW,
  qcow2: NUMBERS.QCOW2,
  vmdk: NUMBERS.VMDK,
  vdi: NUMBERS.VDI,
  vpc: NUMBERS.VPC,
  vhdx: NUMBERS.VHDX,
  qcow: NUMBERS.QCOW,
  qed: NUMBERS.QED,
  parallels: NUMBERS.PARALLELS,
  luks: NUMBERS.LUKS,
  bochs: NUMBERS.BOCHS,
  cloop: NUMBERS.CLOOP,
  dmg: NUMBERS.DMG,
  simg: NUMBERS.SIMG,
  gzip: NUMBERS.GZIP,
  xz: NUMBERS.XZ,
  zstd: NUMBERS.ZSTD,
  bzip2: NUMBERS.BZIP2,
  asif: NUMBERS.ASIF,
  iso9660: NUMBERS.ISO,
};

/** Every format that is known, also those that are only recognised. */
export const FORMAT_NAMES = Object.keys(BY_NAME);

/** Name of a format number; `unknown` for a number that no format has. */
export function formatName(number: number): string {
  return Object.entries(BY_NAME).find(([, value]) => value === number)?.[0] ?? 'unknown';
}

/** Whether a name is that of a known format. */
export function isKnownFormat(name: string): boolean {
  return Object.hasOwn(BY_NAME, name);
}

/** Number of a known format's name. */
export function formatNumber(name: string): number | undefined {
  return isKnownFormat(name) ? BY_NAME[name] : undefined;
}
