import { qemuImg, qemuIo } from './qemu-img.js';
import type { Random } from './random.js';
import type { Workdir } from './workdir.js';

const KIB = 1024;
const MOST_BYTES = 600 * KIB;
const MOST_LAYERS = 4;

/** An image made from random decisions. */
export interface RandomImage {
  readonly file: string;
  readonly format: 'raw' | 'qcow2';
  /** Virtual size (bytes), rounded up to a sector. */
  readonly size: number;
  /** Commands that made it, for a report. */
  readonly made: readonly string[];
}

/** Sizes around the edges of sectors and clusters as often as any others. */
function randomSize(random: Random): number {
  switch (random.below(4)) {
    case 0:
      return random.pick([0, 1, 511, 512, 513, 1000, 4095, 4096, 4097, 65535, 65536, 65537, 131072]);
    case 1:
      return random.between(1, 3000);
    default:
      return random.between(1, MOST_BYTES);
  }
}

/** Data in a few places, holes between them. */
function randomContent(random: Random, length: number): Buffer {
  const content = Buffer.alloc(length);
  const pieces = length === 0 ? 0 : random.between(0, 6);
  for (let piece = 0; piece < pieces; piece += 1) {
    const from = random.below(length);
    const to = Math.min(length, from + random.between(1, 100 * KIB));
    if (random.chance(2)) random.bytes(to - from).copy(content, from);
    else content.fill(random.between(1, 255), from, to);
  }
  return content;
}

interface Layout {
  readonly options: readonly string[];
  readonly cluster: number;
  readonly compressible: boolean;
  readonly zeros: boolean;
}

function randomLayout(random: Random, file: string): Layout {
  const cluster = random.pick([512, 2 * KIB, 4 * KIB, 16 * KIB, 64 * KIB, 64 * KIB, 2048 * KIB]);
  const options = [`cluster_size=${cluster}`];
  const version2 = random.chance(6);
  if (version2) options.push('compat=0.10');
  const extended = !version2 && cluster >= 16 * KIB && random.chance(3);
  if (extended) options.push('extended_l2=on');
  const dataFile = !version2 && random.chance(6);
  if (dataFile) options.push(`data_file=${file}.data`);
  else if (!version2 && random.chance(2)) options.push('compression_type=zstd');
  if (!version2 && random.chance(5)) options.push(`refcount_bits=${random.pick([1, 8, 32, 64])}`);
  if (!version2 && random.chance(8)) options.push('lazy_refcounts=on');
  return { options: ['-o', options.join(',')], cluster, compressible: !dataFile, zeros: !version2 };
}

/** Writes as a guest would make them, and compressed clusters among them. */
function randomWrites(random: Random, size: number, layout: Layout): string[] {
  const commands: string[] = [];
  const sectors = Math.floor(size / 512);
  if (sectors === 0) return commands;
  for (let index = random.between(0, 8); index > 0; index -= 1) {
    const from = random.below(sectors);
    const length = Math.min(sectors - from, random.pick([1, 2, 8, 31, 128, 200]));
    const range = `${from * 512} ${length * 512}`;
    const clusters = Math.floor(size / layout.cluster);
    if (layout.compressible && clusters > 0 && random.chance(3)) {
      commands.push(`write -c -P ${random.below(256)} ${random.below(clusters) * layout.cluster} ${layout.cluster}`);
    } else if (layout.zeros && random.chance(4)) {
      commands.push(`write -z ${random.chance(2) ? '-u ' : ''}${range}`);
    } else if (random.chance(6)) {
      commands.push(`discard ${range}`);
    } else {
      commands.push(`write -P ${random.between(1, 255)} ${range}`);
    }
  }
  return commands;
}

function converted(random: Random, directory: Workdir, file: string): RandomImage {
  const content = randomContent(random, randomSize(random));
  directory.write(`${file}.source`, content);
  const layout = randomLayout(random, file);
  const compress = layout.compressible && random.chance(2) ? ['-c'] : [];
  const command = qemuImg(
    'convert',
    '-f',
    'raw',
    '-O',
    'qcow2',
    ...compress,
    ...layout.options,
    `${file}.source`,
    file,
  );
  command.in(directory).must();
  return { file, format: 'qcow2', size: Math.ceil(content.length / 512) * 512, made: [command.toString()] };
}

function layered(random: Random, directory: Workdir, file: string, below: RandomImage | undefined): RandomImage {
  const layout = randomLayout(random, file);
  const size = below !== undefined && random.chance(2) ? below.size : Math.ceil(randomSize(random) / 512) * 512;
  const backing = below === undefined ? [] : ['-b', below.file, '-F', below.format];
  const create = qemuImg('create', '-q', '-f', 'qcow2', ...backing, ...layout.options, file, String(size)).in(
    directory,
  );
  create.must();
  const made = [...(below?.made ?? []), create.toString()];
  const commands = randomWrites(random, size, layout);
  if (commands.length > 0) {
    const write = qemuIo(file, ...commands).in(directory);
    // A compressed write to a cluster that is there already is refused; the others are made all the same.
    write.run();
    made.push(write.toString());
  }
  return { file, format: 'qcow2', size, made };
}

function raw(random: Random, directory: Workdir, file: string): RandomImage {
  const content = randomContent(random, randomSize(random));
  directory.write(file, content);
  return { file, format: 'raw', size: Math.ceil(content.length / 512) * 512, made: [`# ${content.length} bytes`] };
}

/** One image: raw, converted from raw, or a chain of up to four layers. */
export function randomImage(random: Random, directory: Workdir, name: string): RandomImage {
  if (random.chance(5)) return raw(random, directory, `${name}.raw`);
  if (random.chance(3)) return converted(random, directory, `${name}.img`);
  const layers = random.between(1, MOST_LAYERS);
  let image: RandomImage | undefined;
  for (let layer = 1; layer <= layers; layer += 1) {
    const last = layer === layers;
    const file = last ? `${name}.img` : `${name}-${layer}.img`;
    if (!last && layer === 1 && random.chance(2)) image = raw(random, directory, `${name}-1.raw`);
    else if (!last && layer === 1 && random.chance(3)) image = converted(random, directory, file);
    else image = layered(random, directory, file, image);
  }
  return image ?? raw(random, directory, `${name}.raw`);
}
