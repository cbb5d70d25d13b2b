// An image that is kept open, through the API: bytes, extents and findings as the judge has them.
import { truncateSync } from 'node:fs';
import { openImage, type Image } from '@instar/engine';
import { describe, expect, it } from 'vitest';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const SIZE = 3 << 20;

/** A chain of two with zeros, holes and compressed clusters, and its disk as QEMU reads it. */
function chainOfTwo(): { readonly directory: Workdir; readonly disk: Buffer } {
  const directory = workdir().write('base.raw', noise(SIZE));
  qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', 'base.raw', 'base.qcow2').in(directory).must();
  qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', 'top.qcow2').in(directory).must();
  qemuIo('top.qcow2', 'write -q -P 9 100000 200000', 'write -q -z 1M 256k').in(directory).must();
  qemuImg('convert', '-f', 'qcow2', '-O', 'raw', 'top.qcow2', 'whole.raw').in(directory).must();
  return { directory, disk: directory.read('whole.raw') };
}

async function withImage(directory: Workdir, action: (image: Image) => Promise<void>): Promise<void> {
  const image = await openImage(directory.file('top.qcow2'));
  try {
    await action(image);
  } finally {
    await image.close();
  }
}

async function gathered(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

describe('openImage', () => {
  it('reads any range, also many at once, and what there is of one that ends behind the disk', async (context) => {
    requireJudge(context, QEMU_IMG);
    const { directory, disk } = chainOfTwo();
    await withImage(directory, async (image) => {
      expect(image.virtualSize).toBe(BigInt(SIZE));
      const ranges = [
        [0, 1],
        [99_999, 2],
        [65_535, 65_538],
        [1 << 20, 4096],
        [SIZE - 5, 100],
        [SIZE, 10],
        [SIZE + 100, 10],
        [7, 0],
        [0, SIZE],
      ] as const;
      const read = await Promise.all(ranges.map(async ([offset, length]) => image.read(offset, length)));
      for (const [index, [offset, length]] of ranges.entries()) {
        expect(Buffer.from(read[index] ?? []).equals(disk.subarray(offset, offset + length))).toBe(true);
      }
    });
  });

  it('streams the disk, and the part between two bytes', async (context) => {
    requireJudge(context, QEMU_IMG);
    const { directory, disk } = chainOfTwo();
    await withImage(directory, async (image) => {
      expect((await gathered(image.createReadStream())).equals(disk)).toBe(true);
      const part = await gathered(image.createReadStream({ start: 12_345n, end: 2_345_678 }));
      expect(part.equals(disk.subarray(12_345, 2_345_679))).toBe(true);
    });
  });

  it('gives extents between which it reads, and describes and checks what it is', async (context) => {
    requireJudge(context, QEMU_IMG);
    const { directory, disk } = chainOfTwo();
    await withImage(directory, async (image) => {
      const rebuilt = Buffer.alloc(SIZE);
      for await (const { start, length, zero } of image.extents()) {
        if (!zero) rebuilt.set(await image.read(start, Number(length)), Number(start));
      }
      expect(rebuilt.equals(disk)).toBe(true);
      const judged = JSON.parse(qemuImg('info', '--output=json', 'top.qcow2').in(directory).must().stdout) as object;
      expect(judged).toMatchObject({ format: image.info().format, 'virtual-size': Number(image.virtualSize) });
      expect(image.infoChain().map(({ format }) => format)).toEqual(['qcow2', 'qcow2']);
      expect(await image.check()).toMatchObject({ supported: true, corruptions: 0n, leaks: 0n });
    });
  });

  it('refuses what comes after it was closed, and a wrong range', async (context) => {
    requireJudge(context, QEMU_IMG);
    const { directory } = chainOfTwo();
    const image = await openImage(directory.file('top.qcow2'));
    await expect(image.read(-1, 5)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    const late = image.read(0, 512);
    await image.close();
    await expect(late).resolves.toHaveLength(512);
    await expect(image.read(0, 512)).rejects.toMatchObject({ code: 'FILE_NOT_USABLE' });
    await expect(gathered(image.createReadStream())).rejects.toMatchObject({ code: 'FILE_NOT_USABLE' });
    await image.close();
  });

  it('refuses wrong calls at once, by the name of what is wrong', async () => {
    const directory = workdir().write('disk.raw', noise(SIZE));
    await using image = await openImage(directory.file('disk.raw'));
    const { createReadStream, read, extents, check } = image as unknown as Record<
      string,
      (...values: unknown[]) => unknown
    >;
    const wrong: readonly (readonly [name: string, call: () => unknown])[] = [
      ['range', () => createReadStream?.call(image, null)],
      ['range', () => createReadStream?.call(image, 'a')],
      ['range.start', () => createReadStream?.call(image, { start: 1.5 })],
      ['range.end', () => createReadStream?.call(image, { end: -1 })],
      ['range.end', () => createReadStream?.call(image, { end: '5' })],
      ['range.length', () => createReadStream?.call(image, { length: 5 })],
      ['range.length', () => read?.call(image, 0)],
      ['range.start', () => read?.call(image, undefined, 5)],
      ['range.end', () => extents?.call(image, { end: 5 })],
      ['onFinding', () => check?.call(image, 'a')],
    ];
    for (const [name, call] of wrong) {
      const error: unknown = await Promise.resolve()
        .then(call)
        .then(
          () => undefined,
          (found: unknown) => found,
        );
      expect(error).toMatchObject({ code: 'INVALID_OPTION' });
      expect((error as Error).message).toMatch(new RegExp(`^${name}: found .*, expected `));
    }
  });

  it('answers a large read that came before it was closed', async () => {
    const disk = noise(20 << 20);
    const directory = workdir().write('disk.raw', disk);
    const image = await openImage(directory.file('disk.raw'));
    const late = image.read(0, disk.length);
    await image.close();
    expect(disk.equals(await late)).toBe(true);
  });

  it('says that a read has no room', async () => {
    const directory = workdir().write('disk.raw', '');
    truncateSync(directory.file('disk.raw'), 2 ** 43);
    await using image = await openImage(directory.file('disk.raw'));
    await expect(image.read(0, 2 ** 43)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: 'range.length: found 8796093022208, expected so many bytes as fit memory; createReadStream has no bound',
    });
  });

  it('ends with its signal', async (context) => {
    requireJudge(context, QEMU_IMG);
    const { directory } = chainOfTwo();
    const abort = new AbortController();
    const image = await openImage(directory.file('top.qcow2'), {}, { signal: abort.signal });
    abort.abort();
    await expect(image.read(0, 512)).rejects.toMatchObject({ code: 'ABORTED' });
    await image.close();
  });
});
