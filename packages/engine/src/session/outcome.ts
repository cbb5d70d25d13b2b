import { escapeText } from '@instar/host-files';
import { nameOf, type ValueOf } from '@instar/layout';
import { ERROR_KIND, type ErrorRecord } from '@instar/shared-abi';
import { errnoName, type CommandFailure, type RunReport } from '@instar/vmm-native';
import { describeSystemError, EngineError, isNoSpace, systemError } from '../errors.js';
import type { EngineErrorCode } from '../error-codes.js';
import type { GuestDevice } from './context.js';

/** Names of limits of a run, as its report has them. */
const LIMITS = ['noProgressMs', 'wallClockMs', 'cpuMs', 'exits', 'outputBytes'] as const;

/** Turns an outcome that is not a finished guest into an error about the image that was being read. */
export function checkOutcome(report: RunReport, file: string): void {
  if (report.outcome === 'exit' && (report.exitCode === 0 || report.exitCode === 1)) return;
  if (report.outcome === 'limit') {
    throw new EngineError('GUEST_LIMIT', report.message, { file, limit: LIMITS.find((name) => name === report.limit) });
  }
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
export function hostError(failure: CommandFailure, devices: readonly GuestDevice[], subject: string): EngineError {
  const { device, offset, errno, write } = failure;
  const known = devices[device]?.failure?.();
  if (known !== undefined) return known;
  const name = errnoName(errno);
  const code = isNoSpace(name) ? 'NO_SPACE' : write ? 'WRITE_FAILED' : 'READ_FAILED';
  const what = write ? 'the output could not be written' : 'the file could not be read';
  return new EngineError(code, `${what} at offset ${offset}: ${describeSystemError(name)}`, {
    file: devices[device]?.path ?? subject,
    cause: systemError(name),
  });
}

/**
 * The error behind a guest's error record. A system error is believed only where the host has met it: the guest may be
 * in an attacker's hands, and its image must not pass for a failure of the host.
 */
export function recordError(
  record: ValueOf<typeof ErrorRecord>,
  failures: readonly CommandFailure[],
  devices: readonly GuestDevice[],
  subject: string,
): EngineError {
  const file = devices[record.device]?.path ?? subject;
  const kind = nameOf(ERROR_KIND, record.kind);
  const detail = escapeText(text(record.detail, record.detail_len)).replaceAll('\\\\x', '\\x');
  if (record.status !== 0) {
    const met = failures.find(({ device, errno }) => device === record.device && errno === record.status);
    return met === undefined ? impossibleResult(subject) : hostError(met, devices, subject);
  }
  if (kind === undefined || kind === 'NONE' || kind === 'WRITE_FAILED') return impossibleResult(subject);
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
export function impossibleResult(file: string): EngineError {
  return new EngineError('GUEST_FAILED', 'the sandboxed reader left an invalid result', { file });
}
