import type { ArrayType, IntegerType, LayoutType } from '../layout/types.js';
import type { AbiDescription, Emitter } from './emitter.js';

type Json = string | number | readonly Json[] | { readonly [key: string]: Json };

function typeJson(type: LayoutType<unknown>): Json {
  switch (type.kind) {
    case 'integer': {
      const integer = type as IntegerType<number | bigint>;
      return `${integer.signed ? 'i' : 'u'}${integer.bits}`;
    }
    case 'bytes':
      return { bytes: type.size };
    case 'array': {
      const list = type as ArrayType<unknown>;
      return { array: typeJson(list.element), count: list.count };
    }
    case 'struct':
      return { struct: (type as LayoutType<unknown> & { readonly name: string }).name };
  }
}

/**
 * The ABI's numbers without its prose: two descriptions with the same canonical form mean the same bytes. Keys stand in
 * a fixed order; integers wider than 53 bits are decimal strings.
 */
export function canonicalAbi(abi: AbiDescription): Json {
  return {
    version: abi.version,
    regions: abi.regions.map(({ name, start, size, protection }) => ({ name, start, size, protection })),
    constants: Object.fromEntries(
      abi.constants.map(({ name, value }) => [name, typeof value === 'bigint' ? value.toString() : value]),
    ),
    sets: Object.fromEntries(abi.sets.map(({ name, kind, values }) => [name, { kind, values }])),
    structs: abi.structs.map(({ name, size, align, fields }) => ({
      name,
      size,
      align,
      fields: fields.map((item) => ({
        name: item.name,
        offset: item.offset,
        size: item.type.size,
        type: typeJson(item.type),
        ...(item.value === undefined ? {} : { value: String(item.value) }),
      })),
    })),
  };
}

/** The text that the fingerprint is the SHA-256 of. */
export function canonicalText(abi: AbiDescription): string {
  return JSON.stringify(canonicalAbi(abi));
}

export const jsonEmitter: Emitter = {
  name: 'json',
  emit(abi, fingerprint) {
    const hex = Array.from(fingerprint, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return `${JSON.stringify({ fingerprint: hex, abi: canonicalAbi(abi) }, null, 2)}\n`;
  },
};
