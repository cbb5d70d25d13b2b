import { defineEnum, type ConstantSet } from '../layout/constants.js';
import type { CScalar } from './c-types.js';

/**
 * The named values of an enumeration. A second name for a value, and values that a double cannot hold, stay out: the
 * language's sets have neither.
 */
export function setOf(type: CScalar): ConstantSet | undefined {
  const seen = new Set<bigint>();
  const entries: [string, readonly [number, string]][] = [];
  for (const [name, value] of type.values) {
    if (seen.has(value) || !Number.isSafeInteger(Number(value))) continue;
    seen.add(value);
    entries.push([name, [Number(value), '']]);
  }
  if (entries.length === 0) return undefined;
  return defineEnum(type.name.replace(/^enum /, ''), '', Object.fromEntries(entries));
}
