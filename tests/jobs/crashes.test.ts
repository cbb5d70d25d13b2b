// Jobs whose sandbox crashes in every attempt: kept apart with the report of the crash, and nothing of them is left.
import { spawn } from 'node:child_process';
import { checksumJob, compareJob, convertJob, inspectJob, submit, type Job } from '@instar/jobs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { requireSandbox, SANDBOXES } from '../hostile-guest/scene.js';
import { INSTAR, instar, program } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { workdir } from '../support/workdir.js';
import { bench, KINDS, startServers } from './bench.js';
import { crashingGuest } from './crashing-guest.js';
import { requireServer } from './servers.js';

startServers();

/** What is said of an instruction that there is not. */
const REPORT = /crashed: invalid opcode .* at rip 0x/;

describe.each(KINDS)('a job whose sandbox always crashes, in %s,', (kind) => {
  it.for(SANDBOXES)('is kept apart with the report of its crash: %s', async (sandbox, context) => {
    requireServer(context, kind);
    requireSandbox(context, sandbox);
    requireJudge(context, QEMU_IMG);
    const { queue, url, name, directory, work, outcome } = await bench(kind);
    const options = crashingGuest(workdir());
    const child = spawn(
      process.execPath,
      [INSTAR, 'worker', '--name', name, '--directory', directory.path, '--sandbox', sandbox, '--json'],
      { env: { ...process.env, INSTAR_QUEUE: url, NODE_OPTIONS: options }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    onTestFinished(() => void child.kill('SIGKILL'));
    let told = '';
    child.stdout.on('data', (text: Buffer) => (told += text.toString()));
    const [input, output] = [directory.file('disk.qcow2'), directory.file('out.raw')];
    const before = directory.names();
    const jobs: Job[] = [
      checksumJob({ input }),
      convertJob({ input, output }),
      compareJob({ first: input, second: directory.file('disk.raw') }),
    ];
    jobs.push(convertJob({ input, output, windows: 3 }));
    const tries = { attempts: 2, backoffMs: 50 };
    const ids = await Promise.all(jobs.map(async (job) => submit(queue, job, tries)));
    const ended = await Promise.all(ids.map(outcome));
    for (const job of ended) {
      expect(job).toMatchObject({ state: 'failed', attempts: 2, error: { code: 'GUEST_FAILED' } });
      expect(job.error?.message).toMatch(REPORT);
      expect(job.error?.message).toContain('the image may be made to attack its reader');
    }
    // Who asks for the queue sees them, and the worker lives.
    expect((await queue.failed(10)).map(({ id }) => id).sort()).toEqual([...ids].sort());
    const shown = instar('status', '--name', name).environment({ INSTAR_QUEUE: url }).must().stdout;
    expect(shown).toMatch(new RegExp(`${ids[0] ?? ''} {2}checksum {2}failed, 2 attempts: .*crash`));
    expect(told.split('\n').filter((line) => line.includes('"state":"failed"'))).toHaveLength(2 * jobs.length);
    // Whoever asks what an image is gets an answer: one that crashes its reader is not safe.
    const judged = await outcome(await submit(queue, inspectJob({ input }), tries));
    expect(judged).toMatchObject({ state: 'done', attempts: 1, result: { verdict: { safe: false } } });
    expect(JSON.stringify(judged.result)).toMatch(REPORT);
    expect(child.exitCode).toBeNull();
    expect(directory.names()).toEqual(before);
    // Where another worker's sandbox does not crash, the same job is done.
    child.kill('SIGKILL');
    await work();
    expect(await submit(queue, checksumJob({ input }))).toBe(ids[0]);
    const [sum] = program('sha256sum', directory.file('disk.raw')).must().stdout.split(' ');
    expect(await outcome(ids[0] ?? '')).toMatchObject({ state: 'done', result: { checksum: sum } });
  });
});
