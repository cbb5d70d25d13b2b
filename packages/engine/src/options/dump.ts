import * as v from 'valibot';
import type { DumpTarget } from '../dump-target.js';
import type { DumpWriteControl } from '../dump-write.js';
import { checked } from './check.js';
import { abortSignal, callback, fileName, oneOf, options, type Fields } from './kinds.js';

/** Where a dump goes. */
export const dumpTarget = options(
  () =>
    ({
      path: fileName,
      format: v.optional(oneOf('elf', 'kdump')),
    }) satisfies Fields<DumpTarget>,
);

const dumpControl = options(
  () =>
    ({
      signal: v.optional(abortSignal),
      onProgress: v.optional(callback),
    }) satisfies Fields<DumpWriteControl>,
);

/** @throws EngineError `INVALID_OPTION` */
export function checkDumpTarget(value: DumpTarget | string): DumpTarget {
  if (typeof value === 'string') return { path: checked(fileName, 'target', value) };
  return checked(dumpTarget, 'target', value);
}

/** @throws EngineError `INVALID_OPTION` */
export function checkDumpControl(value: DumpWriteControl): DumpWriteControl {
  return checked(dumpControl, 'control', value) as DumpWriteControl;
}
