// Edits of encrypted qcow2 images, beside qemu-img with the same keys.
import { basename } from 'node:path';
import { commit, rebase } from '@instar/engine';
import { describe, expect, it } from 'vitest';
import { instar, program, ROOT, type CommandLine } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { lines, noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const KIB = 1024;
const SECRETS = ['--object', 'secret,id=a,file=a'] as const;
const TEXT = 'what nobody is to read in the file';

function opened(file: string): string {
  return `driver=qcow2,encrypt.key-secret=a,file.filename=${file}`;
}

/** `qemu-img` of this project. */
function ours(...words: readonly string[]): CommandLine {
  return program(process.execPath, `${ROOT}/packages/qemu-img/bin/qemu-img.js`, ...words);
}

/** Images that were made: qemu-img measures the machine for a second. */
const made = new Map<string, Buffer>();

/**
 * `image`, which is encrypted, over `below`; `other`, which has another content; `disk.raw` to be written.
 * @param kind how it is encrypted
 */
function prepared(kind: string, options: string): Workdir {
  const directory = workdir().write('a', 'the passphrase');
  const content = Buffer.concat([noise(600 * KIB), Buffer.alloc(500 * KIB), lines(900 * KIB)]);
  directory.write('below', content);
  directory.write('other', Buffer.concat([content.subarray(0, 900 * KIB), noise(1100 * KIB, 5)]));
  const text = Buffer.from(TEXT.repeat(4000)).subarray(0, 100 * KIB);
  directory.write(
    'disk.raw',
    Buffer.concat([Buffer.alloc(300 * KIB), text, noise(50 * KIB), Buffer.alloc(1550 * KIB)]),
  );
  const name = `${kind} ${options}`;
  const known = made.get(name);
  if (known !== undefined) return directory.write('image', known);
  const luks = kind === 'luks' ? ',encrypt.iter-time=10' : '';
  const chosen = `encrypt.format=${kind},encrypt.key-secret=a${luks}${options === '' ? '' : `,${options}`}`;
  qemuImg('create', '-q', ...SECRETS, '-f', 'qcow2', '-b', 'below', '-F', 'raw', '-o', chosen, 'image')
    .in(directory)
    .must();
  const writes = ['write -q -P 3 50k 130k', 'write -q -z 300k 200k', 'write -q -P 4 1900k 20k'];
  program('qemu-io', ...SECRETS, ...writes.flatMap((write) => ['-c', write]), '--image-opts', opened('image'))
    .in(directory)
    .must();
  made.set(name, directory.read('image'));
  return directory;
}

/** The same for both, each with its own images. */
function beside(
  kind: string,
  options: string,
  work: (does: typeof instar, directory: Workdir) => void,
): readonly Workdir[] {
  return [ours, qemuImg].map((does) => {
    const directory = prepared(kind, options);
    work(does, directory);
    return directory;
  });
}

/** The disk of an image, as qemu-img reads it with the key. */
function diskOf(directory: Workdir, image = opened('image')): Buffer {
  qemuImg('convert', ...SECRETS, '--image-opts', image, '-O', 'raw', 'read-back')
    .in(directory)
    .must();
  return directory.read('read-back');
}

function requireClean(directory: Workdir): void {
  qemuImg('check', '-q', ...SECRETS, '--image-opts', opened('image'))
    .in(directory)
    .must();
  instar('check', '-q', 'image').in(directory).must();
  expect(directory.names().filter((name) => name.includes('undo'))).toEqual([]);
}

function infoOf(directory: Workdir): unknown {
  const text = qemuImg('info', '--output=json', 'image').in(directory).must().stdout;
  const {
    snapshots,
    'format-specific': specific,
    ...rest
  } = JSON.parse(text) as Record<string, unknown> & {
    'backing-filename'?: string;
    snapshots?: readonly Record<string, unknown>[];
    'format-specific': { data: Record<string, unknown> };
  };
  const { encrypt, ...data } = specific.data;
  const names = snapshots?.map(({ id, name, 'vm-state-size': size }) => ({ id, name, size }));
  const { 'virtual-size': size, 'backing-filename': backing, encrypted } = rest;
  return {
    size,
    backing: backing === undefined ? undefined : basename(backing),
    encrypted,
    data,
    names,
    encrypt: (encrypt as Record<string, unknown>)['format'],
  };
}

const IMAGES = [
  ['luks', ''],
  ['luks', 'cluster_size=4k'],
  ['luks', 'extended_l2=on,cluster_size=32k'],
  ['aes', 'cluster_size=16k'],
] as const;

type Words = readonly string[];
const HERE = ['--image-opts', opened('image')] as const;

/** Edits whose result is compared with that of the same edits by qemu-img. */
const EDITS: Readonly<Record<string, readonly Words[]>> = {
  'rebase to none': [['rebase', ...SECRETS, '-b', '', ...HERE]],
  'rebase to another': [['rebase', ...SECRETS, '-b', '$HERE/other', '-F', 'raw', ...HERE]],
  'rebase -u': [['rebase', ...SECRETS, '-u', '-b', 'other', '-F', 'raw', ...HERE]],
  commit: [['commit', '-q', ...SECRETS, ...HERE]],
  'commit -d': [['commit', '-q', '-d', ...SECRETS, ...HERE]],
  snapshots: [
    ['snapshot', ...SECRETS, '-c', 'one', ...HERE],
    ['rebase', ...SECRETS, '-b', '', ...HERE],
    ['snapshot', ...SECRETS, '-c', 'two', ...HERE],
    [
      'convert',
      '-n',
      ...SECRETS,
      '--image-opts',
      '--target-image-opts',
      'driver=raw,file.filename=disk.raw',
      opened('image'),
    ],
    ['snapshot', ...SECRETS, '-d', 'one', ...HERE],
  ],
  'convert -n': [['convert', '-n', ...SECRETS, '-f', 'raw', '--target-image-opts', 'disk.raw', opened('image')]],
  'resize up, over another': [['resize', '-q', ...SECRETS, ...HERE, '5M']],
  'resize up': [
    ['rebase', ...SECRETS, '-b', '', ...HERE],
    ['resize', '-q', ...SECRETS, ...HERE, '5M'],
  ],
  'resize up, preallocated': [
    ['rebase', ...SECRETS, '-b', '', ...HERE],
    ['resize', '-q', ...SECRETS, '--preallocation=metadata', ...HERE, '3M'],
  ],
  'resize down': [['resize', '-q', ...SECRETS, '--shrink', ...HERE, '600k']],
  bitmap: [
    ['bitmap', ...SECRETS, '--add', ...HERE, 'new'],
    ['bitmap', ...SECRETS, '--disable', ...HERE, 'new'],
  ],
  'amend refcount_bits': [['amend', ...SECRETS, '-o', 'refcount_bits=64', ...HERE]],
  'check -r all': [['check', '-q', '-r', 'all', ...SECRETS, ...HERE]],
};

describe.for(IMAGES)('an image that is encrypted with %s, %s', ([kind, options]) => {
  it.for(Object.entries(EDITS))('%s: holds what qemu-img makes of it', ([name, edits], context) => {
    requireJudge(context, QEMU_IMG);
    const [mine, judged] = beside(kind, options, (does, directory) => {
      for (const words of edits)
        does(...words.map((word) => word.replace('$HERE', directory.path)))
          .in(directory)
          .must();
    });
    if (mine === undefined || judged === undefined) throw new Error('two were made');
    requireClean(mine);
    if (name === 'resize up, preallocated') {
      // What was never written is noise there.
      expect(
        diskOf(mine)
          .subarray(0, 2000 * KIB)
          .equals(diskOf(judged).subarray(0, 2000 * KIB)),
      ).toBe(true);
      expect(
        diskOf(mine)
          .subarray(2000 * KIB)
          .equals(Buffer.alloc((3 << 20) - 2000 * KIB)),
      ).toBe(true);
    } else expect(diskOf(mine).equals(diskOf(judged))).toBe(true);
    expect(infoOf(mine)).toEqual(infoOf(judged));
    for (const file of ['below', 'other']) expect(mine.read(file).equals(judged.read(file))).toBe(true);
    // The same disk, read here.
    instar('compare', '-q', ...SECRETS, '--image-opts', opened('image'), 'driver=raw,file.filename=read-back')
      .in(mine)
      .must();
  });

  it('gets content that is nowhere in the clear', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = prepared(kind, options);
    instar('convert', '-n', ...SECRETS, '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'image')
      .in(directory)
      .must();
    expect(directory.read('image').includes(TEXT)).toBe(false);
    expect(diskOf(directory).equals(directory.read('disk.raw'))).toBe(true);
    // A copy that is asked to be compressed would be in the clear: it is not compressed.
    const other = prepared(kind, options);
    other.write('below', Buffer.concat([other.read('disk.raw')]));
    const shown = diskOf(other);
    instar('rebase', '-c', ...SECRETS, '-b', '', 'image')
      .in(other)
      .must();
    expect(other.read('image').includes(TEXT)).toBe(false);
    expect(diskOf(other).equals(shown)).toBe(true);
    requireClean(other);
  });

  it('needs no key for what does not touch its content, and has it for what does', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = prepared(kind, options);
    const shown = diskOf(directory);
    const kept = 1536 * KIB;
    for (const words of [
      ['snapshot', '-c', 'one', 'image'],
      ['bitmap', '--add', 'image', 'bits'],
      ['amend', '-o', 'refcount_bits=32,lazy_refcounts=on', 'image'],
      ['check', '-q', '-r', 'all', 'image'],
      ['bitmap', '--remove', 'image', 'bits'],
      ['snapshot', '-a', 'one', 'image'],
      ['resize', '-q', '--shrink', 'image', '1536k'],
      ['resize', '-q', 'image', '3M'],
      ['resize', '-q', '--shrink', 'image', '2000k'],
      ['snapshot', '-d', 'one', 'image'],
    ]) {
      instar(...words)
        .in(directory)
        .must();
      requireClean(directory);
      expect(diskOf(directory).subarray(0, kept).equals(shown.subarray(0, kept))).toBe(true);
    }
    const before = directory.digests();
    const file = directory.file('image');
    await expect(commit(file)).rejects.toMatchObject({ code: 'IMAGE_ENCRYPTED' });
    await expect(rebase(file, undefined)).rejects.toMatchObject({ code: 'IMAGE_ENCRYPTED' });
    for (const words of [
      ['convert', '-n', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'image'],
      ['bench', '-w', '-c', '3', '-f', 'qcow2', 'image'],
    ]) {
      const refused = instar(...words)
        .in(directory)
        .run();
      expect([refused.status, refused.stderr]).toEqual([1, expect.stringMatching(/encrypted/)]);
    }
    const wrong = directory.write('wrong', 'another passphrase');
    if (kind === 'luks') {
      const words = ['--passphrase-file', 'wrong', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'image'];
      expect(
        instar('convert', '-n', ...words)
          .in(wrong)
          .run().status,
      ).toBe(1);
    } else {
      // Nothing tells a wrong passphrase there.
      const words = [
        '--passphrase-file',
        'wrong',
        '--passphrase-file',
        'a',
        '-f',
        'raw',
        '-O',
        'qcow2',
        'disk.raw',
        'image',
      ];
      const refused = instar('convert', '-n', ...words)
        .in(wrong)
        .run();
      expect([refused.status, refused.stderr]).toEqual([1, expect.stringMatching(/nothing tells a wrong passphrase/)]);
    }
    expect({ ...directory.digests(), wrong: '' }).toEqual({ ...before, wrong: '' });
  });
});

describe('version 2 of an encrypted image', () => {
  it.for([
    ['luks', 'cluster_size=4k'],
    ['aes', ''],
  ] as const)('%s %s: reads as zeros where it did, which needs the key', ([kind, options], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = prepared(kind, options);
    const shown = diskOf(directory);
    const before = directory.read('image');
    const refused = instar('amend', '-o', 'compat=0.10', 'image').in(directory).run();
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringMatching(/encrypted/)]);
    expect(directory.read('image').equals(before)).toBe(true);
    instar('amend', ...SECRETS, '-o', 'compat=0.10', 'image')
      .in(directory)
      .must();
    requireClean(directory);
    expect(infoOf(directory)).toMatchObject({ data: { compat: '0.10' } });
    // (qemu-img 10.0.2 writes zeros there that decrypt to noise.)
    expect(diskOf(directory).equals(shown)).toBe(true);
  });
});

describe('chains of encrypted images', () => {
  it('are committed and rebased with the key of each', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = prepared('luks', 'cluster_size=4k').write('b', 'of the one above');
    const both = [...SECRETS, '--object', 'secret,id=b,file=b'];
    const upper = 'driver=qcow2,encrypt.key-secret=b,backing.encrypt.key-secret=a,file.filename=top';
    const create = [
      '-b',
      'image',
      '-F',
      'qcow2',
      '-o',
      'encrypt.format=luks,encrypt.key-secret=b,encrypt.iter-time=10',
    ];
    qemuImg('create', '-q', '-u', ...both, '-f', 'qcow2', ...create, 'top', '2000k')
      .in(directory)
      .must();
    const writes = ['write -q -P 9 500k 90k', 'write -q -z 60k 30k'];
    program('qemu-io', ...both, ...writes.flatMap((write) => ['-c', write]), '--image-opts', upper)
      .in(directory)
      .must();
    const show = (): Buffer => {
      qemuImg('convert', ...both, '--image-opts', upper, '-O', 'raw', 'shown')
        .in(directory)
        .must();
      return directory.read('shown');
    };
    const shown = show();
    directory.write('kept', directory.read('top'));
    instar('rebase', ...both, '-b', 'other', '-F', 'raw', '--image-opts', upper)
      .in(directory)
      .must();
    const lower = upper.replace(',backing.encrypt.key-secret=a', '');
    qemuImg('convert', ...both, '--image-opts', lower, '-O', 'raw', 'shown')
      .in(directory)
      .must();
    expect(directory.read('shown').equals(shown)).toBe(true);
    directory.write('top', directory.read('kept'));
    instar('commit', '-q', ...both, '--image-opts', upper)
      .in(directory)
      .must();
    expect(diskOf(directory).equals(shown)).toBe(true);
    requireClean(directory);
    expect(show().equals(shown)).toBe(true);
  });

  it('a raw image becomes one below an encrypted one, whose content it gets in the clear', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = prepared('luks', '');
    const shown = diskOf(directory);
    instar('commit', '-q', '-d', ...SECRETS, 'image')
      .in(directory)
      .must();
    expect(directory.read('below').equals(shown)).toBe(true);
    qemuIo(directory.file('below'), 'read -q -P 3 50k 130k').must();
  });
});
