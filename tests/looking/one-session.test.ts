// One guest for a command, however many files its image has, and each file opened once.
import { describe, expect, it } from 'vitest';
import { instar, type CommandLine } from '../support/command.js';
import { QEMU_IMG, requireJudge, STRACE } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';

const LAYERS = ['base.qcow2', 'middle.qcow2', 'top.qcow2'];

function chainOfThree(): Workdir {
  const directory = workdir();
  for (const [index, name] of LAYERS.entries()) {
    const below = LAYERS[index - 1];
    const backing = below === undefined ? [] : ['-b', below, '-F', 'qcow2'];
    qemuImg('create', '-q', '-f', 'qcow2', ...backing, name, ...(below === undefined ? ['4M'] : []))
      .in(directory)
      .must();
    qemuIo(name, `write -q -P ${index + 1} ${index}M 1M`)
      .in(directory)
      .must();
  }
  return directory;
}

/** What a command did: sandboxes that it made, and how often it opened each layer. */
function watched(command: CommandLine, directory: Workdir): { sandboxes: number; opened: readonly number[] } {
  const trace = `${directory.path}.trace`;
  const calls = 'trace=ioctl,execve,openat,openat2,open';
  command.under('strace', '-f', '-qq', '-s', '200', '-e', calls, '-o', trace).in(directory).must();
  const lines = directory
    .readOutside(trace)
    .split('\n')
    .filter((line) => !line.includes('ENOENT'));
  const made = lines.filter((line) => /KVM_CREATE_VM|execve\("[^"]*sandbox-helper"/.test(line));
  const opened = LAYERS.map((name) => lines.filter((line) => /\bopen/.test(line) && line.includes(`${name}"`)).length);
  return { sandboxes: made.length, opened };
}

const COMMANDS: readonly [name: string, ...words: string[]][] = [
  ['info', '--backing-chain', 'top.qcow2'],
  ['map', '--output=json', 'top.qcow2'],
  ['compare', 'top.qcow2', 'top.copy'],
  ['measure', '-O', 'qcow2', 'top.qcow2'],
  ['check', 'top.qcow2'],
  ['dd', 'if=top.qcow2', '-f', 'qcow2', 'of=out.raw', 'bs=1M', 'seek=1'],
];

describe.each(['kvm', 'process'])('under %s', (sandbox) => {
  it.for(COMMANDS)('%s makes one sandbox and opens each file once', ([name, ...words], context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, STRACE);
    const directory = chainOfThree();
    instar('dd', 'if=top.qcow2', 'of=top.copy').in(directory).must();
    const { sandboxes, opened } = watched(instar(name, `--sandbox=${sandbox}`, ...words), directory);
    expect(sandboxes).toBe(1);
    expect(opened).toEqual(name === 'check' ? [0, 0, 1] : [1, 1, 1]);
  });

  it('dd looks at a whole output in a second one, which has never seen the input', (context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, STRACE);
    const directory = chainOfThree();
    const { sandboxes, opened } = watched(
      instar('dd', `--sandbox=${sandbox}`, 'if=top.qcow2', 'of=out.raw', 'bs=1M'),
      directory,
    );
    expect({ sandboxes, opened }).toEqual({ sandboxes: 2, opened: [1, 1, 1] });
  });
});
