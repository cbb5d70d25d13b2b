// What a guest leaves in a kept sandbox, and whether the next one finds it. The judge is a sandbox that nobody used.
import { setTimeout as sleep } from 'node:timers/promises';
import { convertGuestPath, sandboxHelperPath } from '@instar/convert-guest';
import { region } from '@instar/shared-abi';
import { createSandboxPool, runInPool, type PoolOptions, type RunReport, type SandboxPool } from '@instar/vmm-native';
import { afterAll, describe, expect, it } from 'vitest';
import { LEAVINGS, type Leaving } from './outcomes/leaving.js';
import {
  ATTACK_IMAGE,
  ATTACK_PATH,
  configPage,
  listAttacks,
  NO_PROGRESS_MS,
  requireSandbox,
  SANDBOXES,
  Scene,
} from './scene.js';

const scene = new Scene();
const pools: SandboxPool[] = [];

afterAll(async () => {
  await Promise.all(pools.map(async (pool) => pool.close()));
  scene.close();
});

const RESULT: NonNullable<Leaving['where']> = [BigInt(region('result').start), BigInt(region('result').size)];
/** Words of the result: state of the processor, words in use, marks, variables, status and text of the item. */
const STATE_WORDS = 128;
const RESULT_WORDS = STATE_WORDS + 2 + 2 + 1 + 2;
const MARK = Buffer.from('LEFT HIM').readBigUInt64LE();

interface Look {
  readonly processor: readonly bigint[];
  readonly memory: readonly bigint[];
  readonly rest: unknown;
}

function lookOf(report: RunReport): Look {
  const words = Array.from({ length: RESULT_WORDS }, (_, index) => report.result.readBigUInt64LE(index * 8));
  const { outcome, exitCode, log, failures, statistics } = report;
  const { commands, bytesRead } = statistics;
  return {
    processor: words.slice(0, STATE_WORDS),
    memory: words.slice(STATE_WORDS),
    rest: { outcome, exitCode, log, failures, commands, bytesRead },
  };
}

class Kept {
  readonly pool: SandboxPool;
  constructor(sandbox: 'kvm' | 'process', special: Partial<PoolOptions> = {}) {
    const helper = sandboxHelperPath();
    this.pool = createSandboxPool({ image: ATTACK_IMAGE, helper, sandbox, size: 1, ...special });
    pools.push(this.pool);
  }

  async run(name: string, args: readonly bigint[] = []): Promise<RunReport> {
    const number = (await listAttacks()).indexOf(name);
    return runInPool(this.pool, {
      chainConfig: new Uint8Array(),
      operationConfig: configPage(number, args),
      devices: scene.devices,
      ioThreads: 0,
      limits: { noProgressMs: NO_PROGRESS_MS },
    });
  }

  /** Waits until the sandbox is ready for the next run. */
  async settle(): Promise<void> {
    for (let turn = 0; this.pool.statistics().idle < 1; turn += 1) {
      if (turn > 2000) throw new Error('the sandbox does not become idle');
      await sleep(1);
    }
  }
}

it('leaves something at every place that the guest can leave it', async () => {
  const known = (await listAttacks()).filter((name) => name.startsWith('leave.') && name !== 'leave.look');
  expect(known.filter((name) => !LEAVINGS.some(({ attack }) => attack === name))).toEqual([]);
});

describe.each(SANDBOXES)('a kept sandbox under %s', (sandbox) => {
  const title = ({ attack, about }: Leaving): string => (about === undefined ? attack : `${attack}: ${about}`);

  it.for(LEAVINGS.map((row) => [title(row), row] as const))('keeps nothing of %s', async ([, row], context) => {
    requireSandbox(context, sandbox);
    const kept = new Kept(sandbox);
    await kept.run(row.attack, row.arguments);
    await kept.settle();
    const { restored, poisoned } = kept.pool.statistics();
    expect(restored + poisoned).toBe(1n);
    const after = typeof row.after === 'string' ? row.after : row.after[sandbox];
    if (after !== 'either') expect(restored === 1n ? 'restored' : 'poisoned').toBe(after);

    const found = lookOf(await kept.run('leave.look', row.where ?? RESULT));
    const unused = new Kept(sandbox);
    const first = lookOf(await unused.run('leave.look', row.where ?? RESULT));
    expect(found.memory).toEqual(first.memory);
    expect(found.memory[1], 'marks').toBe(0n);
    expect(found.rest).toEqual(first.rest);
    const fresh = lookOf(await scene.attack(sandbox, 'leave.look', row.where ?? RESULT));
    // A process begins with what its helper left in registers that no guest may rely on: there it must be no mark.
    if (sandbox === 'kvm') expect(found.processor).toEqual(fresh.processor);
    expect(found.processor).not.toContain(MARK);
    await Promise.all([kept.pool.close(), unused.pool.close()]);
  });

  it('is the same one for run after run', async (context) => {
    requireSandbox(context, sandbox);
    const kept = new Kept(sandbox);
    for (let turn = 0; turn < 5; turn += 1) {
      expect((await kept.run('leave.look', RESULT)).exitCode).toBe(0);
      await kept.settle();
    }
    expect(kept.pool.statistics()).toMatchObject({ made: 1n, restored: 5n, poisoned: 0n, idle: 1 });
    await kept.pool.close();
    expect(kept.pool.statistics().idle).toBe(0);
  });

  it('that is made ahead is waited for by the run that it is for', async (context) => {
    requireSandbox(context, sandbox);
    const kept = new Kept(sandbox);
    kept.pool.prepare();
    expect((await kept.run('leave.look', RESULT)).exitCode).toBe(0);
    expect(kept.pool.statistics()).toMatchObject({ made: 1n });
    await kept.settle();
    kept.pool.prepare();
    expect(kept.pool.statistics()).toMatchObject({ made: 1n, idle: 1 });
    await kept.pool.close();
  });

  it('that is for one run serves no other', async (context) => {
    requireSandbox(context, sandbox);
    const kept = new Kept(sandbox, { once: true });
    kept.pool.prepare();
    for (const made of [1n, 2n]) {
      expect((await kept.run('leave.look', RESULT)).exitCode).toBe(0);
      expect(kept.pool.statistics()).toMatchObject({ made, restored: 0n, poisoned: 0n, idle: 0 });
    }
    kept.pool.prepare();
    await kept.pool.close();
    expect(kept.pool.statistics().idle).toBe(0);
  });

  it('that rehearsed serves the run that it is for, unless the rehearsal ended badly', async (context) => {
    requireSandbox(context, sandbox);
    // Given nothing, the one refuses it and ends; the attacking one does not end as a guest that works.
    const rehearsed = { [convertGuestPath()]: 1n, [ATTACK_PATH]: sandbox === 'kvm' ? 2n : 1n };
    for (const [image, made] of Object.entries(rehearsed)) {
      const kept = new Kept(sandbox, { image, rehearses: true });
      kept.pool.prepare();
      await kept.run('leave.look', RESULT);
      await kept.settle();
      expect(kept.pool.statistics(), image).toMatchObject({ made });
      await kept.pool.close();
    }
  });

  it('that cannot be made ahead is told of by the run that it was for', async (context) => {
    requireSandbox(context, sandbox);
    const kept = new Kept(sandbox, { image: '/nowhere/guest.img', once: true });
    kept.pool.prepare();
    const failure = {
      code: 'SANDBOX_UNAVAILABLE',
      message: expect.stringContaining('guest image cannot be read') as string,
    };
    for (let turn = 0; turn < 2; turn += 1) await expect(kept.run('leave.look', RESULT)).rejects.toMatchObject(failure);
    await kept.pool.close();
  });
});
