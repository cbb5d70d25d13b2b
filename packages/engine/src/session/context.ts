import type { ValueOf } from '@instar/layout';
import type { ChainDevice } from '@instar/shared-abi';
import type { DeviceOptions } from '@instar/vmm-native';
import type { DumpRequests } from '../dump-requests.js';
import type { EngineError } from '../errors.js';
import type { RemoteAccess } from '../remote/source.js';
import type { DumpTarget, WrittenDump } from '../dump-target.js';
import type { Sandbox, SandboxSelection } from '../sandbox.js';
import type { GuestSecrets } from '../secrets.js';

/** Bounds of an operation. Times in milliseconds, of each request to a guest; 0 means the default. Sizes in bytes. */
export interface GuestLimits {
  /** Longest time in which nothing useful is done (default 30000). */
  readonly noProgressMs?: number;
  /** Longest time of one request (default: none; of a look at an image, 60000). */
  readonly wallClockMs?: number;
  /** Most CPU time of the guest, and of the threads that work for it, in all (default: none). */
  readonly cpuMs?: number;
  /** Largest virtual size of an image (default: none). A larger one is refused (`LIMIT_EXCEEDED`) before it is copied. */
  readonly maxVirtualSize?: bigint | number;
  /** Longest output of dd (default: none). What may come to be longer is refused (`LIMIT_EXCEEDED`), qcow2 by its worst case. */
  readonly maxOutputSize?: bigint | number;
  /** Most memory that making the key of an encrypted image may take (default 1 GiB, at most 1.9 GiB). */
  readonly keyMemory?: bigint | number;
}

/** One device of a run: its entry in the chain config and its descriptor. */
export interface GuestDevice {
  readonly entry: ValueOf<typeof ChainDevice>;
  readonly options: DeviceOptions;
  /** Path, for messages. */
  readonly path: string;
  /** Why it could last not be read, where an error number says too little. */
  readonly failure?: () => EngineError | undefined;
}

/** Whether blocks may be shared between files. */
export type Reflink = 'auto' | 'never';

/** Whether a guest may run where another ran before: see `OperationControl`. */
export type Isolation = 'fresh' | 'pooled';

/** Something that an operation is made of. */
export type OperationDetail =
  | {
      /** An image of the chain was looked at; the named one comes first. */
      readonly kind: 'image';
      /** Path, as the user or the image above named it; may hold control characters. */
      readonly path: string;
      readonly format: string;
      /** Nothing was guessed: the caller or the image above said what format it has. */
      readonly declared: boolean;
      /** It is there to be changed. */
      readonly edited?: boolean;
      /** Bytes. */
      readonly virtualSize: bigint;
    }
  | {
      /** A guest ended. */
      readonly kind: 'guest';
      readonly sandbox: Sandbox;
      /** How it ended: `exit` where it ended by itself. */
      readonly outcome: string;
      /** From its start to its end, milliseconds. */
      readonly elapsedMs: number;
      /** Commands that the host carried out for it. */
      readonly commands: bigint;
    };

/** How guests run. */
export interface GuestContext {
  readonly sandbox: SandboxSelection;
  readonly isolation: Isolation;
  readonly limits: GuestLimits;
  readonly signal?: AbortSignal | undefined;
  /** Called a few times a second with bytes done and bytes to do. */
  readonly onProgress?: ((done: bigint, total: bigint) => void) | undefined;
  readonly dumpOnCrash?: DumpTarget | undefined;
  readonly dumps?: DumpRequests | undefined;
  readonly trace?: string | undefined;
  readonly onDump?: ((dump: WrittenDump) => void) | undefined;
  readonly onWarning?: ((warning: string) => void) | undefined;
  /** Most bytes that outputs receive in a second. */
  readonly writeRate?: bigint | undefined;
  /** Whether a file system may share blocks of an input with an output (default `auto`: it may). */
  readonly reflink?: Reflink | undefined;
  readonly onDetail?: ((detail: OperationDetail) => void) | undefined;
  /** Passphrases of encrypted images. */
  readonly secrets?: GuestSecrets | undefined;
  /** How inputs that are no files are reached; undefined where there may be none. */
  readonly remote?: RemoteAccess | undefined;
}

/** Layers that a backing chain may have. */
export const MAX_CHAIN_DEPTH = 60;
