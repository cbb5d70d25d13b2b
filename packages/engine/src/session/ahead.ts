import { convertGuestPath, sandboxHelperPath } from '@instar/convert-guest';
import { createSandboxPool, probeKvm, type SandboxPool } from '@instar/vmm-native';
import type { Sandbox, SandboxChoice } from '../sandbox.js';

/** A sandbox that is being made. */
interface Prepared {
  readonly pool: SandboxPool;
  /** The guest that will run in it. */
  readonly image: string;
}

/** A program may hold this module twice: in a part that is loaded first, and where operations are. */
const AHEAD = Symbol.for('@instar/engine/prepare');
const shared = globalThis as Record<symbol, Prepared | undefined>;

/**
 * Begins to make a micro-VM, on another thread, while what the first operation needs is still being found out. The first
 * guest that runs `fresh`, without passphrases, dumps or a trace, is its only one. For a program that serves one command;
 * what is made in vain costs some milliseconds of CPU time.
 * @param choice as an operation would be given it; a process is started as fast without this
 */
export function prepareSandbox(choice: SandboxChoice = 'auto'): void {
  if (choice === 'process' || shared[AHEAD] !== undefined) return;
  try {
    if (probeKvm() !== null) return;
    const [image, helper] = [convertGuestPath(), sandboxHelperPath()];
    const pool = createSandboxPool({ image, helper, sandbox: 'kvm', size: 1, once: true, rehearses: true });
    pool.prepare();
    shared[AHEAD] = { pool, image };
  } catch {
    // What speaks against it the operation finds out as well, and tells.
  }
}

/**
 * Takes the sandbox that was made ahead, for one guest.
 * @param wanted where the guest runs; undefined where it needs another sandbox than those that are made ahead
 */
export function takePrepared(wanted: Sandbox | undefined): SandboxPool | undefined {
  const taken = shared[AHEAD];
  shared[AHEAD] = undefined;
  if (wanted === 'kvm' && taken?.image === convertGuestPath()) return taken.pool;
  // Its memory is not there twice.
  void taken?.pool.close().catch(() => undefined);
  return undefined;
}

/** Gives back the sandbox that was made ahead, where no guest has taken it. */
export async function closePrepared(): Promise<void> {
  const taken = shared[AHEAD];
  shared[AHEAD] = undefined;
  await taken?.pool.close();
}
