import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { truncateSync } from 'node:fs';
import { expect, it, onTestFinished, type TestContext } from 'vitest';
import { checkSandboxes, type Sandbox } from '@instar/engine';
import { QEMU_IMG, requireJudge, skipLoudly, skipWithoutRight } from '../support/judge.js';
import { Random } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { convertScenarios } from './convert-scenarios.js';
import { DEVICE_SIZE, ddScenarios } from './dd-scenarios.js';
import { withImages } from './images.js';
import { buildInjector } from './inject.js';
import { FaultTable, type CallCounts, type TableResult } from './table.js';
import { vmcoreScenarios, withDumpInputs } from './vmcore-scenarios.js';

/** The lanes of one run: a command is mostly the start of node. */
const LANES = Math.min(availableParallelism(), 8);
/** Faults of a run; INSTAR_CASES=1500 is the whole table. */
const CASES = Number(process.env['INSTAR_CASES'] ?? 150);
const SEED = Number(process.env['INSTAR_SEED'] ?? 20261126);
/** Shares of the writers of dumps and of convert (of 10); the rest is for dd. */
const DUMPS = 2;
const CONVERTS = 3;

function ground(context: TestContext): Workdir {
  requireJudge(context, QEMU_IMG);
  const directory = workdir();
  const problem = buildInjector(directory);
  if (problem !== undefined) skipLoudly(context, problem);
  return directory;
}

function loopDevice(directory: Workdir): string | undefined {
  directory.write('device', '');
  truncateSync(directory.file('device'), DEVICE_SIZE);
  const attached = spawnSync('losetup', ['--show', '-f', directory.file('device')], { encoding: 'utf8' });
  if (attached.status !== 0) return undefined;
  const device = attached.stdout.trim();
  onTestFinished(() => {
    spawnSync('losetup', ['-d', device]);
  });
  return device;
}

function holds(result: TableResult, faults: number): void {
  const had = [...result.calls].map(([call, count]) => `${call} ${count}`).join(', ');
  console.log(`${result.faults} faults, ${result.survived} made good; ${had}`);
  expect(result.violations).toEqual([]);
  // A table that injects nothing proves nothing.
  expect(result.faults).toBeGreaterThanOrEqual(faults);
}

const HOURS = 3_600_000;

/** A sandbox changes little in what the host calls. */
const counted: CallCounts = new Map();

for (const sandbox of ['kvm', 'process'] satisfies Sandbox[]) {
  it(
    `dd in the ${sandbox} sandbox has the right bytes after exit 0 and has changed nothing after exit 1, whatever call fails`,
    { timeout: HOURS },
    async (context) => {
      const problem = (await checkSandboxes())[sandbox];
      if (problem !== undefined) skipLoudly(context, problem);
      const directory = ground(context);
      withImages(directory);
      const scenarios = ddScenarios(sandbox, loopDevice(directory));
      const faults = Math.ceil((CASES * (10 - DUMPS - CONVERTS)) / 20);
      holds(await new FaultTable(directory, new Random(SEED), counted).run(scenarios, faults, LANES), faults);
    },
  );

  it(
    `convert to every format in the ${sandbox} sandbox is whole after exit 0 and has changed nothing after exit 1, whatever call fails`,
    { timeout: HOURS },
    async (context) => {
      const problem = (await checkSandboxes())[sandbox];
      if (problem !== undefined) skipLoudly(context, problem);
      const directory = ground(context);
      withImages(directory);
      const faults = Math.ceil((CASES * CONVERTS) / 20);
      const table = new FaultTable(directory, new Random(SEED), counted);
      holds(await table.run(convertScenarios(sandbox), faults, LANES), faults);
    },
  );
}

it(
  'writers of dumps have the right bytes after exit 0 and have changed nothing after exit 1',
  { timeout: HOURS },
  async (context) => {
    const directory = ground(context);
    await withDumpInputs(directory);
    const faults = Math.ceil((CASES * DUMPS) / 10);
    holds(await new FaultTable(directory, new Random(SEED)).run(vmcoreScenarios(), faults, LANES), faults);
  },
);

it('dd to a block device is among them', (context) => {
  if (loopDevice(workdir()) === undefined) skipWithoutRight(context, 'a loop device needs the right to make one');
});
