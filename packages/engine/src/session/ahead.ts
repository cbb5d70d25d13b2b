import { convertGuestPath, sandboxHelperPath } from '@instar/convert-guest';
import { createSandboxPool, type SandboxPool } from '@instar/vmm-native';
import { sandboxProblem, type Sandbox, type SandboxChoice } from '../sandbox.js';

let ahead: SandboxPool | undefined;

/**
 * Begins to make a micro-VM, on another thread, while what the first operation needs is still being found out. The first
 * guest that runs `fresh`, without passphrases, dumps or a trace, is its only one. For a program that serves one command;
 * what is made in vain costs some milliseconds of CPU time.
 * @param choice as an operation would be given it; a process is started as fast without this
 */
export function prepareSandbox(choice: SandboxChoice = 'auto'): void {
  if (choice === 'process' || ahead !== undefined) return;
  try {
    if (sandboxProblem('kvm') !== undefined) return;
    const [image, helper] = [convertGuestPath(), sandboxHelperPath()];
    const pool = createSandboxPool({ image, helper, sandbox: 'kvm', size: 1, once: true });
    pool.prepare();
    ahead = pool;
  } catch {
    // What speaks against it the operation finds out as well, and tells.
  }
}

/**
 * Takes the sandbox that was made ahead, for one guest.
 * @param wanted where the guest runs; undefined where it needs another sandbox than those that are made ahead
 */
export function takePrepared(wanted: Sandbox | undefined): SandboxPool | undefined {
  const taken = ahead;
  ahead = undefined;
  if (wanted === 'kvm') return taken;
  // Its memory is not there twice.
  void taken?.close().catch(() => undefined);
  return undefined;
}
