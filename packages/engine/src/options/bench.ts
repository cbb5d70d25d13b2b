import * as v from 'valibot';
import type { BenchOptions } from '../operations/bench.js';
import { checked } from './check.js';
import { callback, options, size, whole, yesNo, type Fields } from './kinds.js';
import { pathPolicy, snapshot } from './operations.js';

const MOST = 0x7fff_ffff;

const bench = options(
  () =>
    ({
      format: v.optional(v.string('the name of a format, such as raw or qcow2')),
      pathPolicy: v.optional(pathPolicy),
      forceShare: v.optional(yesNo),
      snapshot: v.optional(snapshot),
      undo: v.optional(yesNo),
      count: v.optional(size(1n, BigInt(MOST)), 75_000),
      requestLength: v.optional(size(1n, BigInt(MOST)), 4096),
      step: v.optional(size(0n, BigInt(MOST)), 0),
      offset: v.optional(size(), 0),
      depth: v.optional(whole(1, MOST), 64),
      pattern: v.optional(whole(0, 255)),
      flushInterval: v.optional(whole(0, MOST), 0),
      onStart: v.optional(callback),
    }) satisfies Fields<BenchOptions>,
);

/** What is asked of a bench, with its defaults. */
export type CheckedBenchOptions = v.InferOutput<typeof bench>;

/** @throws EngineError `INVALID_OPTION` */
export function checkBenchOptions(value: BenchOptions): CheckedBenchOptions {
  return checked(bench, 'options', value);
}
