import { toJson } from '../../render/json.js';
import { versioned } from '../../render/record.js';

const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** A number of 64 bits as a string that JSON.parse keeps and BigInt() reads: registers, addresses that may be any. */
export function hexText(value: bigint): string {
  return value < 0n ? value.toString() : `0x${value.toString(16)}`;
}

/** Numbers by name, as strings. */
export function hexTexts(values: Readonly<Record<string, bigint>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, hexText(value)]));
}

const exact = (value: bigint): string =>
  value > SAFE || value < -SAFE ? JSON.stringify(hexText(value)) : value.toString();

/** JSON of what a dump says: a number that JSON.parse would round is a hexadecimal string. */
export function dumpJson(value: object): string {
  return toJson(versioned(value), '', exact);
}
