import { beforeAll, afterAll, describe, expect, it } from 'vitest';

import { instar, program } from '../support/command.js';
import { encrypt, fill, openedBy, PASSPHRASE } from '../support/encrypted-images.js';
import { judgeVersion, QEMU_IMG, requireJudge, skipLoudly, type Judge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { Workdir } from '../support/workdir.js';
import { mixed } from '../support/zoo.js';

const CRYPTSETUP: Judge = { program: 'cryptsetup', probe: ['--version'], package: 'cryptsetup-bin' };
const SIZE = 3 * 1024 * 1024 + 512;
const KEY = ['--passphrase-file', 'passphrase'] as const;

/** Every way of encrypting that qemu-img writes and ours reads, few iterations each. */
const LUKS = [
  ['cipher-alg=aes-256', 'cipher-mode=xts', 'ivgen-alg=plain64', 'hash-alg=sha256'],
  ['cipher-alg=aes-128', 'cipher-mode=xts', 'ivgen-alg=plain', 'hash-alg=sha1'],
  ['cipher-alg=aes-256', 'cipher-mode=cbc', 'ivgen-alg=essiv', 'ivgen-hash-alg=sha256', 'hash-alg=sha512'],
  ['cipher-alg=aes-128', 'cipher-mode=cbc', 'ivgen-alg=plain64', 'hash-alg=sha384'],
  ['cipher-alg=aes-256', 'cipher-mode=cbc', 'ivgen-alg=plain', 'hash-alg=sha224'],
] as const;

const IMAGES = [
  ...LUKS.map((options, index) => ({ file: `${index}.luks`, format: 'luks', options: [...options, 'iter-time=10'] })),
  ...LUKS.slice(0, 3).map((options, index) => ({
    file: `luks-${index}.qcow2`,
    format: 'qcow2',
    options: [...options, 'iter-time=10'].map((item) => `encrypt.${item}`).concat('encrypt.format=luks'),
  })),
  { file: 'aes.qcow2', format: 'qcow2', options: ['encrypt.format=aes'] },
  {
    file: 'small.qcow2',
    format: 'qcow2',
    options: ['encrypt.format=luks', 'encrypt.iter-time=10', 'cluster_size=512'],
  },
  { file: 'aes.qcow', format: 'qcow', options: ['encrypt.format=aes'] },
];

describe('encrypted images', () => {
  let directory: Workdir;
  const content = mixed(SIZE, 5);

  beforeAll(() => {
    directory = new Workdir();
    directory.write('source.raw', content).write('passphrase', PASSPHRASE).write('wrong', 'correct horse');
    if (judgeVersion(QEMU_IMG) === undefined) return;
    for (const { file, format, options } of IMAGES) encrypt(directory, 'source.raw', file, format, ...options);
    directory.settle();
  });

  afterAll(() => {
    directory.remove();
  });

  it.for(IMAGES)('$file reads as what was encrypted, whole and in windows', ({ file }, context) => {
    requireJudge(context, QEMU_IMG);
    for (const sandbox of ['auto', 'process']) {
      instar('dd', `--sandbox=${sandbox}`, `if=${file}`, 'of=whole.raw', 'bs=1M', ...KEY)
        .in(directory)
        .must();
      expect(directory.read('whole.raw').equals(content), sandbox).toBe(true);
    }
    for (const [bs, skip, count] of [
      [3, 1000, 90_001],
      [511, 4, 1200],
      [4096, 511, 200],
    ] as const) {
      const window = [`bs=${bs}`, `skip=${skip}`, `count=${count}`];
      const read = instar('dd', `if=${file}`, 'of=-', ...window, ...KEY)
        .in(directory)
        .must();
      const expected = content.subarray(bs * skip, bs * count);
      expect(read.stdoutBytes.equals(expected), window.join(' ')).toBe(true);
    }
  });

  it.for(IMAGES)('$file is described, mapped and compared as qemu-img does it', ({ file, format }, context) => {
    requireJudge(context, QEMU_IMG);
    const theirs = qemuImg('info', '--output=json', file).in(directory).must();
    const ours = instar('info', '--json', file).in(directory).must();
    const { instar: _, ...record } = JSON.parse(ours.stdout) as { readonly instar: unknown };
    expect(record).toEqual(JSON.parse(theirs.stdout));
    const text = qemuImg('info', file).in(directory).must().stdout;
    // The verdict stands around it.
    expect(instar('info', file).in(directory).must().stdout).toContain(text);

    const options = openedBy(file, format);
    const map = qemuImg('map', '--output=json', ...options)
      .in(directory)
      .must();
    expect(
      instar('map', '--output=json', ...options)
        .in(directory)
        .must().stdout,
    ).toBe(map.stdout);
    expect(
      instar('compare', file, 'source.raw', ...KEY)
        .in(directory)
        .run().stdout,
    ).toBe('Images are identical.\n');
    const measured = qemuImg('measure', '-O', 'qcow2', ...options)
      .in(directory)
      .run();
    expect(
      instar('measure', '-O', 'qcow2', ...options)
        .in(directory)
        .run().stdout,
    ).toBe(measured.stdout);
    const checked = qemuImg('check', ...options)
      .in(directory)
      .run();
    const { status, stdout } = checked;
    const found = instar('check', file, ...KEY)
      .in(directory)
      .run();
    // qemu-img checks no qcow images.
    if (format === 'qcow') expect([status, found.status]).toEqual([63, 0]);
    else expect(found).toMatchObject({ status, stdout });
    if (format === 'luks') {
      const asked = qemuImg('check', '-f', 'luks', file).in(directory).run();
      expect(instar('check', file).in(directory).run().status).toBe(asked.status);
    } else if (format === 'qcow2') {
      expect(instar('check', file).in(directory).run()).toMatchObject({ status, stdout });
    }
  });

  it.for(IMAGES.filter(({ options }) => !options.join().includes('aes.') && !options.includes('encrypt.format=aes')))(
    '$file says the same to a wrong passphrase as to none',
    ({ file }, context) => {
      requireJudge(context, QEMU_IMG);
      const [wrong, none] = [['--passphrase-file', 'wrong'], []].map((key) =>
        instar('dd', `if=${file}`, 'of=never.raw', ...key)
          .in(directory)
          .run(),
      );
      expect(none).toMatchObject({ status: 1, stdout: '' });
      expect(none?.stderr).toMatch(
        /^instar: dd: .*the image is encrypted, and a passphrase that opens it is needed.*\n$/,
      );
      expect(wrong).toMatchObject({ status: 1, stdout: '', stderr: none?.stderr });
      expect(directory.names()).not.toContain('never.raw');
    },
  );

  it('of the second slot and of a key of any bytes are opened as well', (context) => {
    requireJudge(context, QEMU_IMG);
    const [cryptsetup] = [judgeVersion(CRYPTSETUP)];
    if (cryptsetup === undefined) skipLoudly(context, 'cryptsetup is not installed (apt-get install cryptsetup-bin)');
    const key = Buffer.from(Array.from({ length: 999 }, (_, index) => (index * 7) % 256));
    directory.write('key', key).write('made.luks', new Uint8Array(8 << 20));
    const quick = ['--batch-mode', '--pbkdf-force-iterations', '1000', '--key-file'];
    program('cryptsetup', 'luksFormat', '--type', 'luks1', '--cipher', 'aes-cbc-essiv:sha256', '--key-size', '128')
      .with(...quick, 'key', 'made.luks')
      .in(directory)
      .must();
    program('cryptsetup', 'luksAddKey', ...quick, 'key', 'made.luks', 'passphrase')
      .in(directory)
      .must();
    fill(directory, 'source.raw', 'made.luks', 'luks');
    for (const file of ['key', 'passphrase']) {
      instar('dd', 'if=made.luks', 'of=made.raw', 'bs=1M', '--passphrase-file', file).in(directory).must();
      expect(directory.read('made.raw').subarray(0, SIZE).equals(content), file).toBe(true);
    }
  });

  it('whose key takes longer than is waited for are told with the option that waits longer', (context) => {
    requireJudge(context, QEMU_IMG);
    const image = directory.read('0.luks');
    // The iterations of the first slot (LUKS1: at byte 212, big-endian).
    image.writeUInt32BE(50_000_000, 212);
    directory.write('slow.luks', image);
    const words = ['if=slow.luks', '-f', 'luks', 'of=never.raw', ...KEY, '--limit-idle', '300ms'];
    const refused = instar('dd', ...words)
      .in(directory)
      .run();
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toMatch(/^instar: dd: slow\.luks: no progress for 300 ms; .*iterations.*--limit-idle .*\n$/);
    expect(directory.names()).not.toContain('never.raw');
  });
});
