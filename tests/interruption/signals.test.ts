import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INSTAR, instar, program } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { Random } from '../support/random.js';
import { Workdir } from '../support/workdir.js';

const MIB = 1024 * 1024;
const SIZE = 192 * MIB;
const OLD = 'an output that existed before\n';
const KILLS = 14;

let directory: Workdir;
let whole: string;

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
  readonly pid: number;
}

/** Starts a copy and sends a signal after some time; resolves when the process is gone. */
async function interrupted(output: string, signal: NodeJS.Signals, afterMs: number): Promise<Ended> {
  const child = spawn(process.execPath, [INSTAR, 'dd', 'if=disk.qcow2', `of=${output}`, 'bs=1M'], {
    cwd: directory.path,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const timer = setTimeout(() => child.kill(signal), afterMs);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, name) => {
      clearTimeout(timer);
      resolve({ status, signal: name, stderr, pid: child.pid ?? 0 });
    });
  });
}

function leftovers(): string[] {
  return directory.names().filter((name) => name.endsWith('.tmp'));
}

describe('an interrupted dd', () => {
  const random = new Random(Number(process.env['INSTAR_SEED'] ?? 1));
  let duration = 0;

  beforeAll(() => {
    directory = new Workdir();
    const line = 'some text that compresses, but not to nothing, so that decoding takes its time ';
    const content = Buffer.alloc(SIZE);
    for (let at = 0; at < SIZE; at += 4096) content.write(`${at} ${line.repeat(50)}`, at, 4096, 'latin1');
    whole = digest(content);
    directory.write('disk.raw', content);
    program('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-c', 'disk.raw', 'disk.qcow2').in(directory).must();
    directory.delete('disk.raw');
    duration = instar('dd', 'if=disk.qcow2', 'of=first.raw', 'bs=1M').in(directory).must().elapsedMs;
    directory.delete('first.raw');
  }, 120_000);

  afterAll(() => {
    directory.remove();
  });

  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`leaves an existing output as it was and no partial file on ${signal} at random moments`, async (context) => {
      requireJudge(context, QEMU_IMG);
      let stopped = 0;
      for (let turn = 0; turn < KILLS; turn += 1) {
        directory.write('out.raw', OLD);
        chmodSync(directory.file('out.raw'), 0o640);
        const ended = await interrupted('out.raw', signal, random.below(Math.round(duration * 1.1)));
        expect(leftovers(), ended.stderr).toEqual([]);
        const found = directory.read('out.raw');
        if (ended.status === 0) {
          expect(digest(found)).toBe(whole);
        } else {
          // Before node has set up its handlers the signal itself ends the process.
          expect(ended.status === code || ended.signal === signal, `${String(ended.status)} ${ended.stderr}`).toBe(
            true,
          );
          expect(ended.stderr).toBe('');
          expect(found.toString()).toBe(OLD);
          stopped += 1;
        }
        expect(statSync(directory.file('out.raw')).mode & 0o777).toBe(0o640);
      }
      expect(stopped).toBeGreaterThan(0);
    }, 120_000);
  }

  it('leaves nothing under a new name after SIGINT', async (context) => {
    requireJudge(context, QEMU_IMG);
    const ended = await interrupted('new.raw', 'SIGINT', duration / 2);
    if (ended.status !== 0) expect(directory.names()).toEqual(['disk.qcow2', 'out.raw']);
    directory.delete('new.raw');
  }, 60_000);

  it('leaves at most its temporary file after SIGKILL, and the next run removes it', async (context) => {
    requireJudge(context, QEMU_IMG);
    for (let turn = 0; turn < KILLS; turn += 1) {
      directory.write('out.raw', OLD);
      const ended = await interrupted('out.raw', 'SIGKILL', random.below(Math.round(duration * 1.1)));
      const found = directory.read('out.raw');
      const complete = digest(found) === whole;
      expect(complete || found.toString() === OLD).toBe(true);
      const names = leftovers();
      // Where the file system has files without names, one shows for the moment of the rename at most.
      expect(names.length).toBeLessThanOrEqual(1);
      expect(names.every((name) => name.startsWith(`.out.raw.instar-${ended.pid}-`))).toBe(true);
      if (names.length > 0) {
        instar('dd', 'if=disk.qcow2', 'of=out.raw', 'count=1').in(directory).must();
        expect(leftovers()).toEqual([]);
        expect(directory.read('out.raw')).toHaveLength(512);
      }
    }
  }, 180_000);

  it('removes what a killed process left, and nothing else that looks like it', () => {
    const dead = '.out.raw.instar-4194300-0123456789abcdef.tmp';
    const others = [
      '.out.raw.instar-4194300-0123456789abcdeg.tmp',
      '.out.raw.instar-4194300-0123456789abcdef.tmp.bak',
      '.out.raw.instar-4194300.tmp',
      '.other.raw.instar-4194300-0123456789abcdef.tmp',
    ];
    const linked = '.out.raw.instar-4194300-00000000000000aa.tmp';
    const second = '.out.raw.instar-4194300-00000000000000bb.tmp';
    const folder = '.out.raw.instar-4194300-00000000000000cc.tmp';
    for (const name of [dead, ...others]) directory.write(name, 'left');
    symlinkSync('disk.qcow2', directory.file(linked));
    linkSync(directory.file('disk.qcow2'), directory.file(second));
    mkdirSync(directory.file(folder));
    const kept = [...others, linked, second, folder];
    instar('dd', 'if=disk.qcow2', 'of=out.raw', 'count=1').in(directory).must();
    expect(directory.names().filter((name) => name.includes('.instar-'))).toEqual([...kept].sort());
    for (const name of kept) rmSync(directory.file(name), { recursive: true });
  });

  it('does not take the temporary file of a process that still runs for a leftover', () => {
    const alive = `.out.raw.instar-${process.pid}-0123456789abcdef.tmp`;
    directory.write(alive, 'in use');
    instar('dd', 'if=disk.qcow2', 'of=out.raw', 'count=1').in(directory).must();
    expect(leftovers()).toEqual([alive]);
    directory.delete(alive);
  });
});
