// Repairs of qcow2 images beside those of qemu-img: what is mended, what is left, and how much is said to be.
import { expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';

const KIB = 1024;
const CLUSTER = 64 * KIB;
const COPIED = 1n << 63n;
const ZERO = 1n;
const OFFSET = 0x00ff_ffff_ffff_fe00n;

/** Where the structures of an image lie, and its numbers. */
class Bent {
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  at(offset: number): bigint {
    return this.#bytes.readBigUInt64BE(offset);
  }

  put(offset: number, value: bigint): void {
    this.#bytes.writeBigUInt64BE(value, offset);
  }

  get l1(): number {
    return Number(this.at(40));
  }

  get l2(): number {
    return Number(this.at(this.l1) & OFFSET);
  }

  get refcountTable(): number {
    return Number(this.at(48));
  }

  get refcounts(): number {
    return Number(this.at(this.refcountTable));
  }

  count(cluster: number, value: number): void {
    this.#bytes.writeUInt16BE(value, this.refcounts + 2 * cluster);
  }
}

interface Damage {
  readonly name: string;
  readonly options?: string;
  readonly mode?: 'all' | 'leaks';
  readonly bend: (image: Bent) => void;
}

/** Data in clusters 5 and up; the third and fourth have a place and read as zeros. */
function image(options: string): Workdir {
  const directory = workdir();
  qemuImg('create', '-q', '-f', 'qcow2', '-o', options, 'image', '8M').in(directory).must();
  qemuIo('image', 'write -q -P 5 0 512k', 'write -q -z 128k 128k').in(directory).must();
  return directory;
}

const DAMAGES: readonly Damage[] = [
  {
    name: 'a cluster of zeros whose place is misaligned',
    bend: (image) => {
      image.put(image.l2 + 16, image.at(image.l2 + 16) + 512n);
    },
  },
  {
    name: 'such a cluster behind the end of the file',
    bend: (image) => {
      image.put(image.l2 + 16, COPIED | (1n << 40n) | 512n | ZERO);
    },
  },
  {
    name: 'such a cluster of an image with subclusters',
    options: 'extended_l2=on,cluster_size=64k',
    bend: (image) => {
      image.put(image.l2 + 32, image.at(image.l2 + 32) + 512n);
      image.put(image.l2 + 40, 0xffff_ffff_0000_0000n);
    },
  },
  {
    name: 'such a cluster, and leaks alone are to be mended',
    mode: 'leaks',
    bend: (image) => {
      image.put(image.l2 + 16, image.at(image.l2 + 16) + 512n);
      image.count(60, 1);
    },
  },
  {
    name: 'leaks beside a cluster that is used more often than it is counted',
    mode: 'leaks',
    bend: (image) => {
      image.put(image.l2 + 40, image.at(image.l2));
      image.count(60, 1);
    },
  },
  {
    name: 'leaks beside a mark that is wrong as its entry is',
    mode: 'leaks',
    bend: (image) => {
      image.put(image.l2 + 8 * 20, COPIED | (1n << 40n));
      image.count(60, 1);
    },
  },
  {
    name: 'leaks beside a mark that alone is wrong',
    mode: 'leaks',
    bend: (image) => {
      image.put(image.l2, image.at(image.l2) & ~COPIED);
      image.count(60, 1);
    },
  },
  {
    name: 'an entry of the refcount table with reserved bits',
    bend: (image) => {
      image.put(image.refcountTable + 8, 0xffff_ffff_ffff_ffffn);
      image.count(60, 3);
    },
  },
  {
    name: 'clusters that are used and count as free',
    bend: (image) => {
      image.count(5, 0);
      image.count(6, 2);
      image.count(60, 1);
    },
  },
];

interface Told {
  readonly status: number | null;
  readonly said: Readonly<Record<string, unknown>>;
  readonly then: Readonly<Record<string, unknown>>;
  readonly disk: Buffer;
}

function counts(text: string): Readonly<Record<string, unknown>> {
  const { 'image-end-offset': _, ...rest } = JSON.parse(text) as Record<string, unknown>;
  return rest;
}

function mended(directory: Workdir, repair: typeof qemuImg, mode: string): Told {
  const { status, stdout } = repair('check', '-r', mode, '--output=json', '-f', 'qcow2', 'image').in(directory).run();
  const then = qemuImg('check', '--output=json', '-f', 'qcow2', 'image').in(directory).run().stdout;
  const read = qemuImg('convert', '-f', 'qcow2', '-O', 'raw', 'image', 'disk').in(directory).run();
  const disk = read.status === 0 ? directory.read('disk') : Buffer.alloc(0);
  return { status, said: counts(stdout), then: counts(then), disk };
}

it.for(DAMAGES.map((damage) => [damage.name, damage] as const))('%s', ([, damage], context) => {
  requireJudge(context, QEMU_IMG);
  const { options = `cluster_size=${CLUSTER}`, mode = 'all', bend } = damage;
  const [ours, theirs] = [image(options), image(options)];
  const bent = new Bent(ours.read('image'));
  bend(bent);
  for (const directory of [ours, theirs]) directory.write('image', bent.bytes);
  const { disk, ...told } = mended(ours, instar, mode);
  const { disk: expected, ...wanted } = mended(theirs, qemuImg, mode);
  expect(told).toEqual(wanted);
  expect(disk.equals(expected)).toBe(true);
});

it('an entry of the L1 table that names the list of snapshots has nothing written there', (context) => {
  requireJudge(context, QEMU_IMG);
  const directory = workdir();
  qemuImg('create', '-q', '-f', 'qcow2', '-o', `cluster_size=${CLUSTER}`, 'image', '1M').in(directory).must();
  qemuIo('image', 'write -q -P 5 0 512k').in(directory).must();
  qemuImg('snapshot', '-c', 'first', 'image').in(directory).must();
  const bent = new Bent(Buffer.concat([directory.read('image'), Buffer.alloc(20 * CLUSTER)]));
  const list = Number(bent.at(64));
  // Read as an entry, the bytes of the disk that the snapshot has name cluster 16, which nothing else does.
  const size = list + 48;
  expect(bent.at(size)).toBe(BigInt(16 * CLUSTER));
  bent.put(bent.l1, BigInt(list));
  directory.write('image', bent.bytes);
  instar('check', '-r', 'all', '-f', 'qcow2', 'image').in(directory).run();
  expect(new Bent(directory.read('image')).at(size)).toBe(BigInt(16 * CLUSTER));
});
