import * as v from 'valibot';
import { DumpRequests } from '../dump-requests.js';
import type { GuestLimits } from '../session/context.js';
import type { OperationControl } from '../operation.js';
import { checked } from './check.js';
import { dumpTarget } from './dump.js';
import type { RemoteAccess, RemoteVersion } from '../remote/source.js';
import { abortSignal, callback, fileName, milliseconds, oneOf, options, size, yesNo, type Fields } from './kinds.js';

const ATTEMPTS = 'an integer from 1 to 100';

/** Below the addresses that PCs keep for devices (bytes). */
const MOST_KEY_MEMORY = 0x7900_0000n;

const limits = options(
  () =>
    ({
      noProgressMs: v.optional(milliseconds),
      wallClockMs: v.optional(milliseconds),
      cpuMs: v.optional(milliseconds),
      maxVirtualSize: v.optional(size()),
      maxOutputSize: v.optional(size()),
      keyMemory: v.optional(size(0n, MOST_KEY_MEMORY)),
    }) satisfies Fields<GuestLimits>,
);

const version = options(
  () =>
    ({
      size: size(),
      etag: v.optional(v.string('text')),
      modified: v.optional(v.string('text')),
      versionId: v.optional(v.string('text')),
    }) satisfies Fields<RemoteVersion>,
);

const remote = options(
  () =>
    ({
      allowedHosts: v.optional(v.array(v.string('a host'), 'an array of hosts')),
      allowInsecure: v.optional(yesNo),
      authorization: v.optional(v.string('the value of a header')),
      cacheBytes: v.optional(milliseconds),
      attempts: v.optional(
        v.pipe(v.number(ATTEMPTS), v.integer(ATTEMPTS), v.minValue(1, ATTEMPTS), v.maxValue(100, ATTEMPTS)),
      ),
      stallMs: v.optional(v.pipe(milliseconds, v.minValue(1, 'milliseconds: an integer from 1'))),
      expected: v.optional(v.record(v.string(), version, 'which version each name must lead to')),
    }) satisfies Fields<RemoteAccess>,
);

const passphrases = (() => {
  const what = 'an array of passphrases: text or bytes';
  return v.array(v.union([v.string(), v.instance(Uint8Array)], what), what);
})();

const control = options(
  () =>
    ({
      signal: v.optional(abortSignal),
      onProgress: v.optional(callback),
      onWarning: v.optional(callback),
      onDetail: v.optional(callback),
      sandbox: v.optional(oneOf('kvm', 'process', 'auto')),
      isolation: v.optional(oneOf('fresh', 'pooled')),
      limits: v.optional(limits),
      remote: v.optional(remote),
      passphrases: v.optional(passphrases),
      dumpOnCrash: v.optional(dumpTarget),
      trace: v.optional(fileName),
      dumps: v.optional(v.instance(DumpRequests, 'a DumpRequests')),
      onDump: v.optional(callback),
    }) satisfies Fields<OperationControl>,
);

/** @throws EngineError `INVALID_OPTION` */
export function checkControl(value: OperationControl): OperationControl {
  const found = checked(control, 'control', value);
  // To the native part a property that is undefined is not the same as one that is absent.
  const given = Object.entries(found.limits ?? {}).filter(([, limit]) => limit !== undefined);
  return { ...found, limits: Object.fromEntries(given) } as OperationControl;
}
