import type { ConstantSet } from '../layout/constants.js';
import { LayoutError } from '../layout/errors.js';
import { isBitField, manifestOfResolved, type Manifest } from '../layout/manifest.js';
import { resolve } from '../layout/resolve.js';
import { byteSize, type ResolvedField, type ResolvedStruct, type ResolvedType } from '../layout/resolved.js';
import type { Target } from '../layout/target.js';
import type { FieldDescription, IntegralDescription, StructDescription, Type } from '../layout/types.js';
import type { TaggedDescription, UnionDescription } from '../layout/types.js';
import { transparentParts } from './anonymous.js';
import { fixedInOrder, withSets, type Emitter, type Interface, type NamedDescription } from './emitter.js';
import { withHeads } from './heads.js';
import { commentText } from './plain-text.js';
import { C_NAMING, renamed } from './reserved.js';

// What C11 can say becomes C; sizes, alignments and offsets are asserted. What it cannot say becomes bytes with a comment
// and constants: integers of the other byte order, structs that are packed to the bit, widths that C has not.

function upper(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase();
}

function hex(value: bigint): string {
  return `UINT64_C(0x${value.toString(16)})`;
}

function comment(text: string): string {
  return text === '' ? '' : ` /* ${commentText(text)} */`;
}

/** A declaration: the type before the name and what stands behind it. */
interface Declarator {
  readonly type: string;
  readonly suffix: string;
  /** Alignment in bytes that the C type has by itself. */
  readonly align: number;
  readonly note: string;
}

function exact(bits: number, signed: boolean): string {
  return `${signed ? '' : 'u'}int${bits}_t`;
}

/** The narrowest integer of C that holds a width. */
function holder(bits: number): 8 | 16 | 32 | 64 {
  return bits <= 8 ? 8 : bits <= 16 ? 16 : bits <= 32 ? 32 : 64;
}

function asBytes(type: ResolvedType, note: string): Declarator {
  return { type: 'uint8_t', suffix: `[${byteSize(type)}]`, align: 1, note };
}

const ENCODINGS = {
  utf8: 'UTF-8',
  ascii: 'ASCII',
  latin1: 'ISO 8859-1',
  utf16le: 'UTF-16LE',
  utf16be: 'UTF-16BE',
} as const;

function isForeign(endian: string | undefined, bits: number, target: Target): boolean {
  return endian !== undefined && endian !== target.endian && bits > 8;
}

function declarator(type: Type, target: Target): Declarator {
  const resolved = resolve(type, target);
  const { align } = resolved;
  switch (type.kind) {
    case 'integer': {
      const name = `${type.signed ? 'i' : 'u'}${type.bits}`;
      if (isForeign(type.endian, type.bits, target)) return asBytes(resolved, `${name}, ${type.endian ?? ''} endian`);
      if (![8, 16, 32, 64].includes(type.bits)) return asBytes(resolved, name);
      return { type: exact(type.bits, type.signed), suffix: '', align, note: type.set?.name ?? '' };
    }
    case 'word':
      if (type.pointer !== undefined) return { type: 'void *', suffix: '', align, note: `to ${type.pointer}` };
      return { type: type.signed ? 'intptr_t' : 'uintptr_t', suffix: '', align, note: '' };
    case 'float':
      if (isForeign(type.endian, type.bits, target))
        return asBytes(resolved, `f${type.bits}, ${type.endian ?? ''} endian`);
      return { type: type.bits === 32 ? 'float' : 'double', suffix: '', align, note: '' };
    case 'boolean':
      return { type: 'bool', suffix: '', align, note: '' };
    case 'bytes':
      return asBytes(resolved, '');
    case 'text':
      return { type: 'char', suffix: `[${type.count}]`, align, note: ENCODINGS[type.encoding ?? 'utf8'] };
    case 'array': {
      const element = declarator(type.element, target);
      return { ...element, suffix: `[${type.count}]${element.suffix}` };
    }
    case 'integral':
      if (isForeign(type.container.endian, type.container.bits, target) || resolved.bits % 8 !== 0) {
        return asBytes(resolved, `${type.name}, ${type.container.endian ?? target.endian} endian`);
      }
      return holder(resolved.bits) === resolved.bits
        ? { type: type.name, suffix: '', align, note: '' }
        : asBytes(resolved, type.name);
    case 'struct':
    case 'union':
    case 'tagged':
      return { type: type.name, suffix: '', align, note: '' };
    case 'variable':
    case 'bitField':
      throw new LayoutError('LAYOUT_UNSUPPORTED', 'a bit field can only be a field of a struct', {
        path: 'bit field',
        offset: 0,
      });
  }
}

/** One member of a struct or union. */
function member(item: FieldDescription, packed: boolean, target: Target): string {
  const { type, name } = item;
  if (item.anonymous === true && (type.kind === 'union' || (type.kind === 'struct' && type.packing !== 'bits'))) {
    const isPacked = type.kind === 'struct' ? type.packing === 'packed' : type.packed;
    const inner = (type.kind === 'struct' ? type.fields : type.arms).map((part) => member(part, isPacked, target));
    const align = Math.max(item.align ?? 1, (type.kind === 'struct' ? type.align : undefined) ?? 1);
    const lines = inner.flatMap((text) => text.split('\n')).map((line) => `    ${line}`);
    const end = `    }${attributes(isPacked, align === 1 ? undefined : align)};${comment(item.doc)}`;
    return [`    ${type.kind} {`, ...lines, end].join('\n');
  }
  if (type.kind === 'bitField') {
    const { container } = type;
    if (container.kind === 'integer' && isForeign(container.endian, 64, target)) {
      throw new LayoutError('LAYOUT_UNSUPPORTED', 'C has no bit field with a byte order of its own', {
        path: name,
        offset: 0,
      });
    }
    const base = declarator(container, target).type;
    const aligned = item.align === undefined ? '' : ` __attribute__((aligned(${item.align})))`;
    return `    ${base} ${type.unnamed ? '' : name} : ${type.width}${aligned};${comment(item.doc)}`;
  }
  const place = declarator(type, target);
  const wanted = Math.max(packed ? 1 : resolve(type, target).align, item.align ?? 1);
  // _Alignas may not ask for less than the type has, as a field of a packed struct may want; the attribute may.
  const standard = wanted > place.align ? `_Alignas(${wanted}) ` : '';
  const reduced = packed && wanted > 1 && wanted <= place.align ? ` __attribute__((aligned(${wanted})))` : '';
  const space = place.type.endsWith('*') ? '' : ' ';
  const text = [place.note, item.doc].filter((part) => part !== '').join(': ');
  return `    ${standard}${place.type}${space}${name}${place.suffix}${reduced};${comment(text)}`;
}

function attributes(packed: boolean, align: number | undefined): string {
  const list = [...(packed ? ['packed'] : []), ...(align === undefined ? [] : [`aligned(${align})`])];
  return list.length === 0 ? '' : ` __attribute__((${list.join(', ')}))`;
}

function assertion(condition: string, text: string): string {
  return `_Static_assert(${condition}, "${text}");`;
}

function sizeAssertions(name: string, type: ResolvedType): string[] {
  const size = byteSize(type);
  return [
    assertion(`sizeof(${name}) == ${size}`, `size of ${name}`),
    assertion(`_Alignof(${name}) == ${type.align}`, `alignment of ${name}`),
  ];
}

function constantLines(owner: string, places: readonly Manifest[]): string[] {
  return places.flatMap((place) => {
    const name = `${upper(owner)}_${upper(place.name)}`;
    return [
      ...(place.unit === undefined ? [] : [`#define ${name}_UNIT_OFFSET ${place.unit.offset}`]),
      ...(place.unit === undefined ? [] : [`#define ${name}_UNIT_BITS ${place.unit.bits}`]),
      `#define ${name}_SHIFT ${place.shift}`,
      `#define ${name}_WIDTH ${place.width}`,
      // A packed 64-bit field that begins inside a byte has a mask that no integer of C holds.
      ...(place.mask >> 64n === 0n ? [`#define ${name}_MASK ${hex(place.mask)}`] : []),
    ];
  });
}

/** Assertions of where fields lie, those of anonymous members among them. */
function offsetAssertions(owner: string, fields: readonly ResolvedField[], base: number): string[] {
  return fields
    .filter((item) => !isBitField(item))
    .flatMap((item) => {
      const offset = base + item.offset;
      const inner = item.anonymous === true ? transparentParts(item.type) : undefined;
      if (inner !== undefined) return offsetAssertions(owner, inner, offset);
      return [assertion(`offsetof(${owner}, ${item.name}) == ${offset}`, `offset of ${owner}.${item.name}`)];
    });
}

/** Bit fields, each with its storage unit. The positions themselves are no constant expressions of C11: `extract` asks. */
function structText(type: StructDescription, target: Target): string[] {
  const resolved = resolve(type, target);
  if (type.packing === 'bits') return bitsText(resolved);
  const packed = type.packing === 'packed';
  const { name } = type;
  return [
    ...(type.doc === '' ? [] : [`/* ${commentText(type.doc)} */`]),
    `typedef struct ${name} {`,
    ...type.fields.map((item) => member(item, packed, target)),
    `}${attributes(packed, type.align)} ${name};`,
    ...sizeAssertions(name, resolved),
    ...offsetAssertions(name, resolved.fields, 0),
    ...constantLines(name, manifestOfResolved(resolved)),
    '',
  ];
}

/**
 * A struct that is packed to the bit: its bytes, and where each field begins, most significant bit of byte 0 first. Where
 * the bytes read as one big-endian integer hold a field in one piece, SHIFT and MASK are those of that integer; of fields
 * whose bits are counted from the least significant one, those of the little-endian integer.
 */
function bitsText(type: ResolvedStruct): string[] {
  const size = byteSize(type);
  const total = size * 8;
  const { name } = type;
  const lines = type.fields.flatMap((item) => {
    const { bit } = item;
    const width = item.type.bits;
    const constant = `${upper(name)}_${upper(item.name)}`;
    const whole = item.type.kind === 'integral' ? item.type.container : item.type;
    const isLsb = whole.kind === 'integer' && whole.order === 'lsb';
    const inOnePiece =
      whole.kind === 'boolean' || (whole.kind === 'integer' && (isLsb || width <= 8 || whole.endian === 'big'));
    const shift = isLsb ? bit : total - bit - width;
    return [
      `#define ${constant}_BIT ${bit}${comment(item.doc)}`,
      `#define ${constant}_WIDTH ${width}`,
      ...(total > 64 || !inOnePiece
        ? []
        : [
            `#define ${constant}_SHIFT ${shift}`,
            `#define ${constant}_MASK ${hex(((1n << BigInt(width)) - 1n) << BigInt(shift))}`,
          ]),
    ];
  });
  return [
    `/* ${type.doc === '' ? name : commentText(type.doc)}: packed to the bit, ${type.bits} bits. */`,
    `typedef struct ${name} {`,
    `    uint8_t bytes[${size}];`,
    `} ${name};`,
    ...sizeAssertions(name, type),
    ...lines,
    '',
  ];
}

/** An integral struct: an integer, with constants and functions for its fields. */
function integralText(type: IntegralDescription, target: Target): string[] {
  const resolved = resolve(type, target);
  const bits = holder(resolved.bits);
  const raw = exact(bits, false);
  const { name } = type;
  const places = manifestOfResolved(resolved);
  return [
    `/* ${type.doc === '' ? name : commentText(type.doc)}: an integer of ${resolved.bits} bits. */`,
    `typedef ${exact(bits, type.container.signed)} ${name};`,
    ...(bits === resolved.bits ? [assertion(`sizeof(${name}) == ${bits / 8}`, `size of ${name}`)] : []),
    ...constantLines(name, places),
    ...places.flatMap((place) => {
      const constant = `${upper(name)}_${upper(place.name)}`;
      const width = holder(place.width);
      const value = exact(width, place.signed);
      const low = `(uint64_t)(${raw})raw >> ${constant}_SHIFT`;
      // Shifting the field's top bit to the top of 64 bits and back extends the sign; gcc and clang define both shifts.
      const got = place.signed
        ? `(int64_t)((${low}) << ${64 - place.width}) >> ${64 - place.width}`
        : `((${low}) & (${constant}_MASK >> ${constant}_SHIFT))`;
      return [
        `static inline ${value} ${name}_${place.name}_get(${name} raw)`,
        '{',
        `    return (${value})(${got});`,
        '}',
        `static inline ${name} ${name}_${place.name}_set(${name} raw, ${value} value)`,
        '{',
        `    return (${name})(((uint64_t)(${raw})raw & ~${constant}_MASK) |`,
        `                     (((uint64_t)value << ${constant}_SHIFT) & ${constant}_MASK));`,
        '}',
      ];
    }),
    '',
  ];
}

function unionText(type: UnionDescription, target: Target): string[] {
  return [
    ...(type.doc === '' ? [] : [`/* ${commentText(type.doc)} */`]),
    `typedef union ${type.name} {`,
    ...type.arms.map((arm) => member(arm, type.packed, target)),
    `}${attributes(type.packed, undefined)} ${type.name};`,
    ...sizeAssertions(type.name, resolve(type, target)),
    '',
  ];
}

function taggedText(type: TaggedDescription, target: Target): string[] {
  const { name } = type;
  const resolved = resolve(type, target);
  const arms = type.arms.map((arm): FieldDescription => ({ name: arm.name, type: arm.type, doc: '' }));
  return [
    `/* ${type.doc === '' ? name : commentText(type.doc)}: ${type.by.join('.')} says which arm. */`,
    `typedef union ${name} {`,
    ...arms.map((arm) => member(arm, false, target)),
    `} ${name};`,
    ...(resolved.bits % 8 === 0 ? sizeAssertions(name, resolved) : []),
    ...type.arms.map((arm) => `#define ${upper(name)}_TAG_${upper(arm.name)} ${number(arm.tag)}`),
    '',
  ];
}

function typeText(type: NamedDescription, target: Target): string[] {
  switch (type.kind) {
    case 'struct':
      return structText(type, target);
    case 'integral':
      return integralText(type, target);
    case 'union':
      return unionText(type, target);
    case 'tagged':
      return taggedText(type, target);
  }
}

function number(value: number | bigint): string {
  const big = BigInt(value);
  if (big > 0x7fff_ffffn) return hex(big);
  return big < -0x8000_0000n ? `(-INT64_C(${-big - 1n}) - 1)` : big < 0n ? `(${big})` : `${big}`;
}

/** An enumeration of C where `int` holds every value; constants of the preprocessor elsewhere. */
function setText(set: ConstantSet, types: ReadonlySet<string>): string[] {
  const entries = Object.entries<number>(set.values);
  const prefix = set.plainNames === true ? '' : `${upper(set.name)}_`;
  const asEnum = set.kind === 'enum' && entries.every(([, value]) => Math.abs(value) < 2 ** 31);
  const lines = entries.map(([name, value]) => {
    const text = set.kind === 'flags' ? hex(BigInt(value)) : number(value);
    const note = comment(set.docs[name] ?? '');
    return asEnum ? `    ${prefix}${name} = ${text},${note}` : `#define ${prefix}${name} ${text}${note}`;
  });
  return [
    `/* ${set.name}: ${commentText(set.doc)} */`,
    ...(asEnum && entries.length > 0 ? [types.has(set.name) ? 'enum {' : `enum ${set.name} {`, ...lines, '};'] : lines),
    '',
  ];
}

function regionText(unit: Interface): string[] {
  if (unit.regions.length === 0) return [];
  const lines = unit.regions.flatMap((item) => [
    `#define REGION_${item.name.toUpperCase()}_START ${hex(BigInt(item.start))}${comment(item.doc)}`,
    `#define REGION_${item.name.toUpperCase()}_SIZE ${hex(BigInt(item.size))}`,
  ]);
  return ['/* The memory map, lowest address first. */', ...lines, ''];
}

/** Capitals and underscores make `fooBar` and `foo_bar` one name: the second macro would silently replace the first. */
function checkMacros(lines: readonly string[]): void {
  const seen = new Set<string>();
  for (const line of lines) {
    const name = /^#define (\w+) /.exec(line)?.[1];
    if (name === undefined) continue;
    if (seen.has(name)) {
      throw new LayoutError('LAYOUT_NAME', 'found two C macros of this name, expected names that differ in capitals', {
        path: name,
        offset: 0,
        found: name,
      });
    }
    seen.add(name);
  }
}

/**
 * A C11 header for gcc and clang: `_Static_assert` on every size, alignment and offset, so that compiling it for another
 * target than the one it was made for fails where that one lays out differently.
 */
export const cEmitter: Emitter = {
  name: 'c',
  emit(described, { target }) {
    const unit = renamed(withHeads(withSets(described)), C_NAMING);
    const types = fixedInOrder(unit.types);
    const guard = `INSTAR_${unit.title.toUpperCase().replace(/[^A-Z0-9]+/g, '_')}_H`;
    const lines = [
      `/* @generated by @instar/layout: ${commentText(unit.title)}, for ${target.name}. Do not edit. */`,
      `#ifndef ${guard}`,
      `#define ${guard}`,
      '',
      '#include <stdbool.h>',
      '#include <stddef.h>',
      '#include <stdint.h>',
      '',
      ...unit.constants.map(({ name, value }) => `#define ${name} ${number(value)}`),
      ...(unit.constants.length === 0 ? [] : ['']),
      ...regionText(unit),
      // Tags of C's structs, unions and enumerations share one space of names.
      ...unit.sets.flatMap((set) => setText(set, new Set(types.map((type) => type.name)))),
      ...types.flatMap((type) => typeText(type, target)),
      `#endif /* ${guard} */`,
    ];
    checkMacros(lines);
    return `${lines.join('\n')}\n`;
  },
};
