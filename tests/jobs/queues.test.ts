// Jobs through both queues: what they come to, and what happens to those that fail, are cancelled, or whose worker goes.
import { spawn } from 'node:child_process';
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checksumJob, compareJob, convertJob, inspectJob, submit, type SubmitOptions } from '@instar/jobs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { INSTAR, instar, program, ROOT } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { serve, type RangeServer } from '../remote/server.js';
import { bench, EVERY_KIND, RAW, startServers, until } from './bench.js';
import { requireServer } from './servers.js';

startServers(EVERY_KIND);
/** A server whose image never comes, until it is told to send it. */
async function slowImage(): Promise<{
  readonly server: RangeServer;
  readonly host: string;
  readonly release: () => void;
}> {
  let stalls = true;
  const server = await serve(RAW, ({ range }) => (stalls && range !== 'bytes=0-65535' ? { stall: true } : undefined));
  return { server, host: `127.0.0.1:${server.port}`, release: () => void (stalls = false) };
}

describe.each(EVERY_KIND)('jobs in %s', (kind) => {
  it('come to what the commands come to', async (context) => {
    requireServer(context, kind);
    requireJudge(context, QEMU_IMG);
    const { queue, directory, work, outcome } = await bench(kind);
    await work({ concurrency: 2 });
    const [input, raw] = [directory.file('disk.qcow2'), directory.file('disk.raw')];
    const ids = await Promise.all([
      submit(queue, convertJob({ input, output: directory.file('out.vmdk'), outputFormat: 'vmdk' })),
      submit(queue, inspectJob({ input })),
      submit(queue, compareJob({ first: input, second: raw })),
      submit(queue, checksumJob({ input })),
    ]);
    const [converted, inspected, compared, summed] = await Promise.all(ids.map(outcome));
    expect(converted).toMatchObject({ kind: 'convert', state: 'done', attempts: 1, result: { outputFormat: 'vmdk' } });
    expect(qemuImg('compare', 'out.vmdk', 'disk.raw').in(directory).must().stdout).toContain('identical');
    expect(inspected?.result).toMatchObject({ verdict: { safe: true }, description: { format: 'qcow2' } });
    expect(compared?.result).toMatchObject({ identical: true });
    const [sum] = program('sha256sum', raw).must().stdout.split(' ');
    expect(summed?.result).toMatchObject({ algorithm: 'sha256', checksum: sum, bytes: RAW.length });
    expect(directory.names()).toEqual(['disk.qcow2', 'disk.raw', 'out.vmdk']);
    expect(await queue.counts()).toEqual({ waiting: 0, active: 0, done: 4, failed: 0 });
  });

  it('are one while they wait and go on, and with a key also when they are done', async (context) => {
    requireServer(context, kind);
    const { queue, directory, work, outcome, ended } = await bench(kind);
    const job = inspectJob({ input: directory.file('disk.raw') });
    const ids = await Promise.all([submit(queue, job), submit(queue, job), submit(queue, { ...job })]);
    expect(new Set(ids).size).toBe(1);
    const other = await submit(queue, job, { key: 'another' });
    expect(other).not.toBe(ids[0]);
    await work();
    await Promise.all([...ids, other].map(outcome));
    expect(await submit(queue, job, { key: 'another' })).toBe(other);
    await sleep(300);
    expect(ended.map(({ id }) => id).sort()).toEqual([ids[0], other].sort());
    // Without a key it is asked anew: the image may be another one by now.
    directory.write('disk.raw', RAW.subarray(0, 4096));
    expect(await submit(queue, job)).toBe(ids[0]);
    await until(() => ended.length === 3);
    const { result } = await outcome(ids[0]);
    expect(result).toMatchObject({ description: { virtualSize: 4096 } });
  });

  it('that were refused begin anew when they are submitted again', async (context) => {
    requireServer(context, kind);
    const { queue, directory, work, outcome } = await bench(kind);
    await work();
    directory.write('sick.qcow2', Buffer.concat([Buffer.from('QFI\xfb\0\0\0\x09', 'latin1'), Buffer.alloc(600)]));
    const job = checksumJob({ input: directory.file('sick.qcow2') });
    const id = await submit(queue, job, { key: 'sick' });
    expect(await outcome(id)).toMatchObject({ state: 'refused' });
    directory.write('sick.qcow2', RAW);
    expect(await submit(queue, job, { key: 'sick' })).toBe(id);
    expect(await outcome(id)).toMatchObject({ state: 'done' });
  });

  it('come in the order of their priority', async (context) => {
    requireServer(context, kind);
    const { queue, directory, work, outcome, ended } = await bench(kind);
    const order: SubmitOptions[] = [{ priority: -5 }, { priority: 0 }, { priority: 900 }, { priority: 7 }];
    const job = inspectJob({ input: directory.file('disk.raw') });
    const ids = await Promise.all(
      order.map(async (options, index) => submit(queue, job, { key: String(index), ...options })),
    );
    await work();
    await Promise.all(ids.map(outcome));
    expect(ended.map(({ id }) => ids.indexOf(id))).toEqual([2, 3, 1, 0]);
  });

  it('are begun no more often than is allowed, however many workers there are', async (context) => {
    requireServer(context, kind);
    const { queue, directory, work, outcome } = await bench(kind);
    const rate = { jobs: 2, ms: 1500 };
    await work({ rate });
    await work({ rate });
    const job = inspectJob({ input: directory.file('disk.raw') });
    const start = performance.now();
    const ids = await Promise.all(
      ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(async (key) => submit(queue, job, { key })),
    );
    expect((await Promise.all(ids.map(outcome))).map(({ state }) => state)).toEqual(ids.map(() => 'done'));
    // Two at once, and two more in each of the times that follow; pg-boss may begin one more in each.
    expect(performance.now() - start).toBeGreaterThan(kind === 'postgres' ? 2 * rate.ms : 3 * rate.ms - 200);
  });

  it('are tried again where that may help, and kept apart with their reason where it did not', async (context) => {
    requireServer(context, kind);
    const { queue, directory, work, outcome } = await bench(kind);
    await work();
    const later = directory.file('later.raw');
    const often = { attempts: 8, backoffMs: 100 };
    const comes = await submit(queue, checksumJob({ input: later }), often);
    const never = await submit(queue, inspectJob({ input: directory.file('never.raw') }), {
      attempts: 2,
      backoffMs: 100,
    });
    const failed = await outcome(never);
    expect(failed).toMatchObject({ state: 'failed', attempts: 2, error: { code: 'READ_FAILED' } });
    expect(failed.error?.message).toMatch(/no such file/i);
    expect(await queue.failed(10)).toEqual([failed]);
    directory.write('later.raw', RAW);
    expect(await outcome(comes)).toMatchObject({ state: 'done' });
    // Whoever submits it again wants it to begin anew.
    directory.write('never.raw', RAW);
    expect(await submit(queue, inspectJob({ input: directory.file('never.raw') }))).toBe(never);
    expect(await outcome(never)).toMatchObject({ state: 'done', attempts: 1 });
  });

  it('are refused at once where no attempt would help', async (context) => {
    requireServer(context, kind);
    const { queue, directory, work, outcome } = await bench(kind);
    await work();
    qemuImg('create', '-u', '-f', 'qcow2', '-F', 'raw', '-b', '/etc/shadow', 'evil.qcow2', '1M').in(directory).must();
    symlinkSync('/etc/passwd', directory.file('link'));
    symlinkSync('/etc', directory.file('folder'));
    const output = directory.file('out.raw');
    const jobs = [
      convertJob({ input: directory.file('evil.qcow2'), output }),
      inspectJob({ input: '/etc/passwd' }),
      inspectJob({ input: directory.file('link') }),
      checksumJob({ input: directory.file('folder/passwd') }),
      checksumJob({ input: `${directory.path}/../../etc/passwd` }),
      convertJob({ input: directory.file('disk.raw'), output: '/etc/instar-out.raw' }),
      convertJob({ input: directory.file('disk.raw'), output: directory.file('folder/out.raw') }),
      inspectJob({ input: 'https://images.example/disk' }),
      checksumJob({ input: 's3://images/disk' }),
    ];
    const done = await Promise.all(jobs.map(async (job) => outcome(await submit(queue, job))));
    expect(done.map(({ state, attempts }) => [state, attempts])).toEqual(jobs.map(() => ['refused', 1]));
    expect(done.map(({ error }) => error?.code)).toEqual(['PATH_REFUSED', ...jobs.slice(1).map(() => 'NOT_ALLOWED')]);
    expect(directory.names()).not.toContain('out.raw');
  });

  it('are checked when they come out of the queue, in which anybody may have written', async (context) => {
    requireServer(context, kind);
    const { queue, directory, work, outcome } = await bench(kind);
    await work();
    const input = directory.file('disk.raw');
    const part = directory.file('.o.instar-00000000-0000-8000-8000-000000000000.part');
    const upload = { output: 's3://images/o', id: 'x', partSize: 16 << 20 };
    const forged = [
      { kind: 'shell', command: 'id' },
      { kind: 'inspect', input, sandbox: 'none' },
      { kind: 'inspect', input: 'disk.raw' },
      { kind: 'convert', input, output: directory.file('o'), outputFormat: 'vmdk', windows: 4 },
      { kind: 'window', input, part: input, start: 0, end: 512, files: [] },
      { kind: 'window', input, part: directory.file('new'), start: -1, end: 512, files: [] },
      { kind: 'window', input, part, start: 65_536, end: 65_536, files: [] },
      // It would tell whether a file elsewhere has this size.
      { kind: 'window', input, part, start: 0, end: 512, files: [{ path: '/etc/passwd', size: '1', modified: '1' }] },
      { kind: 'window', input, part, start: 0, end: 512, files: [{ path: input, size: 'x', modified: '1' }] },
      { kind: 'window', input, upload, start: 0, end: 512, files: [] },
      { kind: 'window', input, upload, part, start: 0, end: 512, files: [] },
      { kind: 'window', input, upload: { ...upload, output: part }, start: 0, end: 512, files: [] },
      { kind: 'window', input, upload: { ...upload, partSize: 2 ** 40 }, start: 0, end: 512, files: [] },
      { kind: 'window', input, upload, start: 65_536, end: 2 ** 30, files: [] },
      { kind: 'window', input: 's3://images/x', part, start: 0, end: 512, files: [] },
      { kind: 'window', input, part, start: 0, end: 512, files: [], version: { size: '1' } },
      {},
    ];
    const ids = forged.map((_, index) => `00000000-0000-8000-8000-${String(index).padStart(12, '0')}`);
    await Promise.all(forged.map(async (data, index) => queue.submit(ids[index] ?? '', data, {})));
    const done = await Promise.all(ids.map(outcome));
    expect(done.map(({ state }) => state)).toEqual(forged.map(() => 'refused'));
    expect(done.map(({ error }) => error?.code)).toEqual(
      forged.map((_, index) => ([4, 7, 9].includes(index) ? 'NOT_ALLOWED' : 'INVALID_JOB')),
    );
    expect(directory.names()).toEqual(['disk.qcow2', 'disk.raw']);
    expect(directory.read('disk.raw').equals(RAW)).toBe(true);
  });

  it('that are cancelled end in their sandbox, and never begin where they wait', async (context) => {
    requireServer(context, kind);
    const { queue, directory, work, outcome, ended } = await bench(kind);
    const { server, host } = await slowImage();
    const output = directory.file('out.raw');
    const active = await submit(queue, convertJob({ input: server.url(), output, inputFormat: 'raw' }));
    await work({ hosts: [host] });
    await until(() => server.requests.length > 1);
    expect(await queue.status(active)).toMatchObject({ state: 'active' });
    const waiting = await submit(queue, checksumJob({ input: directory.file('disk.raw') }));
    expect(await queue.cancel(waiting)).toBe(true);
    const start = performance.now();
    expect(await queue.cancel(active)).toBe(true);
    expect(await outcome(active)).toMatchObject({ state: 'cancelled' });
    await until(() => ended.some(({ id }) => id === active));
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(await outcome(waiting)).toMatchObject({ state: 'cancelled' });
    expect(await queue.cancel(active)).toBe(false);
    expect(await queue.cancel('00000000-0000-8000-8000-000000000000')).toBe(false);
    expect(directory.names()).toEqual(['disk.qcow2', 'disk.raw']);
  });

  it('go on elsewhere when their worker has to leave, or is killed', async (context) => {
    requireServer(context, kind);
    const { queue, url, name, directory, work, outcome } = await bench(kind);
    const { server, host, release } = await slowImage();
    const job = checksumJob({ input: server.url(), inputFormat: 'raw' });
    const id = await submit(queue, job, { backoffMs: 100, expireMs: 4000 });
    const child = spawn(
      process.execPath,
      [INSTAR, 'worker', '--queue', url, '--name', name, '--allow-host', host, '--lock-time', '1500ms'],
      { stdio: 'ignore' },
    );
    onTestFinished(() => void child.kill('SIGKILL'));
    await until(() => server.requests.length > 1);
    child.kill('SIGKILL');
    const asked = server.requests.length;
    const leaving = await work({ hosts: [host], lockMs: 1500 });
    await until(() => server.requests.length > asked + 1);
    await leaving.drain(100);
    expect(await queue.status(id)).toMatchObject({ state: 'waiting' });
    release();
    await work({ hosts: [host] });
    const [sum] = program('sha256sum', directory.file('disk.raw')).must().stdout.split(' ');
    expect(await outcome(id)).toMatchObject({ state: 'done', result: { checksum: sum } });
  });

  it('are queued, shown, waited for and cancelled by commands, and a worker drains on SIGTERM', async (context) => {
    requireServer(context, kind);
    const { url, name, directory } = await bench(kind);
    const command = (...words: readonly string[]) =>
      instar(...words, '--name', name)
        .in(directory)
        .environment({ INSTAR_QUEUE: url });
    const submitted = command('submit', 'convert', 'disk.qcow2', 'out.raw', '--key', 'once', '--json').must();
    const { id } = JSON.parse(submitted.stdout) as { readonly id: string };
    expect(command('status').must().stdout).toBe('1 waiting, 0 active, 0 done, 0 failed\n');
    const child = spawn(
      process.execPath,
      [INSTAR, 'worker', '--name', name, '--directory', directory.path, '--json', '--metrics', '0'],
      { env: { ...process.env, INSTAR_QUEUE: url }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    onTestFinished(() => void child.kill('SIGKILL'));
    let [out, err] = ['', ''];
    child.stdout.on('data', (text: Buffer) => (out += text.toString()));
    child.stderr.on('data', (text: Buffer) => (err += text.toString()));
    // Whether it is done by now or not: with its key it is the same job.
    const again = ['submit', 'convert', 'disk.qcow2', 'out.raw', '--key', 'once', '--wait', '--json'];
    const waited = await command(...again).start();
    expect(waited.stderr).toBe('');
    expect(JSON.parse(waited.stdout)).toMatchObject({ job: { id, state: 'done', result: { outputFormat: 'raw' } } });
    expect(directory.read('out.raw').equals(RAW)).toBe(true);
    expect(command('status', id).must().stdout).toBe(`${id}  convert  done\n`);
    const refused = await command('submit', 'inspect', '/etc/passwd', '--wait').start();
    expect([refused.status, refused.stderr]).toEqual([1, '']);
    expect(refused.stdout).toMatch(/^\S+ {2}inspect {2}refused: "\/etc\/passwd" is in no directory/);
    const gone = command('cancel', id).run();
    expect([gone.status, gone.stderr]).toEqual([1, `instar: cancel: had ended, or never was: ${id}\n`]);
    await until(() => err.includes('/metrics'));
    const figures = await fetch(/http:\S+/.exec(err)?.[0] ?? '');
    expect(await figures.text()).toContain('instar_worker_jobs_seconds_count{kind="convert",state="done"} 1\n');
    child.kill('SIGTERM');
    expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(0);
    expect(out.split('\n').filter((line) => line.includes('"state":"done"'))).toHaveLength(1);
  });
});

describe('the examples', () => {
  it('call the worker with options that there are', () => {
    const read = (name: string): string => readFileSync(join(ROOT, 'examples/many-machines', name), 'utf8');
    const [, compose = ''] = /command: (worker .*)/.exec(read('compose.yaml')) ?? [];
    const [, kubernetes = ''] = /args: \[(.*)\]/.exec(read('kubernetes.yaml')) ?? [];
    for (const words of [compose.split(' '), kubernetes.replaceAll("'", '').split(', ')]) {
      expect(words).toContain('/images');
      expect(instar(...words, '--queue', 'amqp://x').run().stderr).toMatch(/^instar: worker: a queue is redis:/);
    }
  });
});

describe('what is submitted', () => {
  it.for([
    [{ input: 'https://user:pw@images.example/x' }, /may be secret/],
    [{ input: 'https://images.example/x?X-Amz-Signature=1' }, /may be secret/],
    [{ input: 'relative' }, /a path from the root on/],
    [{ input: '/a\0b' }, /without a zero byte/],
    [{ input: '/a', passphrase: 'x' }, /this is not a job/],
    [{ input: '/a', inputFormat: 'nonsense' }, /this is not a job: inputFormat/],
  ] as const)('%s is refused before it is stored', ([options, message]) => {
    expect(() => inspectJob(options as never)).toThrow(message);
  });

  it('needs a queue that is there, and no password on the command line', () => {
    const none = instar('submit', 'inspect', '/a', '--queue', 'redis://127.0.0.1:1').run();
    expect([none.status, none.stderr]).toEqual([
      1,
      'instar: submit: the queue cannot be reached: there is no Redis at its address\n',
    ]);
    const nowhere = instar('status', '--queue', 'postgres://127.0.0.1:1/x').run();
    expect(nowhere.stderr).toBe('instar: status: the queue cannot be reached (ECONNREFUSED)\n');
    for (const url of [
      'redis://:hunter2@127.0.0.1',
      'redis://h?password=hunter2',
      'postgres://h/d?a=b&PassWord=hunter2',
    ]) {
      const password = instar('status', '--queue', url).run();
      expect(password.stderr).toMatch(/^instar: status: --queue: holds a password/);
      expect(password.stderr).not.toContain('hunter2');
    }
    const mistyped = instar('status', '--queu=redis://:hunter2@127.0.0.1').run();
    expect(mistyped.stderr).toMatch(/^instar: status: unknown option '--queu'/);
    expect(mistyped.stderr).not.toContain('hunter2');
    expect(instar('status', '--queue', 'amqp://x').run().stderr).toMatch(/a queue is redis:/);
    expect(instar('worker', '--queue', 'amqp://x').run().status).toBe(1);
  });
});
