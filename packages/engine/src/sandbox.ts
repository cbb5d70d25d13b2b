import { convertGuestPath, sandboxHelperPath } from '@instar/convert-guest';
import { probeKvm, probeProcess, VmmError } from '@instar/vmm-native';
import { readFileSync } from 'node:fs';
import { describeSystemError, EngineError, systemErrorName } from './errors.js';

/** A sandbox in which images are parsed. */
export type Sandbox = 'kvm' | 'process';
/** What a caller asks for; `auto` takes KVM where it works. */
export type SandboxChoice = Sandbox | 'auto';

/** Answers of {@link guarded} calls that hold for the life of this process. */
let kvmProblem: { readonly reason: string | undefined } | undefined;
/** The helper was found. Where it is gone later, the run says so. */
let helperFound = false;

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

/** Why a sandbox cannot be used, as far as that shows without running a guest; undefined where nothing speaks against it. */
export function sandboxProblem(sandbox: Sandbox): string | undefined {
  if (sandbox === 'kvm') return probeOnce();
  if (helperFound) return undefined;
  const problem = guarded(() => probeProcess(sandboxHelperPath())) ?? undefined;
  helperFound = problem === undefined;
  return problem;
}

function unavailable(reason: string): EngineError {
  return new EngineError('SANDBOX_UNAVAILABLE', reason);
}

/**
 * The sandbox of one operation. Under `auto` it changes at most once, from KVM to the process sandbox, when the
 * environment refuses KVM before a guest of the operation has done anything.
 */
export class SandboxSelection {
  #kind: Sandbox;
  readonly #choice: SandboxChoice;
  readonly #onWarning: ((warning: string) => void) | undefined;

  /**
   * @throws EngineError `SANDBOX_UNAVAILABLE` with the reason and the remedy. There is no way to run without a sandbox.
   */
  constructor(choice: SandboxChoice, onWarning?: (warning: string) => void) {
    this.#choice = choice;
    this.#onWarning = onWarning;
    this.#kind = choice === 'process' ? 'process' : 'kvm';
    const problem = sandboxProblem(this.#kind);
    if (problem !== undefined) this.refuse(problem);
  }

  /** Which sandbox the next guest runs in. */
  get kind(): Sandbox {
    return this.#kind;
  }

  /**
   * Takes the sandbox that is left, because the environment refused this one.
   * @param reason why, with the remedy
   * @throws EngineError `SANDBOX_UNAVAILABLE` when none is left, or the caller asked for this one.
   */
  refuse(reason: string): void {
    if (this.#kind === 'process') {
      const which = this.#choice === 'process' ? 'the process sandbox cannot' : 'no sandbox can';
      throw unavailable(`${which} be used: ${reason}`);
    }
    if (this.#choice === 'kvm') throw unavailable(`the KVM sandbox cannot be used: ${reason}`);
    const other = sandboxProblem('process');
    if (other !== undefined) throw unavailable(`no sandbox can be used: kvm: ${reason}; process: ${other}`);
    this.#kind = 'process';
    // It is weaker than a VM, which a user should know.
    this.#onWarning?.(`using the process sandbox, which is weaker than a VM: ${reason}`);
  }
}

let image: Uint8Array | undefined;

/**
 * The guest image, read once.
 * @throws EngineError `SANDBOX_UNAVAILABLE` where it cannot be read.
 */
export function guestImage(): Uint8Array {
  try {
    image ??= readFileSync(convertGuestPath());
  } catch (error) {
    const name = systemErrorName(error);
    const why = name === undefined ? String(error) : describeSystemError(name);
    throw new EngineError('SANDBOX_UNAVAILABLE', `the guest image cannot be read: ${why}`, { cause: error });
  }
  return image;
}
