// Images whose tables say something else than they did.
import type { Random } from './random.js';

const MIB = 1 << 20;

/** An entry of the block map of a VDI, or the count of them. */
export function damageVdi(random: Random, image: Buffer): Buffer {
  const map = image.readUInt32LE(340);
  const blocks = image.readUInt32LE(384);
  const entry = map + 4 * random.below(blocks);
  switch (random.below(3)) {
    case 0:
      image.writeUInt32LE(image.readUInt32LE(map + 4 * random.below(blocks)), entry);
      break;
    case 1:
      image.writeUInt32LE(blocks + random.below(100), entry);
      break;
    default:
      image.writeUInt32LE(random.below(9), 388);
  }
  return image;
}

/** An entry of L1 or of an L2 table of a QED, or clusters at the end. */
function damageQed(random: Random, image: Buffer): Buffer {
  const cluster = image.readUInt32LE(4);
  const l1 = Number(image.readBigUInt64LE(40));
  const l2 = Number(image.readBigUInt64LE(l1));
  const clusters = Math.floor(image.length / cluster);
  const place = BigInt(cluster * random.below(clusters + 2));
  switch (random.below(5)) {
    case 0:
      image.writeBigUInt64LE(place, l1 + 8 * random.below(2));
      break;
    case 1:
      if (l2 + cluster <= image.length) image.writeBigUInt64LE(0n, l2 + 8 * random.below(8));
      break;
    case 2:
      return Buffer.concat([image, Buffer.alloc(cluster * random.between(1, 3) + random.below(cluster))]);
    case 3:
      if (l2 + cluster <= image.length) image.writeBigUInt64LE(place + 512n, l2 + 8 * random.below(8));
      break;
    default:
      if (l2 + cluster <= image.length) image.writeBigUInt64LE(place, l2 + 8 * random.below(8));
  }
  return image;
}

/** An entry of the table of a Parallels disk, a field of its header, or bytes at the end. */
function damageParallels(random: Random, image: Buffer): Buffer {
  const entries = image.readUInt32LE(32);
  const cluster = image.readUInt32LE(28) * 512;
  const entry = 64 + 4 * random.below(entries);
  switch (random.below(5)) {
    case 0:
      image.writeUInt32LE(0x746f_6e59, 44);
      break;
    case 1:
      image.writeUInt32LE(random.pick([1, 2, 0xffff_ffff]), 48);
      break;
    case 2:
      return Buffer.concat([image, Buffer.alloc(random.between(1, 3 * cluster))]);
    case 3:
      image.writeUInt32LE(0, entry);
      break;
    default:
      image.writeUInt32LE(image.readUInt32LE(64 + 4 * random.below(entries)), entry);
  }
  return image;
}

/** Entries of the allocation table of a VHDX that lie behind the end. */
function damageVhdx(random: Random, image: Buffer): Buffer {
  const bat = batOfVhdx(image);
  const blocks = Math.ceil(image.length / MIB);
  image.writeBigUInt64LE((BigInt(blocks + random.below(50)) << 20n) | 6n, bat + 8 * random.below(3));
  return image;
}

const BAT_REGION = Buffer.from('6677c22d23f600429d64115e9bfd4a08', 'hex');

/** Where the block allocation table of a VHDX stands. */
export function batOfVhdx(image: Buffer): number {
  const table = image.subarray(192 << 10, 256 << 10);
  return Number(table.readBigUInt64LE(table.indexOf(BAT_REGION) + 16));
}

/** A copy with another word of 32 bits (little-endian) at a place. */
export function damageAt(image: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(image);
  copy.writeUInt32LE(value, at);
  return copy;
}

/** Where the first entries of a table stand for which `read` says more than 0. */
export function allocated(
  image: Buffer,
  table: number,
  width: number,
  read: (at: number) => number,
): readonly number[] {
  const places: number[] = [];
  for (let at = table; at < image.length && places.length < 2; at += width) if (read(at) > 0) places.push(at);
  return places;
}

/** Damages an image of a format, at random. */
export const DAMAGE: Readonly<Record<string, (random: Random, image: Buffer) => Buffer>> = {
  vdi: damageVdi,
  qed: damageQed,
  parallels: damageParallels,
  vhdx: damageVhdx,
};
