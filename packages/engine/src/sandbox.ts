import { convertGuestPath, sandboxHelperPath } from '@instar/convert-guest';
import { probeKvm, probeProcess, VmmError } from '@instar/vmm-native';
import { readFileSync } from 'node:fs';
import { EngineError } from './errors.js';

/** A sandbox in which images are parsed. */
export type Sandbox = 'kvm' | 'process';
/** What a caller asks for; `auto` takes KVM where it works. */
export type SandboxChoice = Sandbox | 'auto';

/** What works here. */
export interface SandboxReport {
  /** Why KVM cannot be used, with the remedy; undefined when it can. */
  readonly kvm: string | undefined;
  /** Why the process sandbox cannot be used; undefined when it can. */
  readonly process: string | undefined;
  /** What `auto` takes; undefined when nothing works. */
  readonly chosen: Sandbox | undefined;
}

let kvmProblem: { readonly reason: string | undefined } | undefined;

function probeOnce(): string | undefined {
  kvmProblem ??= { reason: guarded(() => probeKvm()) ?? undefined };
  return kvmProblem.reason;
}

function guarded<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof VmmError && error.code === 'UNSUPPORTED_PLATFORM') {
      throw new EngineError('UNSUPPORTED_PLATFORM', error.message, { cause: error });
    }
    throw error;
  }
}

/**
 * Looks at which sandboxes work on this machine.
 * @throws EngineError `UNSUPPORTED_PLATFORM` where there is no native part.
 */
export function checkSandboxes(): SandboxReport {
  const kvm = probeOnce();
  const confined = guarded(() => probeProcess(sandboxHelperPath())) ?? undefined;
  return { kvm, process: confined, chosen: kvm === undefined ? 'kvm' : confined === undefined ? 'process' : undefined };
}

/**
 * Chooses a sandbox.
 * @throws EngineError `SANDBOX_UNAVAILABLE` with the reason and the remedy. There is no way to run without a sandbox.
 */
export function chooseSandbox(choice: SandboxChoice): Sandbox {
  if (choice !== 'process') {
    const problem = probeOnce();
    if (problem === undefined) return 'kvm';
    if (choice === 'kvm') throw new EngineError('SANDBOX_UNAVAILABLE', `the KVM sandbox cannot be used: ${problem}`);
  }
  const problem = guarded(() => probeProcess(sandboxHelperPath()));
  if (problem === null) return 'process';
  throw new EngineError('SANDBOX_UNAVAILABLE', `no sandbox can be used: ${problem}`);
}

/** Why `auto` did not take KVM; undefined when it does. */
export function kvmUnavailableReason(): string | undefined {
  return probeOnce();
}

let image: Uint8Array | undefined;

/** The guest image, read once. */
export function guestImage(): Uint8Array {
  image ??= readFileSync(convertGuestPath());
  return image;
}
