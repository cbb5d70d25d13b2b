import { compare, convert, map, measure, openImage } from '@instar/engine';
import { execFileSync } from 'node:child_process';
import { describe, expect, it, type TestContext } from 'vitest';

import { instar } from '../support/command.js';
import { ddInProcess } from '../support/in-process.js';
import { skipLoudly } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { lines, noise } from '../support/random.js';
import { bounded } from '../support/refusal.js';
import { workdir, type Workdir } from '../support/workdir.js';

const MIB = 1 << 20;
const PACKERS: readonly (readonly [format: string, unpack: string, program: string, ...options: string[]])[] = [
  ['gzip', 'gzip -dk', 'gzip', '-c'],
  ['xz', 'xz -dk', 'xz', '-c'],
  ['zstd', 'zstd -d', 'zstd', '-qc'],
  ['bzip2', 'bzip2 -dk', 'bzip2', '-c'],
];

/** What a program makes of a file that it packs. */
function pack(
  context: TestContext,
  directory: Workdir,
  file: string,
  program: string,
  ...options: readonly string[]
): Buffer {
  try {
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
    return execFileSync(program, [...options, file], { cwd: directory.path, maxBuffer: 64 * MIB, stdio });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      skipLoudly(context, `${program} is not installed`);
    }
    throw error;
  }
}

/** Noise, a hole, text, and a part of a sector at the end. */
function sampleDisk(): Buffer {
  return Buffer.concat([noise(203_000, 1), Buffer.alloc(3 * MIB), lines(300_000, 2), noise(777, 3)]);
}

function padded(disk: Buffer): Buffer {
  return Buffer.concat([disk, Buffer.alloc(-disk.length & 511)]);
}

describe.each(PACKERS)('a raw disk that was packed by %s', (format, unpack, program, ...options) => {
  it('is read as the disk inside, by every operation', async (context) => {
    const disk = sampleDisk();
    const directory = workdir().write('disk.raw', disk);
    directory.write('packed', pack(context, directory, 'disk.raw', program, ...options));
    for (const sandbox of ['kvm', 'process'] as const) {
      const ran = await ddInProcess(directory, ['if=packed', 'of=out.raw', 'bs=1M'], sandbox);
      expect(directory.read('out.raw').equals(padded(disk)), sandbox).toBe(true);
      expect(ran.warnings).toEqual([]);
    }
    const window = instar('dd', 'if=packed', 'of=-', 'bs=4093', 'skip=7', 'count=830').in(directory).must();
    expect(window.stdoutBytes.equals(disk.subarray(4093 * 7, 4093 * 830))).toBe(true);
    const [packed, raw] = [directory.file('packed'), directory.file('disk.raw')];
    for (const compress of [false, true]) {
      const layout = { compress };
      await convert(packed, directory.file('out.qcow2'), { outputFormat: 'qcow2', layout });
      const judged = qemuImg('compare', '-f', 'raw', '-F', 'qcow2', 'disk.raw', 'out.qcow2').in(directory).run();
      expect(judged.stdout).toBe('Images are identical.\n');
    }
    expect(await compare(packed, raw)).toMatchObject({ identical: true });
    expect(await compare(raw, packed)).toMatchObject({ identical: true });
    const extents = [];
    for await (const extent of map(packed)) extents.push(extent);
    expect(extents).toMatchObject([
      { start: 0n, length: BigInt(disk.length), present: true, zero: false, data: true, compressed: true },
      { start: BigInt(disk.length), zero: true },
    ]);
    const described = instar('info', '--output=json', 'packed').in(directory).must();
    expect(JSON.parse(described.stdout)).toMatchObject({ format, 'virtual-size': padded(disk).length });
    expect(await measure(packed)).toMatchObject({ fullyAllocated: BigInt(padded(disk).length) });
    await using image = await openImage(directory.file('packed'));
    const streamed = await image.createReadStream().toArray();
    expect(Buffer.concat(streamed as Buffer[]).equals(padded(disk))).toBe(true);
    const [late, early] = [await image.read(3 * MIB, 70_000), await image.read(12_345, 54_321)];
    expect(Buffer.from(late).equals(disk.subarray(3 * MIB, 3 * MIB + 70_000))).toBe(true);
    expect(Buffer.from(early).equals(disk.subarray(12_345, 12_345 + 54_321))).toBe(true);
  });

  it('is copied as it is where it is declared as raw', async (context) => {
    const directory = workdir().write('disk.raw', noise(5000, 4));
    const packed = pack(context, directory, 'disk.raw', program, ...options);
    directory.write('packed', packed);
    const { warnings } = await ddInProcess(directory, ['-f', 'raw', 'if=packed', 'of=out'], 'kvm');
    expect(warnings).toEqual([]);
    expect(directory.read('out').equals(padded(packed))).toBe(true);
  });

  it('holds no image of another format that would be read', async (context) => {
    const directory = workdir();
    qemuImg('create', '-q', '-f', 'qcow2', 'disk.qcow2', '1M').in(directory).must();
    directory.write('packed', pack(context, directory, 'disk.qcow2', program, ...options));
    // A fixed VHD shows only at its end what it is.
    qemuImg('create', '-q', '-f', 'vpc', '-o', 'subformat=fixed', 'disk.vhd', '1M').in(directory).must();
    directory.write('packed.vhd', pack(context, directory, 'disk.vhd', program, ...options));
    directory.write('twice', pack(context, directory, 'packed', 'gzip', '-c'));
    for (const [file, what, how] of [
      ['packed', 'packed qcow2', unpack],
      ['packed.vhd', 'packed vpc', unpack],
      ['twice', `packed ${format}`, 'gzip -dk'],
    ] as const) {
      const { error } = await ddInProcess(directory, [`if=${file}`, 'of=out'], 'kvm');
      expect(error?.code).toBe('IMAGE_PACKED_CONTENT');
      expect(error?.message).toContain(`this is a ${what}; unpack it first (${how})`);
      expect(directory.names()).not.toContain('out');
    }
  });

  it('is refused where it is damaged or cut, and leaves no output', async (context) => {
    const directory = workdir().write('disk.raw', noise(100_000, 5));
    const packed = pack(context, directory, 'disk.raw', program, ...options);
    const bent = Buffer.from(packed);
    bent.writeUInt8(bent.readUInt8(50_000) ^ 4, 50_000);
    directory.write('bent', bent).write('cut', packed.subarray(0, 60_000));
    directory.write('more', Buffer.concat([packed, Buffer.from('something else')]));
    await expect(compare(directory.file('bent'), directory.file('disk.raw'))).rejects.toThrow(/is damaged/);
    for (const file of ['bent', 'cut', 'more']) {
      const { error } = await ddInProcess(directory, [`if=${file}`, 'of=out'], 'process');
      expect(error?.message, file).toMatch(/is damaged/);
      expect(directory.names()).not.toContain('out');
    }
  });

  it('is refused at the limit that it unpacks beyond', (context) => {
    const directory = workdir().write('disk.raw', Buffer.alloc(12 * MIB));
    directory.write('packed', pack(context, directory, 'disk.raw', program, ...options));
    const refused = bounded(instar('dd', '--limit-virtual-size=8M', 'if=packed', 'of=out'), directory);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/--limit-virtual-size raises that if you trust it [^\n]*at most 8388608\)\n$/);
    const taken = bounded(instar('dd', 'if=packed', 'of=out', 'bs=1M', 'conv=sparse'), directory);
    expect(taken.status).toBe(0);
    expect(directory.read('out')).toHaveLength(12 * MIB);
  });
});

it('a packed disk below an image is refused, however it came there', (context) => {
  const directory = workdir().write('disk.raw', noise(MIB, 6));
  directory.write('base', pack(context, directory, 'disk.raw', 'gzip', '-c'));
  qemuImg('create', '-q', '-u', '-f', 'qcow2', '-F', 'raw', '-b', 'base', 'over.qcow2', '1M').in(directory).must();
  const image = directory.read('over.qcow2');
  // An extension that nobody knows in the place of the backing format.
  image.writeUInt32BE(0x1357_9bdf, image.indexOf(Buffer.from([0xe2, 0x79, 0x2a, 0xca])));
  directory.write('over.qcow2', image);
  const refused = instar('dd', 'if=over.qcow2', 'of=out').in(directory).run();
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain('"base", which is packed by gzip; unpack it first');
});
