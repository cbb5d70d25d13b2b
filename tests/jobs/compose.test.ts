// The files for Docker Compose and Kubernetes, as far as they go without containers: what they start is started as processes.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openQueue } from '@instar/jobs';
import { expect, it, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { INSTAR, ROOT } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { until } from './bench.js';
import { freePort, requireServer } from './servers.js';

const MIB = 1 << 20;
/** The last of 16 windows of 3 MiB is not whole. */
const SIZE = 46 * MIB + 512;

interface Service {
  readonly command?: string;
  readonly entrypoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly stop_grace_period?: string;
}

function read(name: string): string {
  return readFileSync(join(ROOT, 'examples/many-machines', name), 'utf8');
}

/** A directory in the place of `/images`, with a compressed image. */
function images(): Workdir {
  const bytes = new Uint8Array(SIZE);
  for (let at = 0; at < SIZE; at += 5 * MIB) randomFillSync(bytes, at, Math.min(2 * MIB, SIZE - at));
  const directory = workdir().write('disk.raw', bytes);
  qemuImg('convert', '-f', 'raw', '-c', '-O', 'qcow2', 'disk.raw', 'big.qcow2').in(directory).must();
  directory.delete('disk.raw');
  qemuImg('convert', '-O', 'raw', 'big.qcow2', 'expected').in(directory).must();
  return directory;
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  return child.exitCode ?? new Promise((resolve) => child.once('exit', resolve));
}

function start(words: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess & { told: string } {
  const [program, ...rest] = words;
  const own = program === 'instar' ? [process.execPath, INSTAR] : [program ?? ''];
  const child = Object.assign(
    spawn(own[0] ?? '', [...own.slice(1), ...rest], { env: { ...process.env, ...env }, stdio: 'pipe' }),
    { told: '' },
  );
  child.stdout.on('data', (text: Buffer) => (child.told += text.toString()));
  child.stderr.on('data', (text: Buffer) => (child.told += text.toString()));
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

it('the compose file makes of an image what qemu-img makes of it, with three workers and a queue that is killed', async (context) => {
  requireServer(context, 'redis');
  requireJudge(context, QEMU_IMG);
  const text = read('compose.yaml');
  const { services } = parse(text, { merge: true }) as { readonly services: Readonly<Record<string, Service>> };
  const { queue, worker, submit } = services;
  const directory = images();
  const port = await freePort();
  // What containers have besides: a directory, a name in the network.
  const mapped = (word: string): string => word.replace(/^\/images(?=$|\/)/, directory.path);
  const of = (service: Service | undefined): NodeJS.ProcessEnv =>
    Object.fromEntries(
      Object.entries(service?.environment ?? {}).map(([name, value]) => [
        name,
        value.replace('queue:6379', `127.0.0.1:${port}`),
      ]),
    );
  const wordsOf = (line = ''): readonly string[] => line.split(' ').filter((word) => word !== '');
  expect(wordsOf(queue?.command)).toContain('--appendonly');
  const data = workdir();
  const begin = (): ChildProcess =>
    start([...wordsOf(queue?.command), '--port', String(port), '--bind', '127.0.0.1', '--dir', data.path]);
  let redis = begin();
  const url = of(worker)['INSTAR_QUEUE'] ?? '';
  expect(url).toBe(`redis://127.0.0.1:${port}`);
  const reachable = async (): Promise<boolean> => {
    const found = await openQueue(url, 'probe').catch(() => undefined);
    await found?.close();
    return found !== undefined;
  };
  await until(reachable);
  const count = Number(/--scale worker=(\d+)/.exec(text)?.[1]);
  const workers = Array.from({ length: count }, () =>
    start(['instar', ...wordsOf(worker?.command).map(mapped)], of(worker)),
  );
  expect(workers).toHaveLength(3);
  // One that finds no queue ends, and is started again there; here nobody does that.
  await until(() => workers.every(({ told }) => told.includes('takes jobs')));
  const [, asked] = /run --rm submit (.*)/.exec(text) ?? [];
  const waits = start([...(submit?.entrypoint ?? []), ...wordsOf(asked).map(mapped)], of(submit));
  await until(() => directory.names().some((name) => name.endsWith('.part')));
  redis.kill('SIGKILL');
  await exitOf(redis);
  redis = begin();
  expect([await exitOf(waits), waits.told]).toEqual([0, expect.stringMatching(/ {2}convert {2}done\n$/)]);
  expect(directory.read('big.raw').equals(directory.read('expected'))).toBe(true);
  expect(directory.names()).toEqual(['big.qcow2', 'big.raw', 'expected']);
  // docker compose down: within the time that a container gets.
  const begun = performance.now();
  for (const child of workers) child.kill('SIGTERM');
  const ends = await Promise.all(workers.map(exitOf));
  expect(ends, workers.map(({ told }) => told).join('')).toEqual([0, 0, 0]);
  expect(performance.now() - begun).toBeLessThan(1000 * Number.parseInt(worker?.stop_grace_period ?? '', 10));
});

it('the Indexed Job makes the same of it without a queue, also where a pod runs twice', async (context) => {
  requireJudge(context, QEMU_IMG);
  const directory = images();
  const job = parse(read('indexed-job.yaml')) as {
    readonly spec: {
      readonly completions: number;
      readonly parallelism: number;
      readonly template: { readonly spec: { readonly containers: readonly [{ readonly command: readonly string[] }] } };
    };
  };
  const { completions, parallelism, template } = job.spec;
  const [{ command }] = template.spec.containers;
  const [shell, flag, script = ''] = command;
  const programs = workdir().write('instar', `#!/bin/sh\nexec '${process.execPath}' '${INSTAR}' "$@"\n`);
  chmodSync(programs.file('instar'), 0o755);
  const pod = async (index: number): Promise<void> => {
    const env = {
      JOB_COMPLETION_INDEX: String(index),
      MIB: '3',
      PATH: `${programs.path}:${process.env['PATH'] ?? ''}`,
    };
    const child = start([shell ?? '', flag ?? '', script.replaceAll('/images/', `${directory.path}/`)], env);
    expect([index, await exitOf(child)], child.told).toEqual([index, 0]);
  };
  const indices = Array.from({ length: completions }, (_, index) => index);
  // Not in their order, and two of them twice at once.
  const wanted = [...indices.reverse(), 3, 3, 7];
  while (wanted.length > 0) await Promise.all(wanted.splice(0, parallelism).map(pod));
  expect(directory.read('big.raw').equals(directory.read('expected'))).toBe(true);
  expect(directory.names()).toEqual(['big.qcow2', 'big.raw', 'expected']);
  expect(execFileSync('stat', ['-c', '%s', directory.file('big.raw')], { encoding: 'utf8' })).toBe(`${SIZE}\n`);
});
