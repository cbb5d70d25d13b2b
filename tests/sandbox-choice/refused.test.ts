// An environment that refuses what a sandbox needs: it is named, with a remedy, and no image is blamed. `auto` goes on in
// the sandbox that is left.
import { execFileSync } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { probeKvm } from '@instar/vmm-native';
import { beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { instar, type CommandLine, type Finished } from '../support/command.js';
import { requireJudge, skipLoudly, skipWithoutRight, type Judge } from '../support/judge.js';
import { noise } from '../support/random.js';
import { Workdir, workdir } from '../support/workdir.js';

const GCC: Judge = { program: 'gcc', probe: ['--version'], package: 'gcc' };
const { EBUSY, ENOMEM, ENOSYS, EPERM } = constants.errno;
/** System calls of x86-64 (asm/unistd_64.h) and requests of KVM (linux/kvm.h), as `deny` takes them. */
const CALL = {
  KVM_CREATE_VM: '16:0xAE01',
  KVM_CREATE_VCPU: '16:0xAE41',
  KVM_RUN: '16:0xAE80',
  KVM_SET_SREGS: '16:0x4138AE84',
  PRCTL: '157',
  SECCOMP: '317',
  MEMFD_CREATE: '319',
  CLOSE_RANGE: '436',
  SIGALTSTACK: '131',
};

let tools: Workdir | undefined;

beforeAll(() => {
  const source = fileURLToPath(new URL('deny.c', import.meta.url));
  try {
    const made = new Workdir();
    execFileSync('gcc', ['-O1', '-o', made.file('deny'), source], { stdio: 'ignore' });
    tools = made;
  } catch {
    tools = undefined;
  }
  return () => tools?.remove();
});

/** A command in an environment in which calls fail. */
function denied(context: TestContext, command: CommandLine, calls: readonly (readonly [string, number])[]): Finished {
  requireJudge(context, GCC);
  if (tools === undefined) return skipLoudly(context, 'gcc cannot build the program that denies system calls');
  const rules = calls.flatMap(([call, error]) => [call, String(error)]);
  const finished = command.under(tools.file('deny'), ...rules, '--').run();
  if (finished.status === 77) skipWithoutRight(context, 'no seccomp filter can be installed here');
  return finished;
}

function requireKvm(context: TestContext): void {
  const problem = probeKvm();
  if (problem !== null) skipLoudly(context, `no KVM here: ${problem}`);
}

function prepared(): Workdir {
  return workdir().write('in.raw', noise(100_000));
}

const KVM_REFUSALS = [
  ['KVM_CREATE_VM', EBUSY],
  ['KVM_CREATE_VM', ENOMEM],
  ['KVM_CREATE_VCPU', EPERM],
  ['KVM_SET_SREGS', ENOMEM],
  ['KVM_RUN', EPERM],
] as const;

const PROCESS_REFUSALS = [
  ['SECCOMP', EPERM, 'seccomp'],
  ['SECCOMP', ENOSYS, 'seccomp'],
  ['CLOSE_RANGE', ENOSYS, 'close_range'],
  ['SIGALTSTACK', EPERM, 'sigaltstack'],
  ['MEMFD_CREATE', ENOSYS, 'memory'],
] as const;

describe.each(KVM_REFUSALS)('where %s fails with error %i', (call, error) => {
  it('auto copies in the process sandbox and says so', (context) => {
    requireKvm(context);
    const directory = prepared();
    const finished = denied(context, instar('dd', 'if=in.raw', 'of=out.raw').in(directory), [[CALL[call], error]]);
    expect(finished.stderr).toMatch(/^instar: dd: warning: using the process sandbox, [^\n]+\n$/);
    expect(finished.status).toBe(0);
    expect(directory.read('out.raw').subarray(0, 100_000).equals(noise(100_000))).toBe(true);
  });

  it('--sandbox=kvm is refused with the remedy, and nothing is left', (context) => {
    requireKvm(context);
    const directory = prepared();
    const command = instar('dd', '--json', '--sandbox=kvm', 'if=in.raw', 'of=out.raw').in(directory);
    const finished = denied(context, command, [[CALL[call], error]]);
    expect(finished.status).toBe(1);
    expect(finished.stdout).toContain('"SANDBOX_UNAVAILABLE"');
    expect(finished.stdout).toMatch(/--sandbox=process|not memory enough/);
    expect(finished.stdout).not.toContain('attack');
    expect(directory.names()).toEqual(['in.raw']);
  });

  it('doctor sees it', (context) => {
    requireKvm(context);
    const { stdout, status } = denied(context, instar('doctor'), [[CALL[call], error]]);
    expect(stdout).toMatch(/^no {2}kvm/m);
    expect(stdout).toMatch(/^ok {2}process/m);
    expect(status).toBe(0);
  });
});

describe.each(PROCESS_REFUSALS)('where %s fails with error %i', (call, error, word) => {
  it('the process sandbox is refused by the name of what is missing', (context) => {
    const directory = prepared();
    const command = instar('info', '--require-safe', '--sandbox=process', 'in.raw').in(directory);
    const finished = denied(context, command, [[CALL[call], error]]);
    expect(finished.status).toBe(1);
    expect(finished.stderr).toMatch(/^instar: info: [^\n]+\n$/);
    expect(finished.stderr).toContain(word);
    expect(finished.stderr).not.toMatch(/attack|not safe/);
  });

  it('and with KVM refused as well, both are named', (context) => {
    requireKvm(context);
    const calls = [
      [CALL[call], error],
      [CALL.KVM_CREATE_VM, EBUSY],
    ] as const;
    const { stdout, status } = denied(context, instar('doctor'), calls);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^no {2}kvm/m);
    expect(stdout).toMatch(/^no {2}process/m);
    const finished = denied(context, instar('info', 'in.raw').in(prepared()), calls);
    expect(finished.status).toBe(1);
    expect(finished.stderr).not.toContain('attack');
  });
});
