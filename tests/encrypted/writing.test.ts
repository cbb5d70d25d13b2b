import { convert, create, EngineError } from '@instar/engine';
import { describe, expect, it } from 'vitest';
import { instar, program } from '../support/command.js';
import { openedBy, PASSPHRASE } from '../support/encrypted-images.js';
import { QEMU_IMG, requireJudge, type Judge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const CRYPTSETUP: Judge = { program: 'cryptsetup', probe: ['--version'], package: 'cryptsetup-bin' };
const MIB = 1 << 20;
const FAST = 'iter-time=10';

/** Data, zeros that a container must hold as well, and an end that is no whole cluster. */
function withDisk(): Workdir {
  const content = Buffer.alloc(3 * MIB + 1536);
  noise(70_000, 31).copy(content, 77);
  content.fill('text of which ciphers leave nothing', 2 * MIB, 2 * MIB + 200_000);
  noise(700, 32).copy(content, content.length - 700);
  return workdir().write('disk.raw', content).write('key', PASSPHRASE);
}

/** The disk that qemu-img reads with the passphrase. */
function readBack(directory: Workdir, file: string, format: string): Buffer {
  qemuImg('convert', ...openedBy(file, format), '-O', 'raw', 'read-back')
    .in(directory)
    .must();
  return directory.read('read-back');
}

describe('a container of LUKS', () => {
  it.for([
    [],
    ['cipher-mode=cbc', 'ivgen-alg=essiv', 'hash-alg=sha1'],
    ['cipher-alg=aes-128', 'cipher-mode=cbc', 'ivgen-alg=plain', 'hash-alg=sha512'],
  ])('%j is opened by cryptsetup, and holds the disk for qemu-img', (options, context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, CRYPTSETUP);
    const directory = withDisk();
    const chosen = [FAST, ...options].join(',');
    instar('convert', '-f', 'raw', '-O', 'luks', '--passphrase-file', 'key', '-o', chosen, 'disk.raw', 'out')
      .in(directory)
      .must();
    program('cryptsetup', 'open', '--test-passphrase', '--key-file', 'key', 'out').in(directory).must();
    expect(readBack(directory, 'out', 'luks').equals(directory.read('disk.raw'))).toBe(true);
  });

  it('is laid out as that of qemu-img', (context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, CRYPTSETUP);
    const directory = withDisk();
    const secret = ['--object', 'secret,id=key,file=key', '-o', `key-secret=key,${FAST}`];
    instar('convert', '-f', 'raw', '-O', 'luks', ...secret, 'disk.raw', 'ours')
      .in(directory)
      .must();
    qemuImg('convert', '-f', 'raw', '-O', 'luks', ...secret, 'disk.raw', 'theirs')
      .in(directory)
      .must();
    const [ours, theirs] = ['ours', 'theirs'].map((file) =>
      program('cryptsetup', 'luksDump', file)
        .in(directory)
        .must()
        .stdout.split('\n')
        .filter((line) => /^(Version|Cipher|Hash|Payload|MK bits|Key Slot)|offset|stripes/.test(line)),
    );
    expect(ours).toEqual(theirs);
    expect(directory.read('ours')).toHaveLength(directory.read('theirs').length);
  });

  it.for([
    [],
    ['cipher-mode=cbc', 'ivgen-alg=essiv', 'hash-alg=sha1'],
    ['cipher-alg=aes-128', 'cipher-mode=cbc', 'ivgen-alg=plain', 'hash-alg=sha512'],
  ])('of version 2, %j, is what cryptsetup makes, opens and reads', (options, context) => {
    requireJudge(context, CRYPTSETUP);
    const directory = withDisk();
    const chosen = [FAST, 'version=2', ...options].join(',');
    for (const sandbox of ['kvm', 'process']) {
      const words = [`--sandbox=${sandbox}`, '-f', 'raw', '-O', 'luks', '--passphrase-file', 'key', '-o', chosen];
      instar('convert', ...words, 'disk.raw', 'out')
        .in(directory)
        .must();
      program('cryptsetup', 'open', '--test-passphrase', '--key-file', 'key', 'out').in(directory).must();
      directory.write('wrong', 'not this');
      const wrong = program('cryptsetup', 'open', '--test-passphrase', '--key-file', 'wrong', 'out')
        .in(directory)
        .run();
      expect(wrong.status).toBe(2);
      instar('convert', '--passphrase-file', 'key', 'out', 'back').in(directory).must();
      expect(directory.read('back').equals(directory.read('disk.raw'))).toBe(true);
      // Its own decryption: nothing of ours has a say in it.
      program(
        'cryptsetup',
        'reencrypt',
        '--decrypt',
        '--header',
        'detached',
        '--key-file',
        'key',
        '--batch-mode',
        '--force-offline-reencrypt',
        'out',
      )
        .in(directory)
        .must();
      expect(
        directory
          .read('out')
          .subarray(0, 3 * MIB + 1536)
          .equals(directory.read('disk.raw')),
      ).toBe(true);
      directory.delete('detached');
    }
  });

  it('of version 2 has the layout of one that cryptsetup formats', (context) => {
    requireJudge(context, CRYPTSETUP);
    const directory = withDisk();
    directory.write('theirs', Buffer.alloc(32 * MIB));
    const format = ['luksFormat', '--type', 'luks2', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'];
    program('cryptsetup', ...format, '--sector-size', '512', '--key-size', '512', '-q', 'theirs', 'key')
      .in(directory)
      .must();
    instar('create', '-q', '-f', 'luks', '--passphrase-file', 'key', '-o', `${FAST},version=2`, 'ours', '16M')
      .in(directory)
      .must();
    const [ours, theirs] = ['ours', 'theirs'].map((file) =>
      program('cryptsetup', 'luksDump', file)
        .in(directory)
        .must()
        .stdout.split('\n')
        .filter((line) => !/UUID|Iterations|Epoch|^\s+([0-9a-f]{2} )+|Salt|Digest:/.test(line)),
    );
    expect(ours).toEqual(theirs);
    const measured = instar('measure', '-O', 'luks', '-o', 'version=2', '--size', '16M').in(directory).must().stdout;
    expect(measured).toBe(`required size: ${32 * MIB}\nfully allocated size: ${32 * MIB}\n`);
    expect(directory.read('ours')).toHaveLength(32 * MIB);
    const refused = instar('create', '--passphrase-file', 'key', '-f', 'luks', '-o', `${FAST},version=3`, 'bad', '1M')
      .in(directory)
      .run();
    expect([refused.status, refused.stderr]).toEqual([1, 'instar: create: -o version=3: expected 1, 2\n']);
  });

  it('is created without a look at its disk, as long as that of qemu-img', (context) => {
    requireJudge(context, CRYPTSETUP);
    const directory = withDisk();
    instar(
      'create',
      '-q',
      '-f',
      'luks',
      '--object',
      'secret,id=it,file=key',
      '-o',
      `${FAST},key-secret=it`,
      'new',
      '10M',
    )
      .in(directory)
      .must();
    program('cryptsetup', 'open', '--test-passphrase', '--key-file', 'key', 'new').in(directory).must();
    expect(directory.read('new')).toHaveLength(10 * MIB + 2_068_480);
  });

  it('of a hundred GiB takes the room of its header', () => {
    const directory = withDisk();
    instar('create', '-q', '-f', 'luks', '--passphrase-file', 'key', '-o', FAST, 'new', '100G').in(directory).must();
    const blocks = program('stat', '-c', '%b', 'new').in(directory).must().stdout;
    expect(Number(blocks) * 512).toBeLessThan(4 * MIB);
  });

  it('opens for nobody else', (context) => {
    requireJudge(context, CRYPTSETUP);
    const directory = withDisk().write('other', 'something else');
    instar('create', '-q', '-f', 'luks', '--passphrase-file', 'key', '-o', FAST, 'new', '1M').in(directory).must();
    const tried = program('cryptsetup', 'open', '--test-passphrase', '--key-file', 'other', 'new').in(directory).run();
    expect(tried.status).toBe(2);
  });
});

describe('an encrypted qcow2 image', () => {
  it.for([
    [],
    ['-o', 'cluster_size=512'],
    ['-o', 'compat=0.10,cluster_size=2M'],
    ['-o', 'extended_l2=on,encrypt.cipher-alg=aes-128'],
    ['-o', 'preallocation=metadata,refcount_bits=1'],
    ['-S', '0'],
  ])('%j holds the disk for qemu-img, which finds nothing wrong', (words, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisk();
    const { stdout } = instar(
      ...['convert', '-f', 'raw', '-O', 'qcow2', '--passphrase-file', 'key', '--checksum', 'sha256'],
      ...['-o', `encrypt.format=luks,encrypt.${FAST}`, ...words, 'disk.raw', 'out'],
    )
      .in(directory)
      .must();
    expect(readBack(directory, 'out', 'qcow2').equals(directory.read('disk.raw'))).toBe(true);
    qemuImg('check', '-q', ...openedBy('out', 'qcow2'))
      .in(directory)
      .must();
    const [sum = ''] = program('sha256sum', 'disk.raw').in(directory).must().stdout.split(' ');
    expect(stdout).toBe(`sha256: ${sum}\n`);
    expect(directory.read('out').includes('text of which ciphers leave nothing')).toBe(false);
  });

  it('may lie over another image', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisk();
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'base').in(directory).must();
    const changed = directory.read('disk.raw');
    changed.fill(0, 2 * MIB, 2 * MIB + 65536);
    changed.fill('new', MIB, MIB + 5000);
    directory.write('changed.raw', changed);
    instar(
      ...['convert', '-f', 'raw', '-O', 'qcow2', '-B', 'base', '-F', 'qcow2', '--passphrase-file', 'key'],
      ...['-o', `encrypt.format=luks,encrypt.${FAST}`, 'changed.raw', 'out'],
    )
      .in(directory)
      .must();
    expect(readBack(directory, 'out', 'qcow2').equals(changed)).toBe(true);
  });

  it('is created, with the line that qemu-img prints', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisk();
    const words = [
      ...['create', '-f', 'qcow2', '--object', 'secret,id=key,file=key'],
      ...['-o', `encrypt.format=luks,encrypt.key-secret=key,encrypt.${FAST}`, 'new', '5M'],
    ];
    const ours = instar(...words)
      .in(directory)
      .must().stdout;
    expect(readBack(directory, 'new', 'qcow2').equals(Buffer.alloc(5 * MIB))).toBe(true);
    expect(ours).toBe(
      qemuImg(...words)
        .in(directory)
        .must().stdout,
    );
  });
});

describe('what cannot be is said', () => {
  it.for([
    [
      ['-O', 'luks'],
      'an encrypted output needs --passphrase-file FILE, or --object secret,id=NAME,file=FILE and -o key-secret=NAME',
    ],
    [['-O', 'luks', '-o', 'key-secret=none'], 'No secret with id "none": define it with --object secret,id=…'],
    [
      ['-O', 'luks', '--passphrase-file', 'key', '-o', 'cipher-alg=aes-192'],
      '-o cipher-alg=aes-192: expected aes-128, aes-256',
    ],
    [
      ['-O', 'luks', '--passphrase-file', 'key', '-o', 'cipher-alg=twofish-256'],
      '-o cipher-alg=twofish-256: expected aes-128, aes-256',
    ],
    [
      ['-O', 'qcow2', '-c', '--passphrase-file', 'key', '-o', 'encrypt.format=luks'],
      '-c and encryption exclude each other',
    ],
    [
      ['-O', 'qcow2', '--passphrase-file', 'key', '-o', 'encrypt.iter-time=5'],
      '-o encrypt.format: needed by the other options of encrypt',
    ],
  ] as const)('%j', ([words, sentence]) => {
    const directory = withDisk();
    const { status, stderr } = instar('convert', ...words, 'disk.raw', 'out')
      .in(directory)
      .run();
    expect([status, stderr]).toEqual([1, `instar: convert: ${sentence}\n`]);
    expect(directory.names()).toEqual(['disk.raw', 'key']);
  });

  it('by the library as well', async () => {
    const directory = withDisk();
    const [input, output] = [directory.file('disk.raw'), directory.file('out')];
    await expect(convert(input, output, { outputFormat: 'luks' })).rejects.toThrow(/needs a passphrase/);
    const encryption = { passphrase: 'a' };
    await expect(create(output, 512, { format: 'vdi', encryption })).rejects.toThrow(EngineError);
    await expect(create(output, 512, { format: 'luks', encryption: { passphrase: '' } })).rejects.toThrow(/is empty/);
  });
});
