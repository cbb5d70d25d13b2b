import { resolve } from '../layout/resolve.js';
import { byteSize, type ResolvedType } from '../layout/resolved.js';
import { x86_64 } from '../layout/target.js';
import type { Emitter, Interface, NamedDescription } from './emitter.js';

type Json = string | number | readonly Json[] | { readonly [key: string]: Json };

function typeJson(type: ResolvedType): Json {
  switch (type.kind) {
    case 'integer':
      return `${type.signed ? 'i' : 'u'}${type.bits}`;
    case 'bytes':
      return { bytes: byteSize(type) };
    case 'array':
      return { array: typeJson(type.element), count: type.count };
    case 'struct':
      return { struct: type.name };
    default:
      throw new TypeError(type.kind);
  }
}

function structJson(type: NamedDescription): Json {
  const resolved = resolve(type, x86_64);
  if (resolved.kind !== 'struct') throw new TypeError(resolved.kind);
  return {
    name: resolved.name,
    size: byteSize(resolved),
    align: resolved.align,
    fields: resolved.fields.map((item) => ({
      name: item.name,
      offset: item.offset,
      size: byteSize(item.type),
      type: typeJson(item.type),
      ...(item.value === undefined ? {} : { value: String(item.value) }),
    })),
  };
}

/**
 * The ABI's numbers without its prose: two descriptions with the same canonical form mean the same bytes. Keys stand in
 * a fixed order; integers wider than 53 bits are decimal strings.
 */
export function canonicalAbi(abi: Interface): Json {
  return {
    version: abi.version ?? '',
    regions: abi.regions.map(({ name, start, size, protection }) => ({ name, start, size, protection })),
    constants: Object.fromEntries(
      abi.constants.map(({ name, value }) => [name, typeof value === 'bigint' ? value.toString() : value]),
    ),
    sets: Object.fromEntries(abi.sets.map(({ name, kind, values }) => [name, { kind, values }])),
    structs: abi.types.map(structJson),
  };
}

/** The text that the fingerprint is the SHA-256 of. */
export function canonicalText(abi: Interface): string {
  return JSON.stringify(canonicalAbi(abi));
}

export const jsonEmitter: Emitter = {
  name: 'json',
  emit(abi, { fingerprint = new Uint8Array(0) }) {
    const hex = Array.from(fingerprint, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return `${JSON.stringify({ fingerprint: hex, abi: canonicalAbi(abi) }, null, 2)}\n`;
  },
};
