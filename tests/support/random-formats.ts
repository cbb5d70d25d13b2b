import { qemuImg, qemuIo } from './qemu-img.js';
import type { Random } from './random.js';
import type { Workdir } from './workdir.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** A format that qemu-img writes, and how images of it may be made. */
export interface RandomFormat {
  readonly name: string;
  /** Options of an image that is written to, and of one that is converted. */
  readonly options: (random: Random, converted: boolean) => readonly string[];
  /** Largest disk (bytes): so that a few of its units are used. */
  readonly most: number;
  /** qemu-img maps it otherwise, because: */
  readonly unlikeMap?: string;
}

const SPARSE: readonly [string, ...string[]] = ['monolithicSparse', 'twoGbMaxExtentSparse'];
const FLAT: readonly [string, ...string[]] = ['monolithicFlat', 'twoGbMaxExtentFlat'];

/** Those that are neither raw nor qcow2. */
export const RANDOM_FORMATS: readonly RandomFormat[] = [
  {
    name: 'vmdk',
    most: 3 * MIB,
    options: (random, converted) => {
      const subformat = random.pick<string>(converted ? ['streamOptimized', ...SPARSE] : [...SPARSE, ...FLAT]);
      const zeroed = SPARSE.includes(subformat) && random.chance(3) ? ',zeroed_grain=on' : '';
      return ['-o', `subformat=${subformat}${zeroed}`];
    },
  },
  { name: 'vdi', most: 5 * MIB, options: (random) => ['-o', `static=${random.chance(4) ? 'on' : 'off'}`] },
  {
    name: 'vpc',
    most: 9 * MIB,
    options: (random) => ['-o', `subformat=${random.chance(4) ? 'fixed' : 'dynamic'},force_size=on`],
  },
  {
    name: 'vhdx',
    most: 9 * MIB,
    options: (random) => [
      '-o',
      `subformat=${random.chance(4) ? 'fixed' : 'dynamic'},block_size=${random.pick([1, 1, 2, 8])}M`,
    ],
    unlikeMap: 'it takes all of a vhdx for data, and says no place',
  },
  {
    name: 'qed',
    most: 2 * MIB,
    options: (random) => ['-o', `cluster_size=${random.pick([4, 16, 64])}k,table_size=${random.pick([4, 4, 16])}`],
  },
  { name: 'parallels', most: 4 * MIB, options: (random) => ['-o', `cluster_size=${random.pick([64, 256, 1024])}k`] },
  { name: 'qcow', most: 2 * MIB, options: () => [] },
];

/** An image, and the commands that made it, for a report. */
export interface Made {
  readonly file: string;
  readonly format: RandomFormat;
  readonly how: string;
}

/** A disk with data in a few places, zeros and holes between. */
export function randomDisk(random: Random, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let piece = random.between(0, 5); piece > 0; piece -= 1) {
    const from = random.below(length);
    const to = Math.min(length, from + random.between(1, 200 * KIB));
    if (random.chance(2)) random.bytes(to - from).copy(bytes, from);
    else bytes.fill(random.between(1, 255), from, to);
  }
  return bytes;
}

/** Makes a small image by random decisions: converted, or created and written to. */
export function makeRandomImage(random: Random, directory: Workdir, format: RandomFormat, number: number): Made {
  const file = `${format.name}-${number}`;
  const size = 512 * random.between(1, random.chance(2) ? 40 : format.most / 512);
  const options = format.options.bind(undefined, random);
  if (random.chance(3)) {
    directory.write('source', randomDisk(random, size));
    const command = qemuImg('convert', '-f', 'raw', '-O', format.name, ...options(true), 'source', file);
    command.in(directory).must();
    return { file, format, how: command.toString() };
  }
  const create = qemuImg('create', '-q', '-f', format.name, ...options(false), file, String(size));
  create.in(directory).must();
  const sectors = size / 512;
  const writes = Array.from({ length: random.between(0, 6) }, () => {
    const from = random.below(sectors);
    const length = 512 * Math.min(sectors - from, random.pick([1, 3, 8, 127, 300]));
    const kind = random.chance(4) ? 'write -z' : `write -P ${random.between(1, 255)}`;
    return `${kind} ${from * 512} ${length}`;
  });
  const write = qemuIo(file, ...writes);
  if (writes.length > 0) write.in(directory).must();
  return { file, format, how: `${create.toString()}; ${write.toString()}` };
}
