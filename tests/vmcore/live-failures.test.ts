import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { instar, type Finished } from '../support/command.js';
import { requireJudge } from '../support/judge.js';
import { workdir } from '../support/workdir.js';
import { Qmp } from './qemu/qmp.js';
import { QEMU_X86_64 } from './tools.js';

const OLD = 'what was there before';
const GREETING = '{"QMP": {"version": {}, "capabilities": []}}\n';
const DONE = '{"return": {}}\n';

let server: Server | undefined;
afterEach(() => {
  server?.close();
});

/** A monitor that answers each line with the next of these texts, and closes where there is no more. */
async function monitor(path: string, answers: readonly string[]): Promise<void> {
  const made = createServer((socket) => {
    const rest = [...answers];
    const next = (): void => {
      const answer = rest.shift();
      if (answer === undefined) socket.destroy();
      else socket.write(answer);
    };
    socket.on('error', () => undefined);
    socket.on('data', next);
    next();
  });
  server = made;
  await new Promise<void>((resolve) => {
    made.listen(path, resolve);
  });
}

const complaint = ({ status, stdout, stderr }: Finished): unknown[] => [status, stdout, stderr.split('\n').slice(1)];

describe('a dump through a monitor', () => {
  it.each([
    {
      how: 'QEMU says that it failed',
      answers: [GREETING, DONE, DONE, '{"return": {"status": "failed", "completed": 7, "total": 9}}\n'],
      says: 'QEMU could not write the dump; what it has written is not complete',
    },
    { how: 'QEMU ends while it writes', answers: [GREETING, DONE, DONE], says: 'QEMU has closed its monitor' },
    {
      how: 'QEMU refuses',
      answers: [GREETING, DONE, '{"error": {"class": "GenericError", "desc": "No \\u001b[31mspace"}}\n'],
      says: 'QEMU refuses dump-guest-memory: No ?[31mspace',
    },
    { how: 'something else answers', answers: ['220 smtp ready\n'], says: 'does not speak' },
    { how: 'an answer has no end', answers: [GREETING, 'x'.repeat(2 << 20)], says: 'more than 1048576 characters' },
  ])('ends with a sentence and leaves what is there alone when $how', async ({ answers, says }) => {
    const directory = workdir();
    directory.write('out', OLD);
    await monitor(directory.file('qmp'), answers);
    const finished = await instar('vmcore', 'dump', '--qmp', 'qmp', 'out').in(directory).start();
    expect(complaint(finished)).toEqual([1, '', ['']]);
    expect(finished.stderr).toContain(says);
    expect(directory.read('out').toString()).toBe(OLD);
    expect(directory.names('').sort()).toEqual(['out', 'qmp']);
  });

  it('is told to have failed by a QEMU whose disk is full', async (context) => {
    requireJudge(context, QEMU_X86_64);
    const directory = workdir();
    const qmp = new Qmp([
      ...['qemu-system-x86_64', '-M', 'pc', '-m', '16', '-vga', 'none', '-accel', 'tcg', '-S'],
      ...['-qmp', `unix:${directory.file('qmp')},server=on,wait=off`],
    ]);
    try {
      await qmp.negotiate();
      const finished = await instar('vmcore', 'dump', '--qmp', 'qmp', '/dev/full').in(directory).start();
      expect(complaint(finished)).toEqual([1, '', ['']]);
      expect(finished.stderr).toContain('/dev/full: QEMU could not write the dump');
    } finally {
      await qmp.close();
    }
  });
});
