import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { checkSandboxes, type Sandbox } from '@instar/engine';
import { program } from '../support/command.js';
import { QEMU_IMG, requireJudge, skipLoudly, STRACE } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { lines } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const MIB = 1024 * 1024;
const resolve = createRequire(import.meta.url).resolve;
const url = (name: string): string => JSON.stringify(pathToFileURL(resolve(name)).href);
/** Bytes of the images: enough that a copy takes a while. */
const SIZE = 24 * MIB;
const OLD = 'what was there before\n';

/** Runs a module in a worker until its `ready` message and a little longer, then terminates it. */
async function terminated(source: string, afterMs: number): Promise<void> {
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { stdin: true });
  await new Promise<void>((go, fail) => {
    worker.once('message', () => {
      go();
    });
    worker.once('error', fail);
    worker.once('exit', () => {
      fail(new Error('the worker ended before it could be terminated'));
    });
  });
  await sleep(afterMs);
  await worker.terminate();
}

function children(): string[] {
  return readdirSync('/proc/self/task').flatMap((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean);
    } catch {
      // A thread that has just ended: its children have another parent.
      return [];
    }
  });
}

/** Descriptors of this process that lead into a directory. */
function descriptorsIn(directory: Workdir): string[] {
  const links = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });
  return links.filter((link) => link.startsWith(directory.path));
}

function nothingIsLeft(directory: Workdir, names: readonly string[], before: readonly string[]): void {
  expect(directory.names()).toEqual(names);
  // Of an open(2) that was under way node never hears the end: it cannot close that one.
  expect(descriptorsIn(directory).length).toBeLessThanOrEqual(1);
  expect(children().filter((child) => !before.includes(child))).toEqual([]);
}

describe('a worker thread that is terminated', () => {
  for (const sandbox of ['kvm', 'process'] satisfies Sandbox[]) {
    for (const afterMs of [0, 30, 75]) {
      it(`leaves nothing of its dd after ${afterMs} ms (${sandbox})`, async (context) => {
        requireJudge(context, QEMU_IMG);
        const problem = (await checkSandboxes())[sandbox];
        if (problem !== undefined) skipLoudly(context, problem);
        const directory = workdir();
        directory.write('disk.raw', lines(SIZE, 9)).write('out', OLD);
        qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
        directory.delete('disk.raw');
        const before = children();
        const source = `
          import { parentPort } from 'node:worker_threads';
          import { dd } from ${url('@instar/engine')};
          const output = { path: ${JSON.stringify(directory.file('out'))} };
          for (;;) {
            const done = dd({ input: { path: ${JSON.stringify(directory.file('disk.qcow2'))} }, output }, {
              sandbox: ${JSON.stringify(sandbox)},
            });
            setTimeout(() => parentPort.postMessage(0), 20);
            await done;
          }`;
        await terminated(source, afterMs);
        nothingIsLeft(directory, ['disk.qcow2', 'out'], before);
        const out = directory.read('out').toString();
        if (out !== OLD) expect(out).toBe(lines(SIZE, 9).toString());
      });
    }
  }

  it('writes nothing into files that are opened while its descriptors are closed', async () => {
    const directory = workdir();
    directory.write('disk.raw', lines(SIZE, 9));
    const source = `
      import { parentPort } from 'node:worker_threads';
      import { dd } from ${url('@instar/engine')};
      for (let turn = 0; ; turn += 1) {
        const output = { path: ${JSON.stringify(directory.path)} + '/out' };
        const done = dd({ input: { path: ${JSON.stringify(directory.file('disk.raw'))}, }, output, inputFormat: 'raw' });
        setTimeout(() => parentPort.postMessage(0), 60);
        await done;
      }`;
    const { openSync, closeSync, writeSync, constants } = await import('node:fs');
    for (let turn = 0; turn < 4; turn += 1) {
      const ended = terminated(source, turn * 20);
      const state = { over: false };
      void ended.finally(() => {
        state.over = true;
      });
      const opened: number[] = [];
      for (let index = 0; !state.over; index += 1) {
        await sleep(1);
        if (opened.length > 200) continue;
        const fd = openSync(directory.file(`bystander-${turn}-${index}`), constants.O_RDWR | constants.O_CREAT);
        writeSync(fd, OLD);
        opened.push(fd);
      }
      await ended;
      await sleep(100);
      for (const fd of opened) closeSync(fd);
    }
    const changed = directory.names().filter((name) => name.startsWith('bystander'));
    expect(changed.length).toBeGreaterThan(4);
    expect(changed.filter((name) => directory.read(name).toString() !== OLD)).toEqual([]);
    expect(directory.names().filter((name) => name.includes('.tmp'))).toEqual([]);
  });

  it('leaves no name that its output was given while it was terminated', { timeout: 60_000 }, (context) => {
    requireJudge(context, STRACE);
    const directory = workdir();
    directory.write('disk.raw', lines(MIB, 9));
    const source = `
      import { parentPort } from 'node:worker_threads';
      import { dd } from ${url('@instar/engine')};
      const output = { path: ${JSON.stringify(directory.file('out'))} };
      parentPort.postMessage(0);
      for (;;) await dd({ input: { path: ${JSON.stringify(directory.file('disk.raw'))} }, output, inputFormat: 'raw' });`;
    const main = `
      import { Worker } from 'node:worker_threads';
      const worker = new Worker(new URL(${JSON.stringify(`data:text/javascript,${encodeURIComponent(source)}`)}));
      await new Promise((go) => worker.once('message', go));
      await new Promise((go) => setTimeout(go, Number(process.argv[1])));
      await worker.terminate();`;
    // Each name takes 0.3 s to be there, so that most of these end in the middle of one.
    for (const afterMs of [250, 350, 450, 550, 650, 750]) {
      const slow = ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=linkat', '-e', 'inject=linkat:delay_exit=300000'];
      const node = [process.execPath, '--input-type=module', '-e', main, String(afterMs)];
      program('strace', ...slow, ...node).must();
      expect(directory.names().filter((name) => name.includes('.tmp'))).toEqual([]);
    }
  });

  it('leaves nothing of a dump', async () => {
    const directory = workdir();
    const before = children();
    const source = `
      import { parentPort } from 'node:worker_threads';
      import { providedImage, writeDump } from ${url('@instar/vmcore')};
      const image = providedImage({
        machine: 'x86_64',
        ranges: [{ start: 0n, length: ${64 * MIB}n }],
        read: (address, target) => { target.fill(Number(address >> 12n) & 255); if (address > ${8 * MIB}n) parentPort.postMessage(0); },
        cpus: [{ registers: { rip: 1n } }],
      });
      for (;;) await writeDump(image, { file: ${JSON.stringify(directory.file('dump'))} }, { format: 'kdump', compression: 'zlib' });`;
    await terminated(source, 5);
    expect(directory.names().filter((name) => name !== 'dump')).toEqual([]);
    expect(descriptorsIn(directory)).toEqual([]);
    expect(children().filter((child) => !before.includes(child))).toEqual([]);
  });
});
