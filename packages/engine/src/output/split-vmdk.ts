import { directoryOf, leafOf } from '@instar/host-files';
import { randomBytes } from '@instar/vmm-native';
import { EngineError } from '../errors.js';
import type { ImageLayout } from './layout.js';

/** A file that holds a part of a disk. */
export interface DiskPart {
  /** Where it lies. */
  readonly path: string;
  /** First byte of the disk, and bytes. */
  readonly start: bigint;
  readonly length: bigint;
}

/** Bytes of the disk in one extent of `twoGbMaxExtent…`. */
const TWO_GIB = 2n ** 31n;
const SECTOR = 512n;
const MOST_EXTENTS = 60n;
const SECTORS_OF_TRACK = 63n;
/** Tools that VMware does not manage, such as open-vm-tools. */
const UNMANAGED_TOOLS = 0x7fff_ffff;

const FLAT: readonly (string | undefined)[] = ['monolithicFlat', 'twoGbMaxExtentFlat'];

/** Whether the extents of a disk are raw files. */
export function isFlat({ subformat }: ImageLayout): boolean {
  return FLAT.includes(subformat);
}

/** Whether a disk lies in several files. */
export function isSplit(layout: ImageLayout): boolean {
  return isFlat(layout) || layout.subformat === 'twoGbMaxExtentSparse';
}

/**
 * The extents of a disk, which lie beside its descriptor and are named as QEMU and VMware do it.
 * @param size bytes of the disk, whole sectors
 * @throws EngineError where it has none, or more than are read again, or a descriptor could not name them
 */
export function extentsOf(output: string, size: bigint, layout: ImageLayout): readonly DiskPart[] {
  const leaf = leafOf(output);
  if (size === 0n) {
    throw new EngineError('IMAGE_UNSUPPORTED_OUTPUT', 'a disk of this format has at least one sector', {
      file: output,
    });
  }
  // eslint-disable-next-line no-control-regex -- they would end the line that names the extent
  if (/["\u0000-\u001f\u007f]/.test(leaf)) {
    const problem = 'cannot be named in a descriptor: expected a name without quotes and control characters';
    throw new EngineError('INVALID_OPTION', problem, { file: output });
  }
  const whole = layout.subformat === 'monolithicFlat' ? size : TWO_GIB;
  const count = (size + whole - 1n) / whole;
  if (count > MOST_EXTENTS) {
    const problem = `would be ${count} files, more than ${MOST_EXTENTS}: use another subformat`;
    throw new EngineError('INVALID_OPTION', problem, { file: output });
  }
  const dot = leaf.lastIndexOf('.');
  const [name, ending] = dot === -1 ? [leaf, ''] : [leaf.slice(0, dot), leaf.slice(dot)];
  const front = output.includes('/') ? `${directoryOf(output).replace(/\/$/, '')}/` : '';
  return Array.from({ length: Number(count) }, (_, index) => {
    const start = BigInt(index) * whole;
    const number = String(index + 1).padStart(3, '0');
    const which = layout.subformat === 'monolithicFlat' ? 'flat' : `${isFlat(layout) ? 'f' : 's'}${number}`;
    return {
      path: `${front}${name}-${which}${ending}`,
      start,
      length: size - start < whole ? size - start : whole,
    };
  });
}

/** The text that describes a disk in several files ("The Descriptor File"). */
export function descriptorOf(parts: readonly DiskPart[], layout: ImageLayout): Buffer {
  const { subformat = '', adapterType = 'ide', hardwareVersion = 4, toolsVersion = UNMANAGED_TOOLS } = layout;
  const sectors = parts.reduce((sum, { length }) => sum + length / SECTOR, 0n);
  // What is no IDE disk has more heads.
  const heads = adapterType === 'ide' ? 16n : 255n;
  const [kind, offset] = isFlat(layout) ? ['FLAT', ' 0'] : ['SPARSE', ''];
  // All ones mean that there is no parent.
  const contentId = (Buffer.from(randomBytes(4)).readUInt32LE() & 0x7fff_ffff).toString(16).padStart(8, '0');
  const lines = [
    ...[
      '# Disk DescriptorFile',
      'version=1',
      `CID=${contentId}`,
      'parentCID=ffffffff',
      `createType="${subformat}"`,
      '',
    ],
    '# Extent description',
    ...parts.map(({ path, length }) => `RW ${length / SECTOR} ${kind} "${leafOf(path)}"${offset}`),
    ...['', '# The Disk Data Base', '#DDB', '', `ddb.virtualHWVersion = "${hardwareVersion}"`],
    `ddb.geometry.cylinders = "${sectors / (heads * SECTORS_OF_TRACK)}"`,
    `ddb.geometry.heads = "${heads}"`,
    `ddb.geometry.sectors = "${SECTORS_OF_TRACK}"`,
    `ddb.adapterType = "${adapterType}"`,
    `ddb.toolsVersion = "${toolsVersion}"`,
  ];
  return Buffer.from(`${lines.join('\n')}\n`);
}
