// A compressed qcow2 image that several workers write: segments, each an image of its own, which the last one makes one of.
import { randomFillSync } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, statSync, symlinkSync, utimesSync } from 'node:fs';
import { convertJob, idOf, submit, type ConvertJob } from '@instar/jobs';
import { describe, expect, it, type TestContext } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { madeOnce } from '../support/made-once.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { lines } from '../support/random.js';
import type { Workdir } from '../support/workdir.js';
import { bench, EVERY_KIND, startServers, until, type Bench } from './bench.js';
import { requireServer, type ServerKind } from './servers.js';

startServers(EVERY_KIND);

const MIB = 1 << 20;
/** The last cluster of the disk is not whole. */
const SIZE = 24 * MIB + 512;
const LEFT = ['disk.qcow2', 'disk.raw'];

/** An image of text, noise, zeros and holes. */
const image = madeOnce((directory) => {
  const bytes = Buffer.alloc(SIZE);
  for (let at = 0; at + MIB < SIZE; at += 3 * MIB) {
    lines(MIB, at).copy(bytes, at);
    randomFillSync(bytes, at + MIB / 2, 154_321);
  }
  lines(512, 7).copy(bytes, SIZE - 512);
  directory.write('disk.raw', bytes);
  qemuImg('convert', '-f', 'raw', '-c', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
  qemuIo('disk.qcow2', 'write -P 7 5M 300k', 'write -z 12M 1M').in(directory).must();
});

async function setUp(context: TestContext, kind: ServerKind): Promise<Bench> {
  requireServer(context, kind);
  requireJudge(context, QEMU_IMG);
  const made = await bench(kind);
  image(made.directory);
  return made;
}

function job({ directory }: { readonly directory: Workdir }, windows: number, zstd = false): ConvertJob {
  const [input, output] = [directory.file('disk.qcow2'), directory.file('out.qcow2')];
  const type = zstd ? { compressionType: 'zstd' as const } : {};
  return convertJob({ input, output, outputFormat: 'qcow2', compress: true, windows, ...type });
}

/** What one run makes of it as a whole: all windows come to the same file. */
function expectImage(directory: Workdir, type = 'zlib'): void {
  expect(qemuImg('check', '-f', 'qcow2', 'out.qcow2').in(directory).must().stdout).toContain('No errors were found');
  qemuImg('compare', '-f', 'qcow2', '-F', 'qcow2', 'out.qcow2', 'disk.qcow2').in(directory).must();
  const whole = `../${directory.path.split('/').at(-1)}-whole.qcow2`;
  instar('convert', '-c', '-O', 'qcow2', '-o', `compression_type=${type}`, 'disk.qcow2', whole).in(directory).must();
  expect(directory.read('out.qcow2').equals(directory.read(whole))).toBe(true);
  directory.delete(whole);
}

describe.each(EVERY_KIND)('a compressed image that is written in windows, by %s,', (kind) => {
  it.for([
    [2, 'kvm', 'zlib'],
    [7, 'process', 'zstd'],
    [60, 'process', 'zlib'],
  ] as const)(
    'of which there are %i, is the file of a single run: %s, %s',
    async ([windows, sandbox, type], context) => {
      const made = await setUp(context, kind);
      const { queue, directory, work, outcome, ended } = made;
      await work({ concurrency: 3, sandbox });
      const done = await outcome(await submit(queue, job(made, windows, type === 'zstd')));
      expect(done).toMatchObject({
        state: 'done',
        result: { outputLength: statSync(directory.file('out.qcow2')).size },
      });
      expect(directory.names()).toEqual([...LEFT, 'out.qcow2']);
      expectImage(directory, type);
      expect(ended.filter(({ kind: what }) => what === 'window').length).toBeGreaterThan(1);
    },
  );

  it('is asked for by a command, and takes the place of an earlier one', async (context) => {
    const made = await setUp(context, kind);
    const { directory, work, name, url } = made;
    directory.write('out.qcow2', 'earlier');
    await work({ concurrency: 2 });
    const words = ['submit', 'convert', '-c', '-O', 'qcow2', '--windows', '4', '--wait', 'disk.qcow2', 'out.qcow2'];
    const waited = await instar(...words, '--name', name, '--compression-type', 'zstd')
      .in(directory)
      .environment({ INSTAR_QUEUE: url })
      .start();
    expect([waited.status, waited.stderr]).toEqual([0, '']);
    expectImage(directory, 'zstd');
  });

  it('of an input that is changed before all windows are done is refused, and nothing is left', async (context) => {
    const made = await setUp(context, kind);
    const { queue, directory, work, outcome } = made;
    let windows = 0;
    await work({
      onEnd: (ended) => {
        if (ended.kind === 'window' && (windows += 1) === 2) utimesSync(directory.file('disk.qcow2'), 1, 1);
      },
    });
    const ended = await outcome(await submit(queue, job(made, 6), { attempts: 1 }));
    expect(ended).toMatchObject({ state: 'failed', error: { code: 'WINDOW_FAILED' } });
    await until(() => directory.names().length === 2);
    expect(directory.names()).toEqual(LEFT);
  });

  it('leaves nothing where it is cancelled', async (context) => {
    const made = await setUp(context, kind);
    const { queue, directory, work, outcome } = made;
    const id = await submit(queue, job(made, 50));
    let cancelled: Promise<boolean> | undefined;
    await work({
      concurrency: 2,
      onEnd: (ended) => {
        if (ended.kind === 'window') cancelled ??= queue.cancel(id);
      },
    });
    expect(await outcome(id)).toMatchObject({ state: 'cancelled' });
    expect(await cancelled).toBe(true);
    await until(() => directory.names().length === 2);
    expect(directory.names()).toEqual(LEFT);
  });

  it('takes segments away that nobody has named, and those of which it is told are no other files', async (context) => {
    const made = await setUp(context, kind);
    const { queue, directory, work, outcome } = made;
    const wanted = job(made, 4);
    const place = `.out.qcow2.instar-${idOf(wanted)}`;
    // Of attempts that were killed: behind a window's end, and on a file system where a file has a name from the start.
    directory.write(`${place}.0123456789ab.part`, 'orphan').write(`.${place}.0123.instar-1-00.tmp`, 'orphan');
    directory.write('kept', 'kept');
    symlinkSync('kept', directory.file(`${place}.joined.part`));
    await work();
    expect(await outcome(await submit(queue, wanted))).toMatchObject({ state: 'done' });
    expect(directory.names()).toEqual([...LEFT, 'kept', 'out.qcow2']);
    expect(directory.read('kept').toString()).toBe('kept');
    expectImage(directory);
  });

  it('is refused where a segment is damaged, and nothing is left', async (context) => {
    const made = await setUp(context, kind);
    const { queue, directory, work, outcome } = made;
    let damaged = false;
    await work({
      onEnd: (ended) => {
        if (ended.kind !== 'window' || damaged) return;
        damaged = true;
        const segment = readdirSync(directory.path).find((name) => /\.[0-9a-f]{12}\.part$/.test(name)) ?? '';
        // Streams lie behind the header and two tables.
        directory.write(segment, directory.read(segment).fill(0xff, 3 * 65_536));
      },
    });
    const ended = await outcome(await submit(queue, job(made, 3)));
    expect(damaged).toBe(true);
    expect(ended).toMatchObject({ state: 'refused' });
    await until(() => directory.names().length === 2);
    expect(directory.names()).toEqual(LEFT);
  });

  it.for([
    [
      'a link',
      (segment: string, other: string): void => {
        symlinkSync(other, segment);
      },
    ],
    [
      'another name of a file',
      (segment: string, other: string): void => {
        linkSync(other, segment);
      },
    ],
    [
      'a directory',
      (segment: string): void => {
        mkdirSync(segment);
      },
    ],
    ['nothing', (): void => undefined],
  ] as const)('is given up where %s has taken the place of a segment', async ([, lay], context) => {
    const made = await setUp(context, kind);
    const { queue, directory, work, outcome } = made;
    directory.write('elsewhere', directory.read('disk.qcow2'));
    let laid = false;
    await work({
      onEnd: (ended) => {
        if (ended.kind !== 'window' || laid) return;
        laid = true;
        const segment = readdirSync(directory.path).find((name) => /\.[0-9a-f]{12}\.part$/.test(name)) ?? '';
        directory.delete(segment);
        lay(directory.file(segment), directory.file('elsewhere'));
      },
    });
    const ended = await outcome(await submit(queue, job(made, 3)));
    expect(laid).toBe(true);
    expect(ended).toMatchObject({ state: 'failed', error: { code: 'OUTPUT_LOST' } });
    expect(directory.names()).not.toContain('out.qcow2');
    expect(directory.read('elsewhere').equals(directory.read('disk.qcow2'))).toBe(true);
  });
});
