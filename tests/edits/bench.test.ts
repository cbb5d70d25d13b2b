// Requests to a disk: which there are, and that those which write leave what qemu-img's leave.
import { expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { lines, noise, Random } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const SEED = Number(process.env['INSTAR_SEED'] ?? 20261127);
const CASES = Number(process.env['INSTAR_CASES'] ?? 4);
const HOURS = 3_600_000;
const KIB = 1024;

interface Measured {
  readonly result: {
    readonly requests: number;
    readonly bytes: number;
    readonly milliseconds: number;
    readonly write: boolean;
  };
}

function content(random: Random): Buffer {
  return Buffer.concat([
    lines(random.between(1, 300) * KIB),
    Buffer.alloc(random.between(0, 300) * KIB),
    noise(random.between(100, 300) * KIB),
  ]);
}

/** Requests that stay within a disk of so many bytes. */
function requests(random: Random, size: number): readonly string[] {
  const length = Math.min(size, random.pick<number>([512, 4096, 65536, 1536, 200 * KIB]));
  // Whatever the step is, the place behind the end is the beginning again: one request in front of it must fit.
  const step = random.pick<number>([length, length * 2, 512, 0]);
  const walked = step === 0 ? length : step;
  const most = Math.max(1, Math.floor((size - length) / walked));
  return ['-s', `${length}`, '-S', `${step}`, '-c', `${random.between(1, Math.min(most, 120))}`];
}

it.for(['raw', 'vmdk', 'vdi', 'vpc', 'vhdx', 'qed', 'parallels', 'qcow2'])(
  'reads of an image of format %s',
  { timeout: HOURS },
  (format, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    directory.write('content', content(new Random(SEED)));
    const packed = format === 'qcow2' ? ['-c'] : [];
    qemuImg('convert', ...packed, '-f', 'raw', '-O', format, 'content', 'disk')
      .in(directory)
      .must();
    for (const sandbox of ['kvm', 'process']) {
      const words = ['-f', format, '-c', '150', '-s', '4k', '-S', '512', '--sandbox', sandbox, '--json', 'disk'];
      const { result } = JSON.parse(
        instar('bench', ...words)
          .in(directory)
          .must().stdout,
      ) as Measured;
      expect(result).toMatchObject({ requests: 150, bytes: 614_400, write: false });
      expect(result.milliseconds).toBeGreaterThan(0);
    }
    const beyond = instar('bench', '-f', format, '-o', '1G', 'disk').in(directory).run();
    expect(beyond).toMatchObject({ status: 1 });
    expect(beyond.stderr).toMatch(
      /request 1 would end behind the disk: 4096 bytes at offset 1073741824, where the disk has \d+\n$/,
    );
  },
);

function overlay(directory: Workdir, options: string): void {
  qemuImg(
    'create',
    '-q',
    '-f',
    'qcow2',
    ...(options === '' ? [] : ['-o', options]),
    '-b',
    'content',
    '-F',
    'raw',
    'disk',
  )
    .in(directory)
    .must();
  qemuIo('disk', 'write -P 3 5k 30k', 'write -z 90k 20k').in(directory).must();
}

function packed(directory: Workdir, options: string): void {
  qemuImg('convert', '-c', '-O', 'qcow2', ...(options === '' ? [] : ['-o', options]), '-f', 'raw', 'content', 'disk')
    .in(directory)
    .must();
  qemuImg('snapshot', '-c', 'before', 'disk').in(directory).must();
  qemuIo('disk', 'write -P 3 5k 30k', 'write -z 90k 20k').in(directory).must();
}

it.for<readonly [name: string, format: string, make: (directory: Workdir) => void]>([
  [
    'a raw file',
    'raw',
    (directory) => {
      directory.write('disk', directory.read('content'));
    },
  ],
  [
    'an overlay',
    'qcow2',
    (directory) => {
      overlay(directory, '');
    },
  ],
  [
    'an overlay of small clusters',
    'qcow2',
    (directory) => {
      overlay(directory, 'cluster_size=512');
    },
  ],
  [
    'an overlay with subclusters',
    'qcow2',
    (directory) => {
      overlay(directory, 'extended_l2=on');
    },
  ],
  [
    'compressed clusters and a snapshot',
    'qcow2',
    (directory) => {
      packed(directory, '');
    },
  ],
  [
    'the same in version 2',
    'qcow2',
    (directory) => {
      packed(directory, 'compat=0.10,cluster_size=4k');
    },
  ],
])('writes into %s leave what those of qemu-img leave', { timeout: HOURS }, ([, format, make], context) => {
  requireJudge(context, QEMU_IMG);
  const random = new Random(SEED);
  for (let number = 0; number < CASES; number += 1) {
    const directory = workdir();
    const bytes = content(random);
    directory.write('content', bytes);
    make(directory);
    for (const name of ['ours', 'theirs']) directory.write(name, directory.read('disk'));
    const words = ['-f', format, '-w', '--pattern', `${random.below(256)}`, ...requests(random, bytes.length)];
    const told = `number ${number} of seed ${SEED}: ${words.join(' ')}`;
    qemuImg('bench', ...words, 'theirs')
      .in(directory)
      .must();
    const more = random.pick([[], ['--no-undo'], ['--sandbox', 'process'], ['-d', '4', '--flush-interval', '7']]);
    instar('bench', ...words, ...more, 'ours')
      .in(directory)
      .must();
    expect(qemuImg('compare', '-f', format, '-F', format, 'ours', 'theirs').in(directory).run().stdout, told).toBe(
      'Images are identical.\n',
    );
    if (format === 'raw') continue;
    qemuImg('check', 'ours').in(directory).must();
    const [snapshot] = ['before'].filter(() => qemuImg('snapshot', '-l', 'ours').in(directory).must().stdout !== '');
    if (snapshot === undefined) continue;
    for (const name of ['ours', 'theirs'])
      qemuImg('convert', '-l', snapshot, '-O', 'raw', name, `${name}.raw`).in(directory).must();
    expect(directory.read('ours.raw').equals(directory.read('theirs.raw')), told).toBe(true);
  }
});

it.for([
  ['-o', '512', '-S', '100000', '-c', '11'],
  ['-o', '0', '-S', '65536', '-c', '3'],
  ['-o', '1024', '-S', '131072', '-c', '3'],
  ['-o', '4096', '-S', '200704', '-c', '40'],
])('steps that are longer than the disk go on as far behind its beginning as with qemu-img: %s', (words, context) => {
  requireJudge(context, QEMU_IMG);
  const directory = workdir();
  for (const name of ['ours', 'theirs']) directory.write(name, Buffer.alloc(65_536));
  const all = ['-q', '-w', '-f', 'raw', '-d', '1', '-s', '512', '--pattern=91', ...words];
  qemuImg('bench', ...all, 'theirs')
    .in(directory)
    .must();
  instar('bench', ...all, 'ours')
    .in(directory)
    .must();
  expect(directory.read('ours').equals(directory.read('theirs'))).toBe(true);
});

it('an image is as it was where one request of many would end behind its disk', (context) => {
  requireJudge(context, QEMU_IMG);
  const directory = workdir();
  directory.write('disk', noise(100 * KIB));
  const before = directory.read('disk');
  const { status, stderr } = instar('bench', '-f', 'raw', '-w', '-c', '40', '-s', '3k', 'disk').in(directory).run();
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr:
      'instar: bench: disk: request 34 would end behind the disk: 3072 bytes at offset 101376, where the disk has 102400\n',
  });
  expect(directory.read('disk').equals(before)).toBe(true);
  expect(directory.names()).toEqual(['disk']);
});

it.for(['luks', 'qcow2', 'qcow2 with subclusters', 'qcow2 with AES'])(
  'writes into an encrypted image, %s, leave what those of qemu-img leave in one that is not',
  { timeout: HOURS },
  (kind, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    directory.write('a', 'passphrase').write('content', Buffer.concat([noise(700 * KIB), lines(324 * KIB)]));
    const secret = ['--object', 'secret,id=a,file=a'];
    const format = kind === 'luks' ? 'luks' : 'qcow2';
    const prefix = kind === 'luks' ? '' : 'encrypt.';
    const opened = (name: string): string => `driver=${format},${prefix}key-secret=a,file.filename=${name}`;
    const run = (...words: readonly string[]): void => {
      qemuImg(...words)
        .in(directory)
        .must();
    };
    const aes = kind.endsWith('AES');
    const method = kind === 'luks' ? '' : aes ? 'encrypt.format=aes,' : 'encrypt.format=luks,';
    const options = [`${method}${prefix}key-secret=a`];
    if (!aes) options.push(`${prefix}iter-time=10`);
    if (kind.endsWith('subclusters')) options.push('extended_l2=on');
    run('create', '-q', ...secret, '-f', format, '-o', options.join(), 'disk', '1M');
    const from = ['-f', 'raw', 'content'];
    // The latter half is written to for the first time.
    directory.write('content', directory.read('content').fill(0, 512 * KIB));
    run('convert', ...secret, '-n', '--target-image-opts', ...from, opened('disk'));
    for (const words of [
      ['-c', '30', '-s', '4k', '-S', '20k', '--pattern', '7'],
      ['-c', '9', '-s', '512', '-S', '70144', '-o', '1024', '--pattern', '3'],
      ['-c', '4', '-s', '199680', '-S', '200192', '--pattern', '200', '--flush-interval', '2', '-d', '2'],
    ]) {
      run('bench', '-q', '-w', '-f', 'raw', ...words, 'content');
      instar('bench', '-q', '-w', ...secret, ...words, 'disk')
        .in(directory)
        .must();
      run('convert', ...secret, '--image-opts', opened('disk'), '-O', 'raw', 'after');
      expect(directory.read('after').equals(directory.read('content')), words.join(' ')).toBe(true);
    }
    if (format === 'qcow2') run('check', '-q', ...secret, '--image-opts', opened('disk'));
    const before = directory.read('disk');
    const odd = instar('bench', '-q', '-w', ...secret, '-c', '3', '-s', '1000', 'disk')
      .in(directory)
      .run();
    expect(odd.stderr).toContain('parts of the sectors of an encrypted image are not written');
    expect(odd.status).toBe(1);
    const locked = instar('bench', '-q', '-w', '-c', '3', 'disk').in(directory).run();
    expect(locked.stderr).toContain('encrypted');
    expect(locked.status).toBe(1);
    expect(directory.read('disk').equals(before)).toBe(true);
  },
);
