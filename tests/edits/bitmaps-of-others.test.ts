// Bitmaps that are merged from another image, and commits at a pace, beside qemu-img.
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise, Random } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const SEED = Number(process.env['INSTAR_SEED'] ?? 20261201);
const CASES = Number(process.env['INSTAR_CASES'] ?? 6);
const HOURS = 3_600_000;
const BITMAPS = 0x2385_2875;
const OFFSET = 0x00ff_ffff_ffff_fe00n;

/** The bits of the bitmaps of a qcow2 image by their names (qcow2.txt "Bitmaps"). */
function bitsOf(image: Buffer): Readonly<Record<string, string>> {
  const cluster = 1 << image.readUInt32BE(20);
  let at = image.readUInt32BE(100);
  while (image.readUInt32BE(at) !== BITMAPS) {
    if (image.readUInt32BE(at) === 0) return {};
    at += 8 + Math.ceil(image.readUInt32BE(at + 4) / 8) * 8;
  }
  const count = image.readUInt32BE(at + 8);
  let entry = Number(image.readBigUInt64BE(at + 24));
  const found: Record<string, string> = {};
  for (let number = 0; number < count; number += 1) {
    const table = Number(image.readBigUInt64BE(entry));
    const clusters = Array.from({ length: image.readUInt32BE(entry + 8) }, (_, index) => {
      const value = image.readBigUInt64BE(table + 8 * index);
      const place = Number(value & OFFSET);
      if (place === 0) return Buffer.alloc(cluster, (value & 1n) === 1n ? 0xff : 0);
      const bits = image.subarray(place, place + cluster);
      return Buffer.concat([bits, Buffer.alloc(cluster - bits.length)]);
    });
    const [length, extra] = [image.readUInt16BE(entry + 18), image.readUInt32BE(entry + 20)];
    const name = image.subarray(entry + 24 + extra, entry + 24 + extra + length).toString();
    found[name] = `${image.readUInt8(entry + 17)}: ${Buffer.concat(clusters).toString('hex')}`;
    entry += Math.ceil((24 + extra + length) / 8) * 8;
  }
  return found;
}

/** An image with a bitmap that some writes were recorded in. */
function recorded(directory: Workdir, random: Random, name: string, bitmap: string, size: number): void {
  const cluster = random.pick([512, 1024, 4096, 65536]);
  qemuImg('create', '-q', '-f', 'qcow2', '-o', `cluster_size=${cluster}`, name, String(size)).in(directory).must();
  qemuImg('bitmap', '--add', '-g', String(random.pick([512, 4096, 65536])), name, bitmap)
    .in(directory)
    .must();
  const writes = Array.from({ length: random.between(0, 6) }, () => {
    const at = random.below(size / 512 - 8);
    return `write -P 3 ${at * 512} ${random.between(1, Math.min(64, size / 512 - at)) * 512}`;
  });
  if (writes.length > 0)
    qemuIo(name, ...writes)
      .in(directory)
      .must();
}

describe('bitmap --merge -b', () => {
  it('sets the bits that qemu-img sets', { timeout: HOURS }, (context) => {
    requireJudge(context, QEMU_IMG);
    const random = new Random(SEED);
    let merged = 0;
    for (let number = 0; number < CASES; number += 1) {
      const directory = workdir();
      const size = random.between(16, 9000) * 512;
      recorded(directory, random, 'other', 'theirs', size);
      recorded(directory, random, 'ours', 'b', size);
      directory.write('judge', directory.read('ours'));
      const actions = random.pick([
        ['--merge', 'theirs'],
        ['--disable', '--merge', 'theirs'],
        ['--clear', '--merge', 'theirs'],
      ]);
      const other = directory.read('other');
      const words = (image: string): readonly string[] => [
        'bitmap',
        ...actions,
        '-b',
        'other',
        '-F',
        'qcow2',
        image,
        'b',
      ];
      qemuImg(...words('judge'))
        .in(directory)
        .must();
      instar(...words('ours'))
        .in(directory)
        .must();
      const told = `number ${number} of seed ${SEED}`;
      expect(bitsOf(directory.read('ours')), told).toEqual(bitsOf(directory.read('judge')));
      expect(directory.read('other').equals(other), told).toBe(true);
      qemuImg('check', 'ours').in(directory).must();
      if (/[1-9a-f]/.test(bitsOf(directory.read('ours'))['b']?.slice(4) ?? '')) merged += 1;
    }
    expect(merged).toBeGreaterThan(0);
  });

  it.for([
    ['a bitmap that is not there', ['--merge', 'none', '-b', 'other', 'image', 'b']],
    ['an image that is not there', ['--merge', 'theirs', '-b', 'nowhere', 'image', 'b']],
    ['an image of another size', ['--merge', 'theirs', '-b', 'larger', 'image', 'b']],
    ['a raw image', ['--merge', 'theirs', '-b', 'raw', '-F', 'raw', 'image', 'b']],
    ['the image itself', ['--merge', 'b', '-b', 'image', 'image', 'b']],
    ['no merge', ['--clear', '-b', 'other', 'image', 'b']],
    ['a format without an image', ['--merge', 'b', '-F', 'qcow2', 'image', 'b']],
  ] as const)('%s is refused, and all stays', ([, words], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    const random = new Random(SEED);
    recorded(directory, random, 'image', 'b', 1 << 20);
    recorded(directory, random, 'other', 'theirs', 1 << 20);
    recorded(directory, random, 'larger', 'theirs', 2 << 20);
    directory.write('raw', Buffer.alloc(1 << 20));
    const before = directory.digests();
    const image = directory.read('image');
    expect(
      qemuImg('bitmap', ...words)
        .in(directory)
        .run().status,
    ).toBe(1);
    // It has marked its bitmaps as in use.
    directory.write('image', image);
    const ours = instar('bitmap', ...words)
      .in(directory)
      .run();
    expect(ours.status).toBe(1);
    expect(ours.stderr.trim().split('\n')).toHaveLength(1);
    expect(directory.digests()).toEqual(before);
  });
});

it('commit -r writes at the pace that is asked for', (context) => {
  requireJudge(context, QEMU_IMG);
  const directory = workdir();
  directory.write('base', Buffer.alloc(4 << 20));
  const run = (...rate: readonly string[]): number => {
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'raw', 'top').in(directory).must();
    directory.write('content', noise(3 << 20));
    qemuImg('convert', '-n', '-f', 'raw', '-O', 'qcow2', 'content', 'top').in(directory).must();
    const { elapsedMs } = instar('commit', '-q', ...rate, 'top')
      .in(directory)
      .must();
    expect(
      directory
        .read('base')
        .subarray(0, 3 << 20)
        .equals(directory.read('content')),
    ).toBe(true);
    return elapsedMs;
  };
  const free = run();
  expect(run('-r', '2M')).toBeGreaterThan(Math.max(1000, free));
});
