import { resolve } from '../layout/resolve.js';
import { byteSize } from '../layout/resolved.js';
import { x86_64 } from '../layout/target.js';
import type {
  Description,
  FieldDescription,
  IntegerDescription,
  IntegralDescription,
  StructDescription,
} from '../layout/types.js';
import { allSets, fixedInOrder, type Emitter, type Interface, type NamedDescription } from './emitter.js';

/** Any JSON value without `null`, which no layout needs. */
export type Json = string | number | boolean | readonly Json[] | { readonly [key: string]: Json };

/** How a type is written: `u32`, `i11be`, `{"bytes": 32}`, `{"array": "u8", "count": 4}`, `{"struct": "Descriptor"}`. */
export function typeJson(type: Description, withSets = false): Json {
  switch (type.kind) {
    case 'integer':
      if (withSets && type.set !== undefined) return { integer: typeJson(type), set: type.set.name };
      return `${type.signed ? 'i' : 'u'}${type.bits}${orderText(type)}`;
    case 'word':
      if (type.table !== undefined) return { table: type.table.name, stride: type.table.stride };
      if (type.pointer !== undefined) return { pointer: type.pointer };
      return type.signed ? 'iword' : 'uword';
    case 'float':
      return `f${type.bits}${orderText(type)}`;
    case 'boolean':
      return 'bool';
    case 'bytes':
      return type.align === 1 ? { bytes: type.count } : { bytes: type.count, align: type.align };
    case 'text':
      return type.encoding === undefined ? { text: type.count } : { text: type.count, encoding: type.encoding };
    case 'array':
      return { array: typeJson(type.element, withSets), count: type.count };
    case 'bitField':
      return { bits: type.width, of: typeJson(type.container, withSets), ...(type.unnamed ? { unnamed: true } : {}) };
    default:
      return { [type.kind]: type.name };
  }
}

function orderText({ endian, order }: Pick<IntegerDescription, 'endian' | 'order'>): string {
  return `${endian === undefined ? '' : endian === 'big' ? 'be' : 'le'}${order ?? ''}`;
}

function valueJson(item: FieldDescription): Readonly<Record<string, Json>> {
  return item.value === undefined ? {} : { value: String(item.value) };
}

function structJson(type: StructDescription, withSets: boolean): Json {
  const resolved = resolve(type, x86_64);
  return {
    name: type.name,
    size: byteSize(resolved),
    align: resolved.align,
    ...(type.packing === 'natural' ? {} : { packing: type.packing }),
    ...(type.order === undefined ? {} : { order: type.order }),
    ...(type.align === undefined ? {} : { minimum_align: type.align }),
    ...(type.tail === undefined ? {} : { tail: type.tail }),
    fields: type.fields.map((item, index) => {
      const { offset = 0, bit = 0, type: place } = resolved.fields[index] ?? {};
      const whole = bit % 8 === 0 && item.type.kind !== 'bitField';
      return {
        name: item.name,
        offset,
        size: place === undefined ? 0 : byteSize(place),
        ...(whole ? {} : { bit }),
        type: typeJson(item.type, withSets),
        ...(item.anonymous === true ? { anonymous: true } : {}),
        ...valueJson(item),
        ...(item.label === undefined ? {} : { label: labelJson(item.label) }),
        ...(item.align === undefined ? {} : { align: item.align }),
      };
    }),
  };
}

function labelJson(label: NonNullable<FieldDescription['label']>): Json {
  return typeof label === 'number' ? label : { little: label.little, big: label.big };
}

function integralJson(type: IntegralDescription, withSets: boolean): Json {
  return {
    name: type.name,
    container: typeJson(type.container),
    fields: type.fields.map((item) => ({ name: item.name, type: typeJson(item.type, withSets), ...valueJson(item) })),
  };
}

function otherJson(type: Exclude<NamedDescription, StructDescription | IntegralDescription>, withSets: boolean): Json {
  if (type.kind === 'union') {
    return {
      name: type.name,
      ...(type.packed ? { packed: true } : {}),
      arms: type.arms.map((arm) => ({
        name: arm.name,
        type: typeJson(arm.type, withSets),
        ...(arm.anonymous === true ? { anonymous: true } : {}),
        ...valueJson(arm),
        ...(arm.align === undefined ? {} : { align: arm.align }),
      })),
    };
  }
  return {
    name: type.name,
    by: type.by.join('.'),
    arms: type.arms.map((arm) => ({ name: arm.name, tag: String(arm.tag), type: typeJson(arm.type, withSets) })),
  };
}

/** A key for a list that is only there where the list has something in it: what has none reads as it always did. */
function listed(key: string, items: readonly Json[]): Readonly<Record<string, Json>> {
  return items.length === 0 ? {} : { [key]: items };
}

/**
 * The numbers of an interface without its prose: two descriptions with the same canonical form mean the same bytes. Keys
 * stand in a fixed order; constants are numbers, those of more than 53 bits decimal strings. Offsets and sizes are those
 * on x86-64.
 * @throws LayoutError `LAYOUT_NAME` where two different sets have one name.
 */
export function canonicalAbi(unit: Interface): Json {
  const types = fixedInOrder(unit.types);
  const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1);
  types.sort(byName);
  // A version names its sets beside the types, as it always did; what has no version says which field has which.
  const withSets = unit.version === undefined;
  const sets = withSets ? allSets(unit) : unit.sets;
  return {
    version: unit.version ?? '',
    regions: unit.regions.map(({ name, start, size, protection }) => ({ name, start, size, protection })),
    constants: Object.fromEntries(
      unit.constants.map(({ name, value }) => [name, typeof value === 'bigint' ? value.toString() : value]),
    ),
    sets: Object.fromEntries(
      sets.map(({ name, kind, values, plainNames }) => [
        name,
        plainNames === true ? { kind, plain_names: true, values } : { kind, values },
      ]),
    ),
    structs: types.filter((type) => type.kind === 'struct').map((type) => structJson(type, withSets)),
    ...listed(
      'integrals',
      types.filter((type) => type.kind === 'integral').map((type) => integralJson(type, withSets)),
    ),
    ...listed(
      'unions',
      types.filter((type) => type.kind === 'union').map((type) => otherJson(type, withSets)),
    ),
    ...listed(
      'tagged',
      types.filter((type) => type.kind === 'tagged').map((type) => otherJson(type, withSets)),
    ),
  };
}

/** The text that the fingerprint is the SHA-256 of. */
export function canonicalText(unit: Interface): string {
  return JSON.stringify(canonicalAbi(unit));
}

/** The bytes of a digest in hexadecimal. */
export function hexText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Canonical JSON; `parseInterface` reads it back. */
export const jsonEmitter: Emitter = {
  name: 'json',
  emit(unit, { fingerprint }) {
    const print = fingerprint === undefined ? {} : { fingerprint: hexText(fingerprint) };
    return `${JSON.stringify({ ...print, abi: canonicalAbi(unit) }, null, 2)}\n`;
  },
};
