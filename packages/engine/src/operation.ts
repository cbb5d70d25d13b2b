import type { GuestLimits } from './guest.js';
import { kvmUnavailableReason, type Sandbox, type SandboxChoice } from './sandbox.js';

/** How an operation runs and what it tells. */
export interface OperationControl {
  /** Cancels the operation; it then rejects with `ABORTED`, and everything is as before. */
  readonly signal?: AbortSignal | undefined;
  /** Called a few times a second with bytes done and bytes to do (0 when that is not known). */
  readonly onProgress?: ((done: bigint, total: bigint) => void) | undefined;
  /** Called with sentences that a user should see. */
  readonly onWarning?: ((warning: string) => void) | undefined;
  /** Which sandbox (default `auto`: KVM where it works). */
  readonly sandbox?: SandboxChoice | undefined;
  readonly limits?: GuestLimits | undefined;
}

/** The process sandbox is weaker than a VM, which a user should know. */
export function warnOfProcess(sandbox: Sandbox, control: OperationControl): void {
  if (sandbox !== 'process' || control.sandbox === 'process') return;
  const reason = kvmUnavailableReason() ?? '';
  control.onWarning?.(`using the process sandbox, which is weaker than a VM: ${reason}`);
}
