// Disks that are larger than what lies below them: their images are small, and what tools read of them is the table.
import { closeSync, ftruncateSync, linkSync, openSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { INSTAR, instar, program } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { workdir } from '../support/workdir.js';

const TIB = 2 ** 40;

describe('a disk that is larger than any file of most file systems', () => {
  it.for([
    ['qcow2', 18],
    ['qcow2', 200],
    ['vdi', 17],
    ['vhdx', 64],
    ['parallels', 17],
  ] as const)('is created as %s of %i TiB, as qemu-img creates it', ([format, size], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    instar('create', '-q', '-f', format, 'disk', `${size}T`).in(directory).must();
    const info = qemuImg('info', '-f', format, '--output=json', 'disk').in(directory).must();
    expect(JSON.parse(info.stdout)).toMatchObject({ 'virtual-size': size * TIB });
    qemuImg('check', '-q', '-f', format, 'disk').in(directory).must();
    // What is not written reads as zeros: at the end, too.
    const end = ['dd', '-f', format, 'bs=64k', `skip=${(size * TIB) / 65_536 - 1}`, 'if=disk', 'of=end'];
    qemuImg(...end)
      .in(directory)
      .must();
    expect(directory.read('end').equals(Buffer.alloc(65_536))).toBe(true);
  });

  it('is converted with its last bytes', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    qemuImg('create', '-q', '-f', 'qcow2', 'large.qcow2', '20T').in(directory).must();
    program('qemu-io', '-c', 'write -q -P 7 21990232489984 64k', 'large.qcow2').in(directory).must();
    for (const format of ['vdi', 'vhdx', 'parallels', 'qcow2']) {
      instar('convert', '-O', format, 'large.qcow2', 'out').in(directory).must();
      const end = ['dd', '-f', format, 'bs=64k', 'skip=335544319', 'if=out', 'of=end'];
      qemuImg(...end)
        .in(directory)
        .must();
      expect(directory.read('end').equals(Buffer.alloc(65_536, 7))).toBe(true);
    }
  });
});

it('a disk with data all over it has room for the tables of blocks of 64 KiB', (context) => {
  requireJudge(context, QEMU_IMG);
  const directory = workdir().write('wide.raw', '');
  const step = 256 * 2 ** 20;
  const file = openSync(directory.file('wide.raw'), 'r+');
  for (let at = 0; at < 2200; at += 1) writeSync(file, `${at}`, at * step);
  ftruncateSync(file, 2200 * step);
  closeSync(file);
  instar('convert', '-f', 'raw', '-O', 'vmdk', 'wide.raw', 'out').in(directory).must();
  qemuImg('check', '-q', '-f', 'vmdk', 'out').in(directory).must();
  // All of it would take QEMU a minute.
  for (const at of [0, 1, 1100, 2199]) {
    qemuImg('dd', '-f', 'vmdk', 'bs=1M', `skip=${at * 256}`, `count=${at * 256 + 1}`, 'if=out', 'of=piece')
      .in(directory)
      .must();
    const piece = Buffer.alloc(2 ** 20);
    piece.write(`${at}`);
    expect(directory.read('piece').equals(piece)).toBe(true);
  }
});

describe('a file that may not become as long as the output in the worst case', () => {
  const limited = (blocks: number, ...words: readonly string[]): readonly string[] => [
    'bash',
    '-c',
    `ulimit -f ${blocks}; exec "$@"`,
    'bash',
    INSTAR,
    ...words,
  ];

  it('takes an image that is shorter, and is refused when it is not', () => {
    const directory = workdir()
      .write('some.raw', Buffer.alloc(2 << 20, 3))
      .write('old', 'before');
    const small = limited(1024, 'create', '-q', '-f', 'qcow2', 'disk', '1G');
    program(...small)
      .in(directory)
      .must();
    const large = program(...limited(1024, 'convert', '-O', 'qcow2', 'some.raw', 'old'))
      .in(directory)
      .run();
    expect(large.status).toBe(1);
    expect(large.stderr).toMatch(/^instar: convert: old: [^\n]*\(EFBIG\)\n$/);
    expect(directory.read('old').toString()).toBe('before');
    expect(directory.names()).toEqual(['disk', 'old', 'some.raw']);
  });

  it('keeps its old content where it must be written in place', () => {
    const directory = workdir()
      .write('some.raw', Buffer.alloc(2 << 20, 3))
      .write('old', 'before');
    linkSync(directory.file('old'), directory.file('other'));
    const refused = program(...limited(1024, 'convert', '-O', 'qcow2', 'some.raw', 'old'))
      .in(directory)
      .run();
    expect(refused.status).toBe(1);
    expect(directory.read('other').toString()).toBe('before');
  });
});
