import { LayoutError } from '../layout/errors.js';
import { isBitField, manifestOfResolved } from '../layout/manifest.js';
import {
  byteSize,
  type ResolvedField,
  type ResolvedIntegral,
  type ResolvedStruct,
  type ResolvedTagged,
  type ResolvedType,
  type ResolvedUnion,
} from '../layout/resolved.js';
import type { Endian } from '../layout/target.js';
import {
  bitAccessors,
  byteAccessors,
  constantNames,
  checkAccessors,
  containerText,
  docText,
  fromRaw,
  holder,
  isStandard,
  readStatements,
  storedType,
  writeStatements,
  zeroValue,
} from './rust-values.js';

// A struct keeps every field that Rust can hold in place as a field. What it cannot (bit fields, fields that are less
// aligned than their type, the other byte order) lies in byte arrays with a getter and a setter, and gaps are declared,
// so that no `packed` is needed and every offset can be asserted. Unions and structs that are packed to the bit are bytes.

const indent = (lines: readonly string[], by: number): string[] => lines.map((line) => ' '.repeat(by) + line);

/** A member of the Rust struct: a field as it is, a field as bytes, or bytes that hold bit fields or nothing. */
interface Member {
  readonly name: string;
  readonly type: string;
  readonly offset: number;
  readonly size: number;
  readonly align: number;
  readonly doc: string;
  /** Set where the member is the field itself. */
  readonly field: ResolvedField | undefined;
  /** Fields that need a getter and a setter. */
  readonly inside: readonly ResolvedField[];
}

function asBytes(name: string, offset: number, size: number, doc: string, inside: readonly ResolvedField[]): Member {
  return { name, type: `[u8; ${size}]`, offset, size, align: 1, doc, field: undefined, inside };
}

/** The members of a struct, gaps included. */
function membersOf(type: ResolvedStruct, endian: Endian): Member[] {
  const members: Member[] = [];
  let end = 0;
  const pad = (upTo: number): void => {
    if (upTo > end) members.push(asBytes(`_pad_${end}`, end, upTo - end, 'padding', []));
    end = Math.max(end, upTo);
  };
  let run: ResolvedField[] = [];
  const flush = (): void => {
    const [first] = run;
    const last = run.at(-1);
    if (first === undefined || last === undefined) return;
    pad(first.offset);
    const upTo = Math.ceil((last.bit + last.type.bits) / 8);
    members.push(asBytes(`bits_${first.offset}`, first.offset, upTo - first.offset, 'bit fields', run));
    end = upTo;
    run = [];
  };
  for (const item of type.fields) {
    if (item.unnamed) continue;
    if (isBitField(item)) {
      // Bit fields that share no byte keep bytes of their own, so that a gap between them stays declared.
      const last = run.at(-1);
      if (last !== undefined && item.offset > Math.floor((last.bit + last.type.bits) / 8)) flush();
      run.push(item);
      continue;
    }
    flush();
    pad(item.offset);
    const size = byteSize(item.type);
    const stored = storedType(item.type, endian);
    const fits = stored !== undefined && stored.align <= type.align && item.offset % stored.align === 0;
    const doc = item.doc;
    members.push(
      fits
        ? {
            name: item.name,
            type: stored.text,
            offset: item.offset,
            size,
            align: stored.align,
            doc,
            field: item,
            inside: [],
          }
        : asBytes(item.name, item.offset, size, doc, [item]),
    );
    end = item.offset + size;
  }
  flush();
  pad(byteSize(type));
  const names = new Set<string>();
  for (const { name, offset } of members) {
    if (names.has(name)) {
      throw new LayoutError('LAYOUT_NAME', 'found the name that the Rust struct gives to bytes, expected another', {
        path: `${type.name}.${name}`,
        offset,
        found: name,
      });
    }
    names.add(name);
  }
  return members;
}

/** An integer of whole bytes of which Rust has none (24 bits). */
function isOddInteger({ type }: ResolvedField): boolean {
  const whole = type.kind === 'integral' ? type.container : type;
  return whole.kind === 'integer' && !isStandard(whole.bits);
}

const holders = new WeakMap<ResolvedType, boolean>();

function holdsFloat(type: ResolvedType): boolean {
  switch (type.kind) {
    case 'float':
      return true;
    case 'array':
      return holdsFloat(type.element);
    case 'struct': {
      // Types that are used twice, in types that are used twice, are asked once.
      const known = holders.get(type);
      if (known !== undefined) return known;
      const found = type.source.packing !== 'bits' && type.fields.some((item) => holdsFloat(item.type));
      holders.set(type, found);
      return found;
    }
    default:
      return false;
  }
}

function representation(type: ResolvedType, align: number): string[] {
  return [
    align < type.align ? `#[repr(C, align(${type.align}))]` : '#[repr(C)]',
    // Floating-point numbers are equal to others, but NaN is not equal to itself.
    `#[derive(Clone, Copy, Debug, PartialEq${holdsFloat(type) ? '' : ', Eq'})]`,
  ];
}

function sizeAssertions(name: string, type: ResolvedType): string[] {
  return [
    `    assert!(core::mem::size_of::<${name}>() == ${byteSize(type)});`,
    `    assert!(core::mem::align_of::<${name}>() == ${type.align});`,
  ];
}

/** A struct as C lays it out. */
export function structText(type: ResolvedStruct, endian: Endian): string[] {
  const size = `${byteSize(type)}`;
  const constantName = constantNames(type.fields);
  const members = membersOf(type, endian);
  const fields = type.fields.filter((item) => !item.unnamed && !isBitField(item));
  const align = Math.max(1, ...members.map((item) => item.align));
  const order = `${endian} endian`;
  checkAccessors(
    type.name,
    members.flatMap((item) => item.inside.map((inner) => inner.name)),
  );
  return [
    `/// ${docText(type.doc, type.name)}`,
    ...representation(type, align),
    `pub struct ${type.name} {`,
    ...members.flatMap((item) => [
      `    /// Byte ${item.offset}: ${docText(item.doc, item.name)}.`,
      `    pub ${item.name}: ${item.type},`,
    ]),
    '}',
    '',
    'const _: () = {',
    ...sizeAssertions(type.name, type),
    ...members.map((item) => `    assert!(core::mem::offset_of!(${type.name}, ${item.name}) == ${item.offset});`),
    '};',
    '',
    `impl ${type.name} {`,
    '    /// Size in bytes.',
    `    pub const SIZE: usize = ${size};`,
    ...fields.flatMap((f) => [
      `    /// Byte offset of \`${f.name}\`.`,
      `    pub const OFFSET_${constantName(f)}: usize = ${f.offset};`,
    ]),
    '    /// All fields zero.',
    '    pub const ZERO: Self = Self {',
    ...members.map(
      (item) => `        ${item.name}: ${item.field === undefined ? `[0; ${item.size}]` : zeroValue(item.field.type)},`,
    ),
    '    };',
    '',
    `    /// Reads the struct from its bytes (${order}).`,
    `    pub fn from_bytes(bytes: &[u8; ${size}]) -> Self {`,
    '        let mut value = Self::ZERO;',
    ...indent(
      members.flatMap(({ field, name, offset }) =>
        field === undefined
          ? [`value.${name} = take(bytes, ${offset});`]
          : readStatements(field.type, 'bytes', offset, `value.${name}`),
      ),
      8,
    ),
    '        value',
    '    }',
    '',
    `    /// The bytes of the struct (${order}).`,
    `    pub fn to_bytes(&self) -> [u8; ${size}] {`,
    `        let mut bytes = [0; ${size}];`,
    ...indent(
      members.flatMap(({ field, name, offset, size: length }) =>
        field === undefined
          ? [`bytes[${offset}..${offset + length}].copy_from_slice(&self.${name});`]
          : writeStatements(field.type, 'bytes', offset, `self.${name}`),
      ),
      8,
    ),
    '        bytes',
    '    }',
    ...members.flatMap(({ inside, name, offset }) =>
      inside.flatMap((item) =>
        isBitField(item) || isOddInteger(item)
          ? bitAccessors(item, name, item.bit - offset * 8)
          : byteAccessors(item, name, 0),
      ),
    ),
    '}',
    '',
  ];
}

/** What is bytes with getters and setters. */
function bytesText(
  type: ResolvedStruct | ResolvedUnion | ResolvedTagged,
  fields: readonly ResolvedField[],
  constants: readonly string[],
): string[] {
  const size = byteSize(type);
  checkAccessors(
    type.name,
    fields.map((item) => item.name),
  );
  return [
    `/// ${docText(type.doc, type.name)}`,
    ...representation({ kind: 'bytes', bits: 0, align: type.align }, 1),
    `pub struct ${type.name} {`,
    `    /// All ${type.bits} bits.`,
    `    pub bytes: [u8; ${size}],`,
    '}',
    '',
    'const _: () = {',
    ...sizeAssertions(type.name, type),
    '};',
    '',
    `impl ${type.name} {`,
    '    /// Size in bytes.',
    `    pub const SIZE: usize = ${size};`,
    '    /// All bits zero.',
    `    pub const ZERO: Self = Self { bytes: [0; ${size}] };`,
    ...constants,
    '',
    '    /// The value that these bytes are.',
    `    pub const fn from_bytes(bytes: &[u8; ${size}]) -> Self {`,
    '        Self { bytes: *bytes }',
    '    }',
    '',
    '    /// The bytes of the value.',
    `    pub const fn to_bytes(&self) -> [u8; ${size}] {`,
    '        self.bytes',
    '    }',
    ...fields.flatMap((item) =>
      isBits(item)
        ? bitAccessors(item, 'bytes', item.bit)
        : item.bit % 8 === 0
          ? byteAccessors(item, 'bytes', item.bit / 8)
          : [],
    ),
    '}',
    '',
  ];
}

/** Whether a field is read bit by bit: bit fields, and integers that do not lie in whole bytes. */
function isBits(item: ResolvedField): boolean {
  if (isBitField(item)) return true;
  const { kind, bits } = item.type;
  if (kind === 'boolean') return item.bit % 8 !== 0;
  return (kind === 'integer' || kind === 'integral') && (item.bit % 8 !== 0 || !isStandard(bits));
}

/** A struct that is packed to the bit. */
export function bitStructText(type: ResolvedStruct): string[] {
  const constantName = constantNames(type.fields);
  const constants = type.fields.flatMap((item) => [
    `    /// First bit of \`${item.name}\`, counted from the most significant one of byte 0.`,
    `    pub const BIT_${constantName(item)}: usize = ${item.bit};`,
    `    /// Bits of \`${item.name}\`.`,
    `    pub const WIDTH_${constantName(item)}: usize = ${item.type.bits};`,
  ]);
  return bytesText(type, type.fields, constants);
}

export function unionText(type: ResolvedUnion): string[] {
  return bytesText(
    type,
    type.arms.filter((arm) => !arm.unnamed),
    [],
  );
}

export function taggedText(type: ResolvedTagged): string[] {
  const arms = type.arms.map((arm): ResolvedField => ({
    name: arm.name,
    type: arm.type,
    bit: 0,
    offset: 0,
    doc: '',
    value: undefined,
    unnamed: false,
  }));
  const constantName = constantNames(type.arms);
  const constants = type.arms.flatMap((arm) => [
    `    /// Value of \`${type.by.join('.')}\` that chooses \`${arm.name}\`.`,
    `    pub const TAG_${constantName(arm)}: ${arm.tag < 0n ? 'i64' : 'u64'} = ${arm.tag};`,
  ]);
  return bytesText(type, arms, constants);
}

/** An integral struct: an integer with getters, setters and constants. */
export function integralText(type: ResolvedIntegral): string[] {
  const raw = containerText(type);
  const bits = holder(type.bits);
  const unsigned = `u${bits}`;
  const order = type.container.endian === 'little' ? 'le' : 'be';
  const places = manifestOfResolved(type);
  const constantName = constantNames(places);
  checkAccessors(
    type.name,
    places.map((place) => place.name),
  );
  return [
    `/// ${docText(type.doc, type.name)}`,
    '#[repr(transparent)]',
    '#[derive(Clone, Copy, Debug, PartialEq, Eq)]',
    `pub struct ${type.name}(pub ${raw});`,
    '',
    ...(isStandard(type.bits) ? ['const _: () = {', ...sizeAssertions(type.name, type), '};', ''] : []),
    `impl ${type.name} {`,
    '    /// All bits zero.',
    '    pub const ZERO: Self = Self(0);',
    ...places.flatMap((place) => {
      const name = constantName(place);
      return [
        `    /// Bits below \`${place.name}\`.`,
        `    pub const ${name}_SHIFT: u32 = ${place.shift};`,
        `    /// Bits of \`${place.name}\`.`,
        `    pub const ${name}_WIDTH: u32 = ${place.width};`,
        `    /// The bits of \`${place.name}\` in place.`,
        `    pub const ${name}_MASK: ${unsigned} = 0x${place.mask.toString(16)};`,
      ];
    }),
    ...(isStandard(type.bits)
      ? [
          '',
          `    /// Reads it from its bytes (${type.container.endian} endian).`,
          `    pub const fn from_bytes(bytes: &[u8; ${type.bits / 8}]) -> Self {`,
          `        Self(${raw}::from_${order}_bytes(*bytes))`,
          '    }',
          '',
          `    /// Its bytes (${type.container.endian} endian).`,
          `    pub const fn to_bytes(&self) -> [u8; ${type.bits / 8}] {`,
          `        self.0.to_${order}_bytes()`,
          '    }',
        ]
      : []),
    ...places.flatMap((place) => {
      const name = constantName(place);
      const value = `${place.signed ? 'i' : 'u'}${holder(place.width)}`;
      const masked = `((self.0 as ${unsigned} & Self::${name}_MASK) >> Self::${name}_SHIFT) as u64`;
      const moved = `((value as u64) << Self::${name}_SHIFT) as ${unsigned} & Self::${name}_MASK`;
      return [
        '',
        `    /// The value of \`${place.name}\`.`,
        `    pub const fn ${place.name}(self) -> ${value} {`,
        `        ${fromRaw(masked, place.width, place.signed)}`,
        '    }',
        '',
        `    /// Sets \`${place.name}\`; bits beyond its ${place.width} are dropped.`,
        `    pub fn set_${place.name}(&mut self, value: ${value}) {`,
        `        self.0 = ((self.0 as ${unsigned} & !Self::${name}_MASK) | (${moved})) as ${raw};`,
        '    }',
      ];
    }),
    '}',
    '',
  ];
}
