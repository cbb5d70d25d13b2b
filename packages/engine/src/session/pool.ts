import { sandboxHelperPath } from '@instar/convert-guest';
import { createSandboxPool, type SandboxPool } from '@instar/vmm-native';
import { availableParallelism } from 'node:os';
import { guestImage, type Sandbox } from '../sandbox.js';
import { closePrepared } from './ahead.js';

/** Fewest and most sandboxes of one kind that are kept. Each keeps about 8 MiB. */
const [LEAST, MOST] = [2, 8];

/** Sandboxes that are kept: as many of a kind as guests can run at once. */
export const KEPT_SANDBOXES: number = Math.min(Math.max(availableParallelism(), LEAST), MOST);

const pools = new Map<Sandbox, SandboxPool>();

/**
 * The kept sandboxes of a kind. They do not keep node alive.
 * @throws EngineError `SANDBOX_UNAVAILABLE` where the guest image cannot be read
 */
export function poolOf(sandbox: Sandbox): SandboxPool {
  const known = pools.get(sandbox);
  if (known !== undefined) return known;
  const pool = createSandboxPool({ image: guestImage(), helper: sandboxHelperPath(), sandbox, size: KEPT_SANDBOXES });
  pools.set(sandbox, pool);
  return pool;
}

/**
 * Gives back all kept sandboxes that no operation uses, one that was made ahead among them, with their memory, threads and descriptors. Operations that go on
 * end as they would, and later ones make sandboxes anew.
 */
export async function closePool(): Promise<void> {
  const closing = [...pools.values()];
  pools.clear();
  await Promise.all([...closing.map(async (pool) => pool.close()), closePrepared()]);
}
