// A qcow2 image that several workers write: each cluster has its place from the start, and the tables come last.
import { randomFillSync } from 'node:crypto';
import { statSync, utimesSync } from 'node:fs';
import { convertJob, submit, type ConvertJob } from '@instar/jobs';
import { describe, expect, it, type TestContext } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { madeOnce } from '../support/made-once.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import type { Workdir } from '../support/workdir.js';
import { bench, EVERY_KIND, startServers, until, type Bench } from './bench.js';
import { requireServer, type ServerKind } from './servers.js';

startServers(EVERY_KIND);

const MIB = 1 << 20;
/** The last cluster of the disk is not whole. */
const SIZE = 24 * MIB + 512;
/** Bytes of it that are data, at most. */
const DATA = 8 * (MIB + 65_536);

const image = madeOnce((directory) => {
  const bytes = new Uint8Array(SIZE);
  for (let at = 0; at < SIZE; at += 3 * MIB) randomFillSync(bytes, at, Math.min(MIB + 4321, SIZE - at));
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

function job({ directory }: { readonly directory: Workdir }, windows: number): ConvertJob {
  const [input, output] = [directory.file('disk.qcow2'), directory.file('out.qcow2')];
  return convertJob({ input, output, outputFormat: 'qcow2', windows });
}

function expectImage(directory: Workdir, name = 'out.qcow2'): void {
  expect(qemuImg('check', '-f', 'qcow2', name).in(directory).must().stdout).toContain('No errors were found');
  const compared = qemuImg('compare', '-f', 'qcow2', '-F', 'qcow2', name, 'disk.qcow2').in(directory).must();
  expect(compared.stdout).toContain('identical');
  const described = JSON.parse(qemuImg('info', '--output=json', name).in(directory).must().stdout) as object;
  expect(described).toMatchObject({ format: 'qcow2', 'virtual-size': SIZE, 'cluster-size': 65_536 });
  expect(described).not.toHaveProperty('backing-filename');
}

describe.each(EVERY_KIND)('a qcow2 image that is written in windows, by %s,', (kind) => {
  it.for([2, 7, 100])('of which there are %i is the disk of its input to qemu-img', async (windows, context) => {
    const made = await setUp(context, kind);
    const { queue, directory, work, outcome, ended } = made;
    await work({ concurrency: 3 });
    const done = await outcome(await submit(queue, job(made, windows)));
    expect(done).toMatchObject({ state: 'done', result: { outputLength: statSync(directory.file('out.qcow2')).size } });
    expectImage(directory);
    expect(directory.names()).toEqual(['disk.qcow2', 'disk.raw', 'out.qcow2']);
    expect(ended.filter(({ kind: what }) => what === 'window').length).toBeGreaterThan(1);
    // What is zeros has a place, and takes none.
    expect(statSync(directory.file('out.qcow2')).blocks * 512).toBeLessThan(DATA + 2 * MIB);
  });

  it('is asked for by a command, and takes the place of an earlier one', async (context) => {
    const made = await setUp(context, kind);
    const { directory, work, name, url } = made;
    directory.write('out.qcow2', 'earlier');
    await work({ concurrency: 2 });
    const words = ['submit', 'convert', '-O', 'qcow2', '--windows', '4', '--wait', 'disk.qcow2', 'out.qcow2'];
    const waited = await instar(...words, '--name', name)
      .in(directory)
      .environment({ INSTAR_QUEUE: url })
      .start();
    expect([waited.status, waited.stderr]).toEqual([0, '']);
    expectImage(directory);
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
    expect(directory.names()).toEqual(['disk.qcow2', 'disk.raw']);
  });
});

describe('windows of what has no places from the start', () => {
  it.for([
    [{ compress: true, windows: 61 }, /made of 60 at most/],
    [{ compress: true, outputFormat: 'raw' }, /only qcow2 is written/],
    [{ compress: true, output: 's3://images/x' }, /as a raw disk only/],
    [{ compressionType: 'zstd' }, /that is compressed/],
    [{ output: 's3://images/x' }, /as a raw disk only/],
    [{ outputFormat: 'vmdk' }, /only raw and qcow2/],
    [{ outputFormat: 'raw', output: 'https://images.example/x' }, /an object \(s3:/],
  ] as const)('are refused: %s', ([options, message]) => {
    const asked = { input: '/a', output: '/b', outputFormat: 'qcow2', windows: 2, ...options } as const;
    expect(() => convertJob(asked)).toThrow(message);
  });
});
