import type { DumpRequests } from './dump-requests.js';
import type { DumpTarget, WrittenDump } from './dump-target.js';
import type { GuestContext, GuestLimits, Isolation, OperationDetail } from './session/context.js';
import type { RemoteAccess } from './remote/source.js';
import { SandboxSelection, type SandboxChoice } from './sandbox.js';
import { layOutSecrets, type OwnSecret } from './secrets.js';

/** How an operation runs and what it tells. */
export interface OperationControl {
  /** Cancels the operation; it then rejects with `ABORTED`, and everything is as before. */
  readonly signal?: AbortSignal | undefined;
  /** Called a few times a second with bytes done and bytes to do (0 when that is not known). */
  readonly onProgress?: ((done: bigint, total: bigint) => void) | undefined;
  /** Called with sentences that a user should see. */
  readonly onWarning?: ((warning: string) => void) | undefined;
  /** Called with each image of a chain and each guest that ended: what an operation was made of, for logs. */
  readonly onDetail?: ((detail: OperationDetail) => void) | undefined;
  /** Which sandbox (default `auto`: KVM where it works). */
  readonly sandbox?: SandboxChoice | undefined;
  /**
   * `pooled` (default): guests run in sandboxes that are kept and were restored after a guest that ended cleanly; anything
   * else destroys one. `fresh`: in sandboxes that no other guest ran in. Operations with passphrases or dumps always run
   * fresh.
   */
  readonly isolation?: Isolation | undefined;
  readonly limits?: GuestLimits | undefined;
  /**
   * Take names that begin with https://, http:// or s3:// for what they say, and how they are reached. Absent, they are names of
   * files: whoever passes names from strangers on fetches nothing for them.
   */
  readonly remote?: RemoteAccess | undefined;
  /**
   * Passphrases of encrypted images, text (UTF-8) or bytes; each is tried on each image that is encrypted. They are in no
   * dump and no message.
   */
  readonly passphrases?: readonly (string | Uint8Array)[] | undefined;
  /**
   * Where to leave a dump of the guest's memory when it crashes, breaks a rule of its sandbox or passes a limit. Off by
   * default: a dump holds data of the images (passphrases are zeroed). The operation fails as it would without it.
   */
  readonly dumpOnCrash?: DumpTarget | undefined;
  /** Takes dumps while the operation goes on. */
  readonly dumps?: DumpRequests | undefined;
  /**
   * A file to which a line is appended for each command that a guest has carried out: its place, length, error and time, no
   * content. For who looks for a fault; everything then runs fresh.
   */
  readonly trace?: string | undefined;
  /** Called when a dump of a crash is complete. */
  readonly onDump?: ((dump: WrittenDump) => void) | undefined;
}

/**
 * How an operation's guests run.
 * @param own secrets beside the passphrases
 * @throws EngineError `SANDBOX_UNAVAILABLE`
 */
export function guestContext(control: OperationControl, own: readonly OwnSecret[] = []): GuestContext {
  const { signal, limits, dumpOnCrash, dumps, onDump, onWarning, onDetail, passphrases, remote, trace } = control;
  const secrets = layOutSecrets(passphrases, limits?.keyMemory, own);
  const sandbox = new SandboxSelection(control.sandbox ?? 'auto', onWarning);
  const isolation = control.isolation ?? 'pooled';
  return {
    sandbox,
    isolation,
    limits: limits ?? {},
    signal,
    dumpOnCrash,
    dumps,
    onDump,
    onWarning,
    onDetail,
    secrets,
    remote,
    trace,
  };
}
