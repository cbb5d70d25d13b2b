import type { GuestLimits } from '@instar/engine';
import type { DdLimits } from '@instar/operands';

/** Limits of the engine from those of the command line. */
export function limitsOf(
  { virtualSize, outputSize, timeMs, cpuMs, idleMs }: DdLimits,
  keyMemory: bigint | undefined,
): GuestLimits {
  return {
    ...(virtualSize === undefined ? {} : { maxVirtualSize: virtualSize }),
    ...(outputSize === undefined ? {} : { maxOutputSize: outputSize }),
    ...(timeMs === undefined ? {} : { wallClockMs: timeMs }),
    ...(cpuMs === undefined ? {} : { cpuMs }),
    ...(idleMs === undefined ? {} : { noProgressMs: idleMs }),
    ...(keyMemory === undefined ? {} : { keyMemory }),
  };
}
