import { compare, dd, map, openImage } from '@instar/engine';
import { describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';

/** An image whose disk was changed between snapshots, and made larger behind the second. */
function withSnapshots(...options: readonly string[]): Workdir {
  const directory = workdir();
  const write = (value: number, from: number, length: number): void => {
    qemuIo('disk.qcow2', `write -P ${value} ${from} ${length}`).in(directory).must();
  };
  const take = (name: string): void => {
    qemuImg('snapshot', '-c', name, 'disk.qcow2').in(directory).must();
  };
  qemuImg('create', '-q', '-f', 'qcow2', ...options, 'disk.qcow2', '3M')
    .in(directory)
    .must();
  write(1, 0, 700_000);
  take('first');
  write(2, 300_000, 1_500_000);
  take('second');
  // Its name is the id of another.
  take('1');
  qemuImg('resize', '-q', 'disk.qcow2', '8M').in(directory).run();
  write(3, 0, 100_000);
  write(4, 2_000_000, 1_000_000);
  return directory;
}

const LAYOUTS: Readonly<Record<string, readonly string[]>> = {
  'clusters of 64 KiB': [],
  'small clusters, so that the table of the snapshot is shorter': ['-o', 'cluster_size=512'],
  'extended L2 entries': ['-o', 'extended_l2=on,cluster_size=32k'],
};

const CHOICES = [
  'first',
  'second',
  '1',
  '2',
  '3',
  'snapshot.id=2',
  'snapshot.name=1',
  'snapshot.id=1,snapshot.name=first',
  'snapshot.name=second,snapshot.id=2',
];

describe.each(Object.entries(LAYOUTS))('a snapshot of an image with %s', (name, options) => {
  it('is read as qemu-img reads it, however it is named', async () => {
    const directory = withSnapshots(...options);
    for (const choice of name === 'clusters of 64 KiB' ? CHOICES : CHOICES.slice(0, 2)) {
      qemuImg('convert', '-l', choice, '-O', 'raw', 'disk.qcow2', 'judged.raw').in(directory).must();
      if (choice.startsWith('snapshot.')) {
        instar('convert', '-l', choice, 'disk.qcow2', 'out.raw').in(directory).must();
      } else {
        const [input, output] = [{ path: directory.file('disk.qcow2') }, { path: directory.file('out.raw') }];
        await dd({ input, output, snapshot: choice, blockSize: 1 << 20 });
      }
      expect(directory.read('out.raw').equals(directory.read('judged.raw')), choice).toBe(true);
    }
  });
});

describe('a snapshot', () => {
  it('is measured, mapped and read in pieces, and the image is checked as a whole', async () => {
    const directory = withSnapshots();
    const disk = directory.file('disk.qcow2');
    for (const choice of ['first', 'snapshot.name=second']) {
      const args = ['measure', '-l', choice, '-O', 'qcow2', 'disk.qcow2'];
      const judged = qemuImg(...args)
        .in(directory)
        .must();
      expect(
        instar(...args)
          .in(directory)
          .must().stdout,
      ).toBe(judged.stdout);
    }
    let data = 0n;
    for await (const extent of map(disk, { snapshot: 'first' })) data += extent.data ? extent.length : 0n;
    expect(data).toBe(720_896n);
    await using image = await openImage(disk, { snapshot: { name: 'second' } });
    expect([...(await image.read(299_999, 2))]).toEqual([1, 2]);
    expect(image.virtualSize).toBe(8_388_608n);
    expect(await image.check()).toMatchObject({ corruptions: 0n, leaks: 0n });
    await dd({ input: { path: disk }, output: { path: directory.file('now.raw') } });
    expect(await compare(disk, directory.file('now.raw'))).toMatchObject({ identical: true });
  });

  it('that is not there, or that no such image has, is refused in one line', () => {
    const directory = withSnapshots().write('disk.raw', Buffer.alloc(1 << 20));
    const refused: readonly (readonly [choice: string, file: string, words: RegExp])[] = [
      ['third', 'disk.qcow2', /has no such snapshot: third\n$/],
      ['', 'disk.qcow2', /has no such snapshot/],
      ['snapshot.id=first', 'disk.qcow2', /has no such snapshot/],
      ['snapshot.id=2,snapshot.name=first', 'disk.qcow2', /has no such snapshot/],
      ['snapshot.tag=first', 'disk.qcow2', /found 'snapshot\.tag=first', expected snapshot\.id=ID or snapshot\.name/],
      ['first', 'disk.raw', /no such snapshot: of its format no snapshots are read; those of qcow2 are\n$/],
    ];
    for (const [choice, file, words] of refused) {
      const command = file === 'disk.raw' ? 'measure' : 'convert';
      const args = [command, '-l', choice, '-O', 'raw', file, ...(command === 'convert' ? ['out'] : [])];
      const judged = qemuImg(...args)
        .in(directory)
        .run();
      const finished = instar(...args)
        .in(directory)
        .run();
      expect([finished.status, judged.status], finished.command).toEqual([1, 1]);
      expect(finished.stderr).toMatch(/^instar: [a-z]+: [^\n]+\n$/);
      expect(finished.stderr).toMatch(words);
    }
    const declared = instar('convert', '-f', 'raw', '-l', 'first', 'disk.raw', 'out').in(directory).run();
    expect(declared.stderr).toMatch(/no such snapshot/);
    expect(directory.names()).not.toContain('out');
  });

  it('whose table cannot be is refused, and one behind the end holds nothing', async () => {
    const directory = withSnapshots();
    const good = directory.read('disk.qcow2');
    const entry = Number(good.readBigUInt64BE(64));
    const read = async (bend: (image: Buffer) => unknown): Promise<Buffer> => {
      const image = Buffer.from(good);
      bend(image);
      directory.write('bent.qcow2', image);
      const [input, output] = [{ path: directory.file('bent.qcow2') }, { path: directory.file('out.raw') }];
      await dd({ input, output, snapshot: 'first' });
      return directory.read('out.raw');
    };
    await expect(read((image) => image.writeBigUInt64BE(12_345n, entry))).rejects.toMatchObject({
      code: 'IMAGE_BAD_SNAPSHOT_TABLE',
    });
    await expect(read((image) => image.writeUInt32BE(0xffff_ffff, entry + 8))).rejects.toMatchObject({
      code: 'IMAGE_BAD_SNAPSHOT_TABLE',
    });
    const behind = await read((image) => image.writeBigUInt64BE(1n << 40n, entry));
    expect(behind.equals(Buffer.alloc(8 << 20))).toBe(true);
    expect((await read((image) => image.writeUInt32BE(0, entry + 8))).equals(behind)).toBe(true);
  });
});
