import { readFileSync, writeFileSync } from 'node:fs';
import type { Sandbox } from '@instar/engine';
import { instar, type Finished } from '../support/command.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import type { Workdir } from '../support/workdir.js';
import { DISK_SIZE, INPUTS, diskContent, type InputKind } from './images.js';
import type { Scenario } from './scenario.js';

const MIB = 1024 * 1024;
const DISK = diskContent();
const OLD = noise(3 * MIB + 77, 21);
/** A file that `seek=1` writes into the middle of. */
const AROUND = noise(DISK_SIZE + 3 * MIB, 22);
/** Bytes of the block device: some are left behind the disk. */
export const DEVICE_SIZE = 8 * MIB;
const DEVICE_OLD = noise(DEVICE_SIZE, 23);

type Target = Pick<Scenario, 'prepare' | 'judgeSuccess' | 'judgeFailure'> & {
  readonly words: (output: string) => readonly string[];
};

/** Where bytes differ from those that they ought to be. */
export function sameBytes(found: Buffer, wanted: Buffer, what: string): string | undefined {
  if (found.equals(wanted)) return undefined;
  const at = found.findIndex((byte, index) => byte !== wanted[index]);
  return `${what}: ${found.length} bytes instead of ${wanted.length}, the first other one at ${at}`;
}

/** What is wrong where the output's directory must hold only what it held before. */
export function untouched(old: Buffer | undefined): Scenario['judgeFailure'] {
  return (directory, output) => {
    const names = directory.names(output);
    const wanted = old === undefined ? [] : ['out'];
    if (names.join() !== wanted.join()) return `the directory holds ${names.join(', ')}`;
    return old === undefined ? undefined : sameBytes(directory.read(`${output}/out`), old, 'the old output');
  };
}

/** What is wrong where the output's directory must hold the output, these other files of it, and nothing else. */
export function onlyOutput(directory: Workdir, output: string, others: readonly string[] = []): string | undefined {
  const names = directory.names(output);
  return names.join() === ['out', ...others].join() ? undefined : `the directory holds ${names.join(', ')}`;
}

function raw(old: Buffer | undefined, ...more: readonly string[]): Target {
  return {
    words: (output) => [`of=${output}/out`, ...more],
    prepare(directory, output) {
      if (old !== undefined) directory.write(`${output}/out`, old);
    },
    judgeSuccess: (directory, output) =>
      onlyOutput(directory, output) ?? sameBytes(directory.read(`${output}/out`), DISK, 'the output'),
    judgeFailure: untouched(old),
  };
}

function qcow2(...more: readonly string[]): Target {
  return {
    words: (output) => [`of=${output}/out`, '-O', 'qcow2', ...more],
    prepare(directory, output) {
      directory.write(`${output}/out`, OLD);
    },
    judgeSuccess(directory, output) {
      const problem = onlyOutput(directory, output);
      if (problem !== undefined) return problem;
      const checked = qemuImg('check', '-q', '-f', 'qcow2', `${output}/out`).in(directory).run();
      if (checked.status !== 0) return `qemu-img check: ${checked.stdout}${checked.stderr}`;
      const compared = qemuImg('compare', '-f', 'qcow2', '-F', 'raw', `${output}/out`, 'in/disk.raw');
      const { status, stdout, stderr } = compared.in(directory).run();
      return status === 0 ? undefined : `qemu-img compare: ${stdout}${stderr}`;
    },
    judgeFailure: untouched(OLD),
  };
}

/** What lies outside the window; inside, only a success promises something. */
function outside(found: Buffer, old: Buffer, start: number): string | undefined {
  return (
    sameBytes(found.subarray(0, start), old.subarray(0, start), 'before the window') ??
    sameBytes(found.subarray(start + DISK_SIZE), old.subarray(start + DISK_SIZE), 'behind the window')
  );
}

function window(found: Buffer, start: number): string | undefined {
  return sameBytes(found.subarray(start, start + DISK_SIZE), DISK, 'the window');
}

const SEEK: Target = {
  words: (output) => [`of=${output}/out`, 'seek=1'],
  prepare(directory, output) {
    directory.write(`${output}/out`, AROUND);
  },
  judgeSuccess(directory, output) {
    const found = directory.read(`${output}/out`);
    return onlyOutput(directory, output) ?? outside(found, AROUND, MIB) ?? window(found, MIB);
  },
  judgeFailure: (directory, output) =>
    onlyOutput(directory, output) ?? outside(directory.read(`${output}/out`), AROUND, MIB),
};

const STREAM: Target = {
  words: () => ['of=-'],
  prepare: () => undefined,
  judgeSuccess: (_directory, _output, finished: Finished) => sameBytes(finished.stdoutBytes, DISK, 'the stream'),
  judgeFailure: untouched(undefined),
};

function blockDevice(device: string): Target {
  return {
    words: () => [`of=${device}`],
    prepare() {
      writeFileSync(device, DEVICE_OLD, { flag: 'r+', flush: true });
    },
    judgeSuccess() {
      const found = readFileSync(device);
      return outside(found, DEVICE_OLD, 0) ?? window(found, 0);
    },
    judgeFailure: () => outside(readFileSync(device), DEVICE_OLD, 0),
  };
}

/** dd of every input to every output. @param device a block device of DEVICE_SIZE bytes */
export function ddScenarios(sandbox: Sandbox, device: string | undefined): Scenario[] {
  const targets: [name: string, target: Target, device?: string][] = [
    ['file new', raw(undefined)],
    ['file replaced', raw(OLD)],
    ['sparse', raw(OLD, 'conv=sparse')],
    ['seek', SEEK],
    ['qcow2', qcow2()],
    ['thin qcow2', qcow2('conv=sparse')],
    ['stream', STREAM, '-'],
  ];
  if (device !== undefined) targets.push(['block device', blockDevice(device), device]);
  return (Object.keys(INPUTS) as InputKind[]).flatMap((input) =>
    targets.map(([name, target, elsewhere]): Scenario => ({
      ...target,
      name: `dd of ${input} to ${name} (${sandbox})`,
      makesCallsAs: `${input} to ${name}`,
      device: elsewhere,
      command: (output) =>
        instar('dd', `--sandbox=${sandbox}`, `if=in/${INPUTS[input]}`, 'bs=1M', ...target.words(output)),
    })),
  );
}
