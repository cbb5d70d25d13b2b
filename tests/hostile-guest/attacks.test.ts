// Every attack of the attack guest, on both backends, against one table of what must become of it.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { complaint, type Row } from './expectation.js';
import { LEAVINGS } from './outcomes/leaving.js';
import { MEMORY } from './outcomes/memory.js';
import { PROCESSOR } from './outcomes/processor.js';
import { ENDLESS, RING } from './outcomes/ring.js';
import { SECOND } from './outcomes/second.js';
import { ENDINGS, systemCalls } from './outcomes/system-calls.js';
import { listAttacks, NO_PROGRESS_MS, requireSandbox, SANDBOXES, Scene } from './scene.js';

const TICK_MS = 20;
const SETTLE_MS = 250;

const scene = new Scene();
const table: readonly Row[] = [
  ...MEMORY,
  ...PROCESSOR,
  ...RING,
  ...systemCalls(scene.canaryPath, process.pid),
  ...ENDINGS,
  ...SECOND,
];

function title({ attack, about }: Row): string {
  return about === undefined ? attack : `${attack}: ${about}`;
}

/** What a leak would add to: threads, descriptors and children of this process. */
function possessions(): { readonly threads: number; readonly descriptors: number; readonly children: string } {
  const threads = readdirSync('/proc/self/task');
  return {
    threads: threads.length,
    descriptors: readdirSync('/proc/self/fd').length,
    children: threads.map((thread) => childrenOf(thread)).join(''),
  };
}

function childrenOf(thread: string): string {
  try {
    return readFileSync(`/proc/self/task/${thread}/children`, 'utf8');
  } catch {
    return '';
  }
}

afterAll(() => {
  scene.close();
});

it('has a row for every attack that the guest has, and no other', async () => {
  const rows = new Set([...table, ...LEAVINGS].map(({ attack }) => attack).concat(ENDLESS, 'leave.look'));
  expect([...rows].sort()).toEqual([...(await listAttacks())].sort());
});

describe.each(SANDBOXES)('a hostile guest under %s', (sandbox) => {
  let before: ReturnType<typeof possessions> | undefined;

  it('is told from a well-behaved one', async (context) => {
    requireSandbox(context, sandbox);
    await scene.expectHealthy(sandbox);
    // The thread of a run ends shortly after its promise is settled.
    await sleep(SETTLE_MS);
    before = possessions();
  });

  it.for(table.map((row) => [title(row), row] as const))('%s', async ([, row], context) => {
    requireSandbox(context, sandbox);
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), TICK_MS);
    const start = performance.now();
    const report = await scene.attack(sandbox, row.attack, row.arguments, { secondProcessor: row.secondProcessor });
    clearInterval(timer);
    expect(complaint(report, row[sandbox])).toBeUndefined();
    // A blocked event loop would have had no tick at all in a run that ends by standing still.
    const stoodStill = report.outcome === 'limit';
    if (stoodStill) expect(ticks, 'timers that fired during the run').toBeGreaterThan(NO_PROGRESS_MS / TICK_MS / 3);
    expect(performance.now() - start, 'duration of the attack (ms)').toBeLessThan(10 * NO_PROGRESS_MS);
    scene.expectFilesUntouched(row.writes === true);
    await scene.expectHealthy(sandbox);
  });

  it('leaves no thread, descriptor or child behind', async (context) => {
    requireSandbox(context, sandbox);
    await expect.poll(possessions, { timeout: 20 * SETTLE_MS, interval: SETTLE_MS }).toEqual(before);
  });
});
