import { mkdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const SECTOR = 512;
const BLOCK = 64 << 10;
const SIZE = 2 * BLOCK;

/** Puts the ones' complement of the sum of all bytes at a place. */
function seal(bytes: Buffer, at: number): Buffer {
  bytes.writeUInt32BE(0, at);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.writeUInt32BE(~sum >>> 0, at);
  return bytes;
}

/** A differencing VHD that holds the odd sectors of its first block: all of one byte. */
function differencing(parent: Buffer, path: string, content: number): Buffer {
  const footer = Buffer.alloc(SECTOR);
  parent.copy(footer, 0, parent.length - SECTOR);
  footer.writeBigUInt64BE(512n, 16);
  footer.writeUInt32BE(4, 60);
  footer.fill(0x77, 68, 84);
  const header = Buffer.alloc(1024);
  header.write('cxsparse');
  header.fill(0xff, 8, 16);
  header.writeBigUInt64BE(1536n, 16);
  header.writeUInt32BE(0x1_0000, 24);
  header.writeUInt32BE(SIZE / BLOCK, 28);
  header.writeUInt32BE(BLOCK, 32);
  parent.copy(header, 40, parent.length - SECTOR + 68, parent.length - SECTOR + 84);
  const name = Buffer.from(path, 'utf16le');
  header.write('W2ru', 576);
  header.writeUInt32BE(SECTOR, 580);
  header.writeUInt32BE(name.length, 584);
  header.writeBigUInt64BE(2048n, 592);
  const table = Buffer.alloc(SECTOR, 0xff);
  table.writeUInt32BE(5, 0);
  const locator = Buffer.alloc(SECTOR);
  name.copy(locator);
  const bitmap = Buffer.alloc(SECTOR).fill(0x55, 0, BLOCK / SECTOR / 8);
  const block = Buffer.alloc(BLOCK, content);
  seal(footer, 64);
  return Buffer.concat([footer, seal(header, 36), table, locator, bitmap, block, footer]);
}

/** A fixed VHD of random bytes. */
function withParent(directory: Workdir, file: string): Buffer {
  directory.write('source.raw', noise(SIZE));
  const options = ['-o', 'subformat=fixed,force_size=on'];
  qemuImg('convert', '-f', 'raw', '-O', 'vpc', ...options, 'source.raw', file)
    .in(directory)
    .must();
  return directory.read(file);
}

function refused(directory: Workdir, ...options: readonly string[]): string {
  const { status, stderr } = instar('dd', ...options, 'if=top.vhd', 'of=out.raw')
    .in(directory)
    .run();
  expect(status).toBe(1);
  expect(stderr).toMatch(/^instar: dd: [^\n]+\n$/);
  expect(directory.names()).not.toContain('out.raw');
  return stderr;
}

describe('the parent of a differencing disk', () => {
  it('is found by the name that Windows gave it, and shows where the disk holds nothing', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    mkdirSync(directory.file('disks'));
    const parent = withParent(directory, 'disks/base 1.vhd');
    directory.write('top.vhd', differencing(parent, '.\\disks\\base 1.vhd', 0x21));
    expect(refused(directory)).toContain('backing file "disks/base 1.vhd" lies outside');
    instar('dd', '--allow-path', 'disks', 'if=top.vhd', 'of=out.raw', 'bs=1M').in(directory).must();
    const expected = Buffer.from(parent.subarray(0, SIZE));
    for (let sector = 1; sector < BLOCK / SECTOR; sector += 2) {
      expected.fill(0x21, sector * SECTOR, (sector + 1) * SECTOR);
    }
    expect(directory.read('out.raw').equals(expected)).toBe(true);
    const said = instar('info', '--output=json', 'top.vhd').in(directory).must().stdout;
    expect(JSON.parse(said)).toMatchObject({
      'backing-filename': 'disks/base 1.vhd',
      'backing-filename-format': 'vpc',
      'virtual-size': SIZE,
    });
    const checked = instar('check', 'top.vhd').in(directory).must().stdout;
    expect(checked).toContain('No errors were found on the image.');
  });

  it('must be the one that the disk was made over', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    const parent = withParent(directory, 'base.vhd');
    directory.write('top.vhd', differencing(parent, 'base.vhd', 1));
    const footer = Buffer.from(parent.subarray(-SECTOR));
    footer.fill(0x55, 68, 84);
    directory.write('base.vhd', Buffer.concat([parent.subarray(0, SIZE), seal(footer, 64)]));
    expect(refused(directory)).toContain('the parent is another disk, or was changed since');
  });

  it.for(['..\\canary.vhd', '\\etc\\passwd', 'gone.vhd', 'C:\\gone.vhd'])(
    'is looked for beside the disk only: %s',
    (path, context) => {
      requireJudge(context, QEMU_IMG);
      const outside = workdir();
      const parent = withParent(outside, 'canary.vhd');
      mkdirSync(outside.file('inside'));
      outside.write('inside/top.vhd', differencing(parent, path, 1));
      const { status, stderr } = instar('dd', 'if=inside/top.vhd', 'of=out.raw').in(outside).run();
      expect(status).toBe(1);
      expect(stderr).toMatch(/^instar: dd: inside\/top\.vhd: [^\n]*backing file[^\n]+\n$/);
      expect(outside.names()).not.toContain('out.raw');
    },
  );
});
