import { toJson } from '../../render/json.js';

const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** A number of 64 bits as a string that JSON.parse keeps and BigInt() reads: registers, addresses that may be any. */
export function hexText(value: bigint): string {
  return value < 0n ? value.toString() : `0x${value.toString(16)}`;
}

/** Numbers by name, as strings. */
export function hexTexts(values: Readonly<Record<string, bigint>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, hexText(value)]));
}

function exact(value: unknown): unknown {
  if (typeof value === 'bigint') return value > SAFE || value < -SAFE ? hexText(value) : value;
  if (Array.isArray(value)) return value.map(exact);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, exact(field)]));
}

/** JSON of what a dump says: a number that JSON.parse would round is a hexadecimal string. */
export function dumpJson(value: unknown): string {
  return toJson(exact(value));
}
