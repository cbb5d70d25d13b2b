// Every format that is written, judged by qemu-img: the same disk, nothing that its check objects to, the size that was asked.
import { WRITABLE_FORMATS } from '@instar/engine';
import { describe, expect, it } from 'vitest';
import { instar, program } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const MIB = 1 << 20;
/** Formats that qemu-img checks. */
const CHECKED = new Set(['qcow2', 'vmdk', 'vdi', 'vhdx', 'parallels']);
/** QEMU opens no empty disk of these. */
const NEVER_EMPTY = new Set(['vmdk', 'vhdx', 'qcow']);
const SIZES = [512, MIB - 512, MIB, 33 * MIB + 1536];

/** A disk with data at its beginning, at its end, across the edges of blocks, and zeros of each kind between. */
function disk(size: number): Workdir {
  const directory = workdir();
  qemuImg('create', '-q', '-f', 'qcow2', 'disk.qcow2', String(size)).in(directory).must();
  const places = [0, 2 * MIB - 512, 8 * MIB - 4096, 16 * MIB, size - 512].filter((at) => at >= 0 && at + 512 <= size);
  const writes = places.map((at, index) => `write -q -P ${index + 1} ${at} ${Math.min(size - at, 70_144)}`);
  if (size > 20 * MIB) writes.push(`write -q -z 17M 1M`, `write -q -P 0 18M 1M`);
  if (writes.length > 0)
    qemuIo('disk.qcow2', ...writes)
      .in(directory)
      .must();
  return directory;
}

/** Bytes of the disk that qemu-img creates for so many: of a VHD, those of a geometry. */
function sizeOf(directory: Workdir, format: string, size: number): number {
  qemuImg('create', '-q', '-f', format, 'judge', String(size)).in(directory).must();
  const told = qemuImg('info', '-f', format, '--output=json', 'judge').in(directory).must().stdout;
  directory.delete('judge');
  return (JSON.parse(told) as Record<'virtual-size', number>)['virtual-size'];
}

function expectSame(directory: Workdir, format: string, file: string, size: number): void {
  qemuImg('compare', '-q', '-f', 'qcow2', '-F', format, 'disk.qcow2', file).in(directory).must();
  const info = JSON.parse(qemuImg('info', '-f', format, '--output=json', file).in(directory).must().stdout) as object;
  expect(info).toMatchObject({ format, 'virtual-size': sizeOf(directory, format, size) });
  if (CHECKED.has(format)) qemuImg('check', '-q', '-f', format, file).in(directory).must();
}

// Those behind a key are in tests/encrypted; QEMU knows no Android sparse images.
describe.each(WRITABLE_FORMATS.filter((format) => format !== 'luks' && format !== 'simg'))(
  'an output in the format %s',
  (format) => {
    it.for(SIZES)('holds a disk of %i bytes', (size, context) => {
      requireJudge(context, QEMU_IMG);
      const directory = disk(size);
      instar('convert', '-f', 'qcow2', '-O', format, 'disk.qcow2', 'out').in(directory).must();
      expectSame(directory, format, 'out', size);
      instar('compare', '-f', 'qcow2', '-F', format, 'disk.qcow2', 'out').in(directory).must();
      instar('dd', 'if=disk.qcow2', '-O', format, 'of=dense', 'bs=1M').in(directory).must();
      expectSame(directory, format, 'dense', size);
    });

    it('of an empty disk is as empty, or refused by name', (context) => {
      requireJudge(context, QEMU_IMG);
      const directory = workdir().write('empty.raw', new Uint8Array(0));
      const done = instar('convert', '-f', 'raw', '-O', format, 'empty.raw', 'out').in(directory).run();
      if (NEVER_EMPTY.has(format))
        expect(done.stderr).toMatch(/^[^\n]*a disk of this format has at least one sector\n$/);
      else qemuImg('compare', '-q', '-f', 'raw', '-F', format, 'empty.raw', 'out').in(directory).must();
    });

    it('holds a window', (context) => {
      requireJudge(context, QEMU_IMG);
      const directory = workdir().write('disk.raw', noise(5 * MIB));
      instar('dd', 'if=disk.raw', '-f', 'raw', '-O', format, 'of=out', 'bs=512', 'skip=4095', 'count=8200')
        .in(directory)
        .must();
      qemuImg('convert', '-f', format, '-O', 'raw', 'out', 'back.raw').in(directory).must();
      const window = directory.read('disk.raw').subarray(4095 * 512, 8200 * 512);
      const rest = sizeOf(directory, format, window.length) - window.length;
      expect(directory.read('back.raw').equals(Buffer.concat([window, Buffer.alloc(rest)]))).toBe(true);
    });

    it('takes the room of its data, of a disk of a TiB', (context) => {
      requireJudge(context, QEMU_IMG);
      const directory = workdir();
      const size = 2 ** 40;
      qemuImg('create', '-q', '-f', 'qcow2', 'disk.qcow2', String(size)).in(directory).must();
      qemuIo('disk.qcow2', 'write -q -P 3 0 64k', 'write -q -P 4 700G 3M', `write -q -P 5 ${size - 65536} 64k`)
        .in(directory)
        .must();
      instar('convert', '-f', 'qcow2', '-O', format, 'disk.qcow2', 'out').in(directory).must();
      const pattern = (value: number, at: string | number, length: string): string =>
        `read -q -P ${value} ${at} ${length}`;
      const reads = [pattern(3, 0, '64k'), pattern(4, '700G', '3M'), pattern(5, size - 65536, '64k')];
      program('qemu-io', '-f', format, ...reads.flatMap((read) => ['-c', read]), 'out')
        .in(directory)
        .must();
      const info = qemuImg('info', '-f', format, '--output=json', 'out').in(directory).must().stdout;
      const { 'actual-size': actual } = JSON.parse(info) as Record<'actual-size', number>;
      expect(actual).toBeLessThan(256 * MIB);
    });

    it('is not there, and what was is as before, where the input ends too early', (context) => {
      requireJudge(context, QEMU_IMG);
      const directory = disk(33 * MIB);
      directory.write('cut.qcow2', directory.read('disk.qcow2').subarray(0, 400_000)).write('out', 'what was');
      const refused = instar('convert', '-f', 'qcow2', '--strict', '-O', format, 'cut.qcow2', 'out')
        .in(directory)
        .run();
      expect(refused.status).toBe(1);
      expect(directory.read('out').toString()).toBe('what was');
    });
  },
);

describe('convert', () => {
  it.for([
    [['disk.qcow2'], /needs an input and an output/],
    [['a', 'b', 'c'], /a: cannot be opened: no such file or directory/],
    [['-t', 'bogus', 'disk.qcow2', 'out'], /'bogus' is invalid. expected none or off or writeback or/],
    [['-m', '17', 'disk.qcow2', 'out'], /'17' is invalid. expected 1 or 2 or/],
    [['-c', 'disk.qcow2', 'out'], /-c: only qcow2 outputs are compressed, not raw/],
    [
      ['-o', 'cluster_size=4k', 'disk.qcow2', 'out'],
      /-o cluster_size: no option of raw outputs that is written; expected one of size, preallocation/,
    ],
    [
      ['-O', 'bochs', 'disk.qcow2', 'out'],
      /images of format bochs are not written yet; raw, qcow2, vmdk, vdi, vpc, vhdx, qcow, luks, qed, parallels and simg are/,
    ],
    [
      ['-O', 'nonsense', 'disk.qcow2', 'out'],
      /unknown output format 'nonsense'; written are raw, qcow2, vmdk, vdi, vpc, vhdx, qcow, luks, qed, parallels and simg/,
    ],
  ] as const)('refuses %j in one line', ([words, message], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = disk(MIB);
    const refused = instar('convert', ...words)
      .in(directory)
      .run();
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(message);
    expect(refused.stderr.split('\n')).toHaveLength(2);
  });
});
