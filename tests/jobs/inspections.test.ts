// One job that looks at several images: what came of each, whatever became of the others.
import { symlinkSync } from 'node:fs';
import { inspectJob, submit, type InspectedInput } from '@instar/jobs';
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import type { Workdir } from '../support/workdir.js';
import { bench, KINDS, RAW, startServers } from './bench.js';
import { requireServer } from './servers.js';

startServers();

const FORMATS = ['qcow2', 'vmdk', 'vdi', 'vhdx'] as const;

/** What qemu-img says of an image. */
function judged(directory: Workdir, name: string): { readonly format: string; readonly virtualSize: number } {
  const { format, 'virtual-size': virtualSize } = JSON.parse(
    qemuImg('info', '--output', 'json', name).in(directory).must().stdout,
  ) as { readonly format: string; readonly 'virtual-size': number };
  return { format, virtualSize };
}

function imagesOf(result: unknown): readonly InspectedInput[] {
  return (result as { readonly images: readonly InspectedInput[] }).images;
}

describe.each(KINDS)('a job for several images in %s', (kind) => {
  it('has what came of each, in their order, and is one job however often it is submitted', async (context) => {
    requireServer(context, kind);
    requireJudge(context, QEMU_IMG);
    const { queue, directory, work, outcome, ended } = await bench(kind);
    const names = Array.from({ length: 40 }, (_, index) => `upload${index}`);
    for (const [index, name] of names.entries()) {
      const format = FORMATS[index % FORMATS.length] ?? 'qcow2';
      qemuImg('create', '-q', '-f', format, name, `${index + 1}M`)
        .in(directory)
        .must();
    }
    const job = inspectJob({ inputs: names.map((name) => directory.file(name)) });
    const ids = await Promise.all([submit(queue, job), submit(queue, job)]);
    expect(ids[0]).toBe(ids[1]);
    await work({ concurrency: 2 });
    const done = await outcome(ids[0]);
    expect(done).toMatchObject({ kind: 'inspect', state: 'done', attempts: 1 });
    const images = imagesOf(done.result);
    expect(images.map(({ input }) => input)).toEqual(names.map((name) => directory.file(name)));
    expect(images).toMatchObject(
      names.map((name) => ({ result: { verdict: { safe: true }, description: judged(directory, name) } })),
    );
    expect(ended).toHaveLength(1);
  });

  it('loses none by those that are sick, missing or not allowed, and tells why of each', async (context) => {
    requireServer(context, kind);
    requireJudge(context, QEMU_IMG);
    const { queue, directory, work, outcome, ended } = await bench(kind);
    symlinkSync('/etc/passwd', directory.file('link'));
    directory.write('sick.qcow2', Buffer.concat([Buffer.from('QFI\xfb\0\0\0\x09', 'latin1'), Buffer.alloc(600)]));
    const inputs = [
      ...['disk.qcow2', 'link', 'sick.qcow2', 'gone.raw', 'disk.raw'].map((name) => directory.file(name)),
      '/etc/passwd',
      'https://images.example/x',
      directory.file('disk.qcow2'),
    ];
    await work();
    const done = await outcome(await submit(queue, inspectJob({ inputs }), { attempts: 3, backoffMs: 100 }));
    expect(done).toMatchObject({ state: 'done', attempts: 3 });
    const disk = { verdict: { safe: true }, description: { format: 'qcow2', virtualSize: RAW.length } };
    expect(imagesOf(done.result)).toMatchObject([
      { input: inputs[0], result: disk },
      { input: inputs[1], refused: { code: 'NOT_ALLOWED' } },
      { input: inputs[2], result: { verdict: { safe: false } } },
      { input: inputs[3], failed: { code: 'READ_FAILED' } },
      { input: inputs[4], result: { description: { virtualSize: RAW.length } } },
      { input: inputs[5], refused: { code: 'NOT_ALLOWED' } },
      { input: inputs[6], refused: { code: 'NOT_ALLOWED' } },
      { input: inputs[7], result: disk },
    ]);
    expect(ended.map(({ state }) => state)).toEqual(['failed', 'failed', 'done']);
  });

  it('reads what comes between two attempts, and is kept apart where nothing could be read', async (context) => {
    requireServer(context, kind);
    const { queue, directory, work, outcome } = await bench(kind);
    const inputs = [directory.file('later.raw'), directory.file('disk.raw')];
    await work({
      onEnd: ({ attempt }) => {
        if (attempt === 1) directory.write('later.raw', RAW.subarray(0, 8192));
      },
    });
    const later = await outcome(await submit(queue, inspectJob({ inputs }), { attempts: 5, backoffMs: 100 }));
    expect(later).toMatchObject({ state: 'done', attempts: 2 });
    expect(imagesOf(later.result)).toMatchObject([
      { result: { description: { virtualSize: 8192 } } },
      { result: { description: { virtualSize: RAW.length } } },
    ]);
    const none = inspectJob({ inputs: [directory.file('none'), directory.file('nothing')] });
    const failed = await outcome(await submit(queue, none, { attempts: 2, backoffMs: 100 }));
    expect(failed).toMatchObject({ state: 'failed', attempts: 2, error: { code: 'READ_FAILED' } });
    expect(failed.error?.message).toMatch(/^2 of 2 images could not be read, the first: .*none/);
    expect(await queue.failed(10)).toEqual([failed]);
  });

  it('is submitted by the command, which names those without a result', async (context) => {
    requireServer(context, kind);
    requireJudge(context, QEMU_IMG);
    const { url, name, directory, work } = await bench(kind);
    await work();
    const command = (...words: readonly string[]) =>
      instar('submit', 'inspect', ...words, '--name', name, '--wait')
        .in(directory)
        .environment({ INSTAR_QUEUE: url })
        .start();
    const good = await command('disk.qcow2', 'disk.raw');
    expect([good.status, good.stderr]).toEqual([0, '']);
    expect(good.stdout).toMatch(/^\S+ {2}inspect {2}done\n$/);
    const mixed = await command('disk.qcow2', '/etc/passwd', '--json');
    expect(mixed.status).toBe(1);
    const { job } = JSON.parse(mixed.stdout) as { readonly job: { readonly result: unknown } };
    expect(imagesOf(job.result)).toMatchObject([
      { result: { description: judged(directory, 'disk.qcow2') } },
      { refused: { code: 'NOT_ALLOWED' } },
    ]);
    const told = await command('disk.qcow2', '/etc/passwd');
    expect(told.status).toBe(1);
    expect(told.stdout).toMatch(/done\n {2}\/etc\/passwd: "\/etc\/passwd" is in no directory/);
  });
});

describe('a job for several images', () => {
  it.for([
    [{}, /one of input and inputs/],
    [{ input: '/a', inputs: ['/a'] }, /one of input and inputs/],
    [{ inputs: [] }, /inputs: one at least/],
    [{ inputs: Array.from({ length: 1001 }, () => '/a') }, /inputs: at most 1000/],
    [{ inputs: ['/a', 'b'] }, /inputs\.1: a path from the root on/],
    [{ inputs: '/a' }, /this is not a job: inputs/],
  ] as const)('%j is refused before it is stored', ([options, message]) => {
    expect(() => inspectJob(options as never)).toThrow(message);
  });
});
