import { oneLine } from './plain-text.js';
import { LayoutError } from '../layout/errors.js';
import { isBitField } from '../layout/manifest.js';
import { byteSize, type ResolvedField, type ResolvedIntegral, type ResolvedType } from '../layout/resolved.js';
import type { Endian } from '../layout/target.js';

// How values are written in Rust: their types, their zero, and the expressions that read and write them in bytes.

/** The narrowest integer of Rust that holds a width. */
export function holder(bits: number): 8 | 16 | 32 | 64 {
  return bits <= 8 ? 8 : bits <= 16 ? 16 : bits <= 32 ? 32 : 64;
}

export function isStandard(bits: number): boolean {
  return holder(bits) === bits;
}

/** A doc comment's text: one line without what rustc refuses there, or what stands in for an empty one. */
export function docText(text: string, otherwise: string): string {
  return oneLine(text === '' ? otherwise : text);
}

/** The type of a value in Rust, or undefined where Rust has none (11 bits in an array): it stays bytes then. */
export function valueType(type: ResolvedType): string | undefined {
  switch (type.kind) {
    case 'integer':
      return isStandard(type.bits) ? `${type.signed ? 'i' : 'u'}${type.bits}` : undefined;
    case 'float':
      return `f${type.bits}`;
    case 'boolean':
      return 'bool';
    case 'bytes':
    case 'text':
      return `[u8; ${byteSize(type)}]`;
    case 'array': {
      const element = type.element.bits % 8 === 0 ? valueType(type.element) : undefined;
      return element === undefined ? undefined : `[${element}; ${type.count}]`;
    }
    case 'integral':
      return isStandard(type.bits) ? type.name : undefined;
    default:
      return type.bits % 8 === 0 ? type.name : undefined;
  }
}

/** The type of a field in memory and its alignment in bytes, where memory holds the value as this target does. */
export interface Stored {
  readonly text: string;
  readonly align: number;
}

/** How Rust holds a type in memory by itself; undefined where it must be bytes. */
export function storedType(type: ResolvedType, endian: Endian): Stored | undefined {
  const text = valueType(type);
  if (text === undefined) return undefined;
  switch (type.kind) {
    case 'integer':
      return type.bits === 8 || type.endian === endian ? { text, align: type.align } : undefined;
    case 'integral': {
      const native = type.bits === 8 || type.container.endian === endian;
      return native ? { text, align: type.align } : undefined;
    }
    case 'array': {
      const element = storedType(type.element, endian);
      return element === undefined ? undefined : { text, align: element.align };
    }
    case 'float':
      return type.endian === endian ? { text, align: type.align } : undefined;
    case 'bytes':
      return { text, align: 1 };
    default:
      return { text, align: type.align };
  }
}

export function zeroValue(type: ResolvedType): string {
  switch (type.kind) {
    case 'integer':
      return '0';
    case 'float':
      return '0.0';
    case 'boolean':
      return 'false';
    case 'bytes':
    case 'text':
      return `[0; ${byteSize(type)}]`;
    case 'array':
      return `[${zeroValue(type.element)}; ${type.count}]`;
    default:
      return `${type.name}::ZERO`;
  }
}

function orderOf(type: ResolvedType): string {
  const endian = type.kind === 'integral' ? type.container.endian : 'endian' in type ? type.endian : 'little';
  return endian === 'little' ? 'le' : 'be';
}

/** The integer that an integral struct wraps. */
export function containerText(type: ResolvedIntegral): string {
  return `${type.container.signed ? 'i' : 'u'}${holder(type.bits)}`;
}

/** An expression for the value at byte `at` of the bytes `from`; not for arrays of arrays of the like, which loop. */
export function readExpression(type: ResolvedType, from: string, at: string): string {
  const taken = `take(${from}, ${at})`;
  switch (type.kind) {
    case 'integer':
    case 'float':
      return `${valueType(type) ?? ''}::from_${orderOf(type)}_bytes(${taken})`;
    case 'boolean':
      return `take::<1>(${from}, ${at})[0] != 0`;
    case 'bytes':
    case 'text':
      return taken;
    case 'integral':
      return `${type.name}(${containerText(type)}::from_${orderOf(type)}_bytes(${taken}))`;
    case 'array': {
      const inner = `${at} + index * ${byteSize(type.element)}`;
      return `core::array::from_fn(|index| ${readExpression(type.element, from, type.element.kind === 'array' ? `(${inner})` : inner)})`;
    }
    default:
      return `${type.name}::from_bytes(&${taken})`;
  }
}

/** An expression for the bytes of a value that is no array: an array, or a reference to one. */
function bytesExpression(type: ResolvedType, value: string): string {
  switch (type.kind) {
    case 'integer':
    case 'float':
      return `&${value}.to_${orderOf(type)}_bytes()`;
    case 'integral':
      return `&${value}.0.to_${orderOf(type)}_bytes()`;
    default:
      return `&${value}.to_bytes()`;
  }
}

/** Statements that write a value that is no array to `target[at..end]`. `isReference`: whether `value` is one. */
function writeOne(
  type: ResolvedType,
  into: string,
  at: string,
  end: string,
  value: string,
  isReference: boolean,
): string {
  if (type.kind === 'boolean') return `${into}[${at}] = u8::from(${isReference ? '*' : ''}${value});`;
  const bytes =
    type.kind === 'bytes' || type.kind === 'text' ? `${isReference ? '' : '&'}${value}` : bytesExpression(type, value);
  return `${into}[${at}..${end}].copy_from_slice(${bytes});`;
}

const indented = (lines: readonly string[]): string[] => lines.map((line) => `    ${line}`);

/** Nests loops over the dimensions of an array; `body` handles one element, which is called `item`. */
function loops(type: ResolvedType, over: string, body: (element: ResolvedType) => readonly string[]): string[] {
  if (type.kind !== 'array') return [...body(type)];
  return [`for item in ${over} {`, ...indented(loops(type.element, 'item', body)), '}'];
}

/** Statements that write `value` at byte `offset` of `into`. */
export function writeStatements(type: ResolvedType, into: string, offset: number, value: string): string[] {
  if (type.kind !== 'array') {
    return [writeOne(type, into, `${offset}`, `${offset + byteSize(type)}`, value, false)];
  }
  const lines = loops(type, `&${value}`, (element) => {
    const size = byteSize(element);
    return [writeOne(element, into, 'at', `at + ${size}`, 'item', true), `at += ${size};`];
  });
  return [`let mut at = ${offset};`, ...lines];
}

/** Statements that set `place` from byte `offset` of `from`. */
export function readStatements(type: ResolvedType, from: string, offset: number, place: string): string[] {
  if (type.kind !== 'array') return [`${place} = ${readExpression(type, from, `${offset}`)};`];
  const lines = loops(type, `&mut ${place}`, (element) => [
    `*item = ${readExpression(element, from, 'at')};`,
    `at += ${byteSize(element)};`,
  ]);
  return [`let mut at = ${offset};`, ...lines];
}

/** Functions that read and write bits; a file has them where it needs them. Bit 0 is the lowest or the highest of byte 0. */
export const BIT_FUNCTIONS = `fn bits_lsb(bytes: &[u8], bit: usize, width: usize) -> u64 {
    (0..width).fold(0, |value, index| {
        let at = bit + index;
        value | (u64::from((bytes[at / 8] >> (at % 8)) & 1) << index)
    })
}

fn set_bits_lsb(bytes: &mut [u8], bit: usize, width: usize, value: u64) {
    for index in 0..width {
        let at = bit + index;
        let mask = 1 << (at % 8);
        if (value >> index) & 1 == 1 {
            bytes[at / 8] |= mask;
        } else {
            bytes[at / 8] &= !mask;
        }
    }
}

fn bits_msb(bytes: &[u8], bit: usize, width: usize) -> u64 {
    (0..width).fold(0, |value, index| {
        let at = bit + index;
        (value << 1) | u64::from((bytes[at / 8] >> (7 - at % 8)) & 1)
    })
}

fn set_bits_msb(bytes: &mut [u8], bit: usize, width: usize, value: u64) {
    for index in 0..width {
        let at = bit + index;
        let mask = 0x80 >> (at % 8);
        if (value >> (width - 1 - index)) & 1 == 1 {
            bytes[at / 8] |= mask;
        } else {
            bytes[at / 8] &= !mask;
        }
    }
}

/// Whole bytes least significant first, the bits that are left over from the top of the last byte.
fn bits_msb_little(bytes: &[u8], bit: usize, width: usize) -> u64 {
    (0..width).step_by(8).fold(0, |value, done| {
        value | (bits_msb(bytes, bit + done, core::cmp::min(8, width - done)) << done)
    })
}

fn set_bits_msb_little(bytes: &mut [u8], bit: usize, width: usize, value: u64) {
    for done in (0..width).step_by(8) {
        set_bits_msb(bytes, bit + done, core::cmp::min(8, width - done), value >> done);
    }
}
`;

/** The names of constants that are named after fields, in capitals; those of fields that differ by case alone stay apart. */
export function constantNames(
  fields: readonly { readonly name: string }[],
): (field: { readonly name: string }) => string {
  const names = new Map<string, string>();
  const used = new Set<string>();
  for (const { name } of fields) {
    let constant = name.toUpperCase();
    while (used.has(constant)) constant += '_';
    used.add(constant);
    names.set(name, constant);
  }
  return ({ name }) => names.get(name) ?? name.toUpperCase();
}

/** Casts 64 raw bits to a value of `width` bits. */
export function fromRaw(raw: string, width: number, signed: boolean): string {
  const text = `${signed ? 'i' : 'u'}${holder(width)}`;
  return signed ? `(((${raw}) << ${64 - width}) as i64 >> ${64 - width}) as ${text}` : `(${raw}) as ${text}`;
}

/**
 * Refuses fields whose getters and setters would have the name of another function, or of each other's.
 * @throws LayoutError `LAYOUT_NAME`.
 */
export function checkAccessors(owner: string, names: readonly string[]): void {
  const seen = new Set(['from_bytes', 'to_bytes']);
  for (const name of names) {
    for (const written of [name, `set_${name}`]) {
      if (seen.has(written)) {
        throw new LayoutError('LAYOUT_NAME', `found the name of a second Rust function ${written}, expected another`, {
          path: `${owner}.${name}`,
          offset: 0,
          found: name,
        });
      }
      seen.add(written);
    }
  }
}

/** A getter and a setter for bits of the byte array `storage`, beginning at `bit` of it. */
export function bitAccessors(item: ResolvedField, storage: string, bit: number): string[] {
  const { type, name } = item;
  const whole = type.kind === 'integral' ? type.container : type;
  if (whole.kind !== 'integer' && whole.kind !== 'boolean') return [];
  const width = type.bits;
  const little = whole.kind === 'integer' && whole.order === 'msb' && whole.endian === 'little' && width > 8;
  const how = `bits_${whole.order}${little ? '_little' : ''}`;
  const signed = whole.kind === 'integer' && whole.signed;
  const raw = `${how}(&self.${storage}, ${bit}, ${width})`;
  const value =
    type.kind === 'boolean' ? 'bool' : type.kind === 'integral' ? type.name : `${signed ? 'i' : 'u'}${holder(width)}`;
  const read =
    type.kind === 'boolean'
      ? `${raw} != 0`
      : type.kind === 'integral'
        ? `${type.name}(${fromRaw(raw, width, signed)})`
        : fromRaw(raw, width, signed);
  const written =
    type.kind === 'boolean' ? 'u64::from(value)' : type.kind === 'integral' ? 'value.0 as u64' : 'value as u64';
  const what = isBitField(item) ? 'Bit field' : 'Field';
  return [
    '',
    `    /// ${what} of ${width} bits from bit ${item.bit}: ${docText(item.doc, name)}.`,
    `    pub fn ${name}(&self) -> ${value} {`,
    `        ${read}`,
    '    }',
    '',
    `    /// Sets \`${name}\`; bits beyond its ${width} are dropped.`,
    `    pub fn set_${name}(&mut self, value: ${value}) {`,
    `        set_${how}(&mut self.${storage}, ${bit}, ${width}, ${written});`,
    '    }',
  ];
}

/** A getter and a setter for a value in the byte array `storage`; none where Rust has no type for the value. */
export function byteAccessors(item: ResolvedField, storage: string, offset: number): string[] {
  const value = item.type.bits % 8 === 0 ? valueType(item.type) : undefined;
  if (value === undefined) return [];
  const { name } = item;
  return [
    '',
    `    /// ${docText(item.doc, name)}, at byte ${item.offset}.`,
    `    pub fn ${name}(&self) -> ${value} {`,
    `        ${readExpression(item.type, `&self.${storage}`, `${offset}`)}`,
    '    }',
    '',
    `    /// Sets \`${name}\`.`,
    `    pub fn set_${name}(&mut self, value: ${value}) {`,
    ...writeStatements(item.type, `self.${storage}`, offset, 'value').map((line) => `        ${line}`),
    '    }',
  ];
}
