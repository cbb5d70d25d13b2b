import type { ResolvedIntegral, ResolvedStruct, ResolvedType } from '../layout/resolved.js';
import { checkKeys } from './integers.js';
import { readValue, writeValue } from './interpret.js';

/** What generated code calls: the interpreter, for what is not compiled and for the error of what is found wrong. */
interface Runtime {
  read(type: ResolvedType, view: DataView, bit: number): unknown;
  write(type: ResolvedType, view: DataView, bit: number, value: unknown): void;
  keys(type: ResolvedStruct | ResolvedIntegral, given: Readonly<Record<string, unknown>>): void;
  put(view: DataView, offset: number, count: number, bytes: unknown): boolean;
}

const runtime: Runtime = {
  read: (type, view, bit) => readValue(type, view, bit, ''),
  write: (type, view, bit, value) => {
    writeValue(type, view, bit, value, '');
  },
  keys: (type, given) => {
    checkKeys(type.fields, given, '', 0);
  },
  put: (view, offset, count, bytes) => {
    if (!(bytes instanceof Uint8Array) || bytes.length > count) return false;
    const memory = new Uint8Array(view.buffer, view.byteOffset + offset, count);
    memory.set(bytes);
    if (bytes.length < count) memory.fill(0, bytes.length);
    return true;
  },
};

let allowed: boolean | undefined;

/** Whether this place lets code be made from strings; a content security policy may forbid it. */
export function mayGenerate(): boolean {
  try {
    allowed ??= (make('', 'return 1', [])() as number) === 1;
  } catch {
    allowed = false;
  }
  return allowed;
}

/** Makes a function of (v, o, x) out of generated statements; nothing in them comes from the bytes that are decoded. */
export function make(
  parameters: string,
  body: string,
  types: readonly unknown[],
  slow?: unknown,
): (...values: unknown[]) => unknown {
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- compiling accessors is what this file is for; names are checked identifiers
  const outer = new Function('H', 'T', 'S', `'use strict';return function(${parameters}){${body}}`) as (
    ...values: unknown[]
  ) => unknown;
  return outer(runtime, types, slow) as (...values: unknown[]) => unknown;
}
