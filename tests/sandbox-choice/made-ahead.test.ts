// A sandbox that is made ahead and not used leaves nothing.
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkSandboxes, closePool, info, prepareSandbox } from '@instar/engine';
import { expect, it, onTestFinished, type TestContext } from 'vitest';
import { program, ROOT } from '../support/command.js';
import { skipLoudly } from '../support/judge.js';
import { workdir } from '../support/workdir.js';

/** Descriptors that this process has, those of virtual machines among them. */
function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** The same once nothing is being given back any more, as what was asked before may be. */
async function atRest(): Promise<number> {
  let least = descriptors();
  for (let calm = 0; calm < 10; calm += 1) {
    await sleep(20);
    if (descriptors() >= least) continue;
    least = descriptors();
    calm = 0;
  }
  return least;
}

async function settled(expected: number): Promise<number> {
  for (let tries = 0; descriptors() > expected && tries < 100; tries += 1) await sleep(20);
  return descriptors();
}

async function requireKvm(context: TestContext): Promise<void> {
  const problem = (await checkSandboxes()).kvm;
  if (problem !== undefined) skipLoudly(context, problem);
}

it('closePool gives back what was made ahead in vain', async (context) => {
  await requireKvm(context);
  onTestFinished(closePool);
  await closePool();
  const before = await atRest();
  for (let turn = 0; turn < 3; turn += 1) {
    prepareSandbox();
    prepareSandbox('kvm');
    await sleep(200);
    expect(descriptors()).toBeGreaterThan(before);
    await closePool();
    expect(await settled(before)).toBe(before);
  }
  // What comes afterwards makes one anew.
  const directory = workdir().write('disk', Buffer.alloc(4096));
  prepareSandbox();
  const found = await info(directory.file('disk'), { format: 'raw' }, { isolation: 'fresh' });
  expect(found.virtualSize).toBe(4096n);
});

it('a program that makes one ahead and uses none ends', async (context) => {
  await requireKvm(context);
  const script = `import { prepareSandbox } from '@instar/engine'; prepareSandbox(); prepareSandbox('process');`;
  const finished = program(process.execPath, '--input-type=module', '-e', script).in(`${ROOT}/packages/cli`).run();
  expect([finished.status, finished.stdout, finished.stderr]).toEqual([0, '', '']);
});
