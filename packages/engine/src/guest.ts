import {
  CHAIN_MAX_DEVICES,
  CONVERT_RESULT_MAGIC,
  ChainConfig,
  ConvertConfig,
  ConvertResult,
  ERROR_KIND,
  InfoConfig,
  InfoResult,
  nameOf,
  RESULT_STATUS,
  type ChainDevice,
  type ErrorRecord,
  type ValueOf,
} from '@instar/shared-abi';
import { sandboxHelperPath } from '@instar/convert-guest';
import {
  createControl,
  errnoName,
  runGuest,
  VmmError,
  type CommandFailure,
  type DeviceOptions,
  type DumpReport,
  type LimitOptions,
  type RunControl,
  type RunOptions,
  type RunReport,
} from '@instar/vmm-native';
import { DumpMemory } from './dump-memory.js';
import { attach, type DumpRequests } from './dump-requests.js';
import type { DumpTarget, WrittenDump } from './dump-target.js';
import { writeGuestDump } from './dump-write.js';
import { EngineError, describeSystemError, isNoSpace, systemError, type EngineErrorCode } from './errors.js';
import { escapeText } from '@instar/host-files';
import { isPlausible } from './info-plausible.js';
import { explainLimit } from './resource-limits.js';
import { guestImage, type SandboxSelection } from './sandbox.js';
import { checkSandbox } from './sandbox-check.js';

/** Bounds of an operation. Times in milliseconds, of one guest run each; 0 means the default. Sizes in bytes. */
export interface GuestLimits {
  /** Longest time in which nothing useful is done (default 30000). */
  readonly noProgressMs?: number;
  /** Longest time of one run (default: none; of a look at an image, 60000). */
  readonly wallClockMs?: number;
  /** Most CPU time of the guest and of the threads that work for it (default: none). */
  readonly cpuMs?: number;
  /** Largest virtual size of an image (default: none). A larger one is refused (`LIMIT_EXCEEDED`) before it is copied. */
  readonly maxVirtualSize?: bigint | number;
  /** Longest output of dd (default: none). What may come to be longer is refused (`LIMIT_EXCEEDED`), qcow2 by its worst case. */
  readonly maxOutputSize?: bigint | number;
}

/** One device of a run: its entry in the chain config and its descriptor. */
export interface GuestDevice {
  readonly entry: ValueOf<typeof ChainDevice>;
  readonly options: DeviceOptions;
  /** Path, for messages. */
  readonly path: string;
}

/** How a run is made. */
export interface GuestContext {
  readonly sandbox: SandboxSelection;
  readonly limits: GuestLimits;
  readonly signal?: AbortSignal | undefined;
  /** Called a few times a second with bytes done and bytes to do. */
  readonly onProgress?: ((done: bigint, total: bigint) => void) | undefined;
  readonly dumpOnCrash?: DumpTarget | undefined;
  readonly dumps?: DumpRequests | undefined;
  readonly onDump?: ((dump: WrittenDump) => void) | undefined;
  readonly onWarning?: ((warning: string) => void) | undefined;
}

/** Layers that a backing chain may have. */
export const MAX_CHAIN_DEPTH = 60;
const PROGRESS_INTERVAL_MS = 100;

async function run(
  devices: readonly GuestDevice[],
  operationConfig: Uint8Array,
  context: GuestContext,
  outputBytes?: bigint,
): Promise<RunReport> {
  if (devices.length > CHAIN_MAX_DEVICES) {
    throw new EngineError('CHAIN_TOO_DEEP', `${devices.length} files are more than ${CHAIN_MAX_DEVICES}`);
  }
  const { signal, onProgress, limits } = context;
  throwIfAborted(signal);
  const memory = context.dumpOnCrash && (await DumpMemory.create(context.dumpOnCrash.path));
  const control = createControl();
  const onAbort = (): void => {
    control.cancel();
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer =
    onProgress &&
    setInterval(() => {
      const { done, total } = control.progress();
      onProgress(done, total);
    }, PROGRESS_INTERVAL_MS);
  const detach = attach(context.dumps, control);
  const { maxVirtualSize: _, maxOutputSize: __, ...bounds } = limits;
  const limitOptions: LimitOptions = { ...bounds, ...(outputBytes === undefined ? {} : { outputBytes }) };
  try {
    const report = await runSandboxed(
      {
        image: guestImage(),
        chainConfig: ChainConfig.encode({
          device_count: devices.length,
          max_depth: MAX_CHAIN_DEPTH,
          devices: devices.map((device) => device.entry),
        }),
        operationConfig,
        devices: devices.map((device) => device.options),
        helper: sandboxHelperPath(),
        limits: limitOptions,
        ...(memory === undefined && context.dumps === undefined ? {} : { dump: memory ? { fd: memory.fd } : {} }),
      },
      control,
      context.sandbox,
    );
    if (memory !== undefined && report.dump !== undefined) await keepDump(report.dump, memory, context);
    throwIfAborted(signal);
    return report;
  } catch (error) {
    throw explainLimit(error) ?? error;
  } finally {
    detach();
    await memory?.close();
    clearInterval(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Runs a guest in the sandbox of the operation, or in another where the environment refuses this one. */
async function runSandboxed(
  options: Omit<RunOptions, 'sandbox'>,
  control: RunControl,
  sandbox: SandboxSelection,
): Promise<RunReport> {
  for (;;) {
    try {
      const report = await runGuest({ ...options, sandbox: sandbox.kind }, control);
      if (report.outcome !== 'sandbox-error') return report;
      // Whoever can make a guest fail so must not get another one in a weaker sandbox: first ours has to fail, too.
      const nothingDone = report.statistics.commands === 0n;
      const problem = nothingDone ? await checkSandbox(sandbox.kind) : undefined;
      if (problem === undefined) throw new EngineError('SANDBOX_UNAVAILABLE', report.message);
      sandbox.refuse(problem);
    } catch (error) {
      if (!(error instanceof VmmError)) throw error;
      if (error.code !== 'SANDBOX_UNAVAILABLE') throw new EngineError('GUEST_FAILED', error.message, { cause: error });
      sandbox.refuse(error.message);
    }
  }
}

/** Writes the dump of a crash. The crash is what the caller must hear of, so a failure of this is a warning. */
async function keepDump(report: DumpReport, memory: DumpMemory, context: GuestContext): Promise<void> {
  const { dumpOnCrash, onDump, onWarning, signal } = context;
  if (dumpOnCrash === undefined) return;
  try {
    onDump?.(await writeGuestDump(report, memory, dumpOnCrash, { signal }));
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    onWarning?.(error.message);
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new EngineError('ABORTED', 'aborted', { cause: signal.reason });
}

/** Turns an outcome that is not a finished guest into an error about the image that was being read. */
function checkOutcome(report: RunReport, devices: readonly GuestDevice[]): void {
  if (report.outcome === 'exit' && (report.exitCode === 0 || report.exitCode === 1)) return;
  const file = devices[0]?.path ?? '';
  if (report.outcome === 'limit') throw new EngineError('GUEST_LIMIT', report.message, { file });
  if (report.outcome === 'host-error') throw new EngineError('SANDBOX_UNAVAILABLE', report.message);
  const what =
    report.outcome === 'exit' ? `the sandboxed reader gave up (exit code ${report.exitCode ?? 0})` : report.message;
  throw new EngineError('GUEST_FAILED', `${escapeText(what)}; the image may be made to attack its reader`, { file });
}

const decoder = new TextDecoder('utf-8');

function text(bytes: Uint8Array, length: number): string {
  return decoder.decode(bytes.subarray(0, length));
}

/** What the host itself could not do for a guest. */
function hostError({ device, offset, errno, write }: CommandFailure, devices: readonly GuestDevice[]): EngineError {
  const name = errnoName(errno);
  const code = isNoSpace(name) ? 'NO_SPACE' : write ? 'WRITE_FAILED' : 'READ_FAILED';
  const what = write ? 'the output could not be written' : 'the file could not be read';
  return new EngineError(code, `${what} at offset ${offset}: ${describeSystemError(name)}`, {
    file: devices[device]?.path ?? devices[0]?.path ?? '',
    cause: systemError(name),
  });
}

/**
 * The error behind a guest's error record. A system error is believed only where the host has met it: the guest may be
 * in an attacker's hands, and its image must not pass for a failure of the host.
 */
function recordError(
  record: ValueOf<typeof ErrorRecord>,
  report: RunReport,
  devices: readonly GuestDevice[],
): EngineError {
  const file = devices[record.device]?.path ?? devices[0]?.path ?? '';
  const kind = nameOf(ERROR_KIND, record.kind);
  const detail = escapeText(text(record.detail, record.detail_len)).replaceAll('\\\\x', '\\x');
  if (record.status !== 0) {
    const met = report.failures.find(({ device, errno }) => device === record.device && errno === record.status);
    return met === undefined ? impossibleResult(devices) : hostError(met, devices);
  }
  if (kind === undefined || kind === 'NONE' || kind === 'WRITE_FAILED') return impossibleResult(devices);
  const code: EngineErrorCode = kind === 'SOURCE_FAILED' ? 'IMAGE_TRUNCATED' : `IMAGE_${kind}`;
  if (record.has_location !== 1) return new EngineError(code, detail, { file });
  const expected = text(record.expected, record.expected_len);
  return new EngineError(code, detail, {
    file,
    location: {
      field: text(record.field, record.field_len),
      offset: record.offset,
      value: record.value,
      ...(expected === '' ? {} : { expected }),
    },
  });
}

/** A result that no working guest leaves. */
export function impossibleResult(devices: readonly GuestDevice[]): EngineError {
  return new EngineError('GUEST_FAILED', 'the sandboxed reader left an impossible result', {
    file: devices[0]?.path ?? '',
  });
}

function decoded<T>(decode: () => T, devices: readonly GuestDevice[]): T {
  try {
    return decode();
  } catch {
    throw impossibleResult(devices);
  }
}

/** Asks the guest what the image on the first device is. */
export async function guestInfo(
  devices: readonly GuestDevice[],
  context: GuestContext,
): Promise<ValueOf<typeof InfoResult>> {
  const report = await run(devices, InfoConfig.encode({ device: 0 }), context);
  checkOutcome(report, devices);
  const result = decoded(() => InfoResult.decode(report.result), devices);
  if (result.status === RESULT_STATUS.values.ERROR) throw recordError(result.error, report, devices);
  const [device] = devices;
  if (device !== undefined && isPlausible(result, device.entry.format)) return result;
  throw impossibleResult(devices);
}

/** What a convert operation reports. */
export type ConvertOutcome = ValueOf<typeof ConvertResult>;

/** What every operation's result begins with. */
interface OperationResult {
  readonly magic: number;
  readonly status: number;
  readonly error: ValueOf<typeof ErrorRecord>;
}

/** An operation of the guest: its config, and how its result is read. */
export interface GuestOperation<T extends OperationResult> {
  readonly config: Uint8Array;
  readonly result: { decode(bytes: Uint8Array): T };
  readonly magic: number;
  /** Bytes that the guest may write in all; 0 for an operation without an output. */
  readonly outputBytes: bigint;
}

/**
 * Runs an operation that reads images and perhaps writes an output.
 * @throws EngineError where the image was refused, or a command on a device failed, whatever the guest says.
 */
export async function guestOperation<T extends OperationResult>(
  devices: readonly GuestDevice[],
  operation: GuestOperation<T>,
  context: GuestContext,
): Promise<T> {
  const { config, magic, outputBytes } = operation;
  const report = await run(devices, config, context, outputBytes === 0n ? undefined : outputBytes);
  checkOutcome(report, devices);
  const result = decoded(() => operation.result.decode(report.result), devices);
  if (result.status === RESULT_STATUS.values.ERROR) throw recordError(result.error, report, devices);
  if (result.status !== RESULT_STATUS.values.OK || result.magic !== magic) throw impossibleResult(devices);
  // "Done" is the guest's word; what was not written or not read is the host's knowledge.
  const failure = report.failures.find(({ write }) => write) ?? report.failures[0];
  if (failure !== undefined) throw hostError(failure, devices);
  return result;
}

/** Runs the convert operation. */
export async function guestConvert(
  devices: readonly GuestDevice[],
  config: Parameters<typeof ConvertConfig.encode>[0],
  context: GuestContext,
  outputBytes: bigint,
): Promise<ConvertOutcome> {
  return guestOperation(
    devices,
    { config: ConvertConfig.encode(config), result: ConvertResult, magic: CONVERT_RESULT_MAGIC, outputBytes },
    context,
  );
}
