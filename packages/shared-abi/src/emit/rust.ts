import type { ResolvedField } from '../layout/struct.js';
import type { ArrayType, IntegerType, LayoutType } from '../layout/types.js';
import type { AbiDescription, Emitter, StructDescription } from './emitter.js';

const HEADER = `// @generated from packages/shared-abi/src/abi: edit there, then \`npm run generate\`.
//! The ABI between instar's host and its guests. Every offset and size is asserted when this file is compiled.
#![no_std]
#![forbid(unsafe_code)]
`;

function snake(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

function rustType(type: LayoutType<unknown>): string {
  switch (type.kind) {
    case 'integer': {
      const integer = type as IntegerType<number | bigint>;
      return `${integer.signed ? 'i' : 'u'}${integer.bits}`;
    }
    case 'bytes':
      return `[u8; ${type.size}]`;
    case 'array': {
      const list = type as ArrayType<unknown>;
      return `[${rustType(list.element)}; ${list.count}]`;
    }
    case 'struct':
      return (type as LayoutType<unknown> & { readonly name: string }).name;
  }
}

function zeroValue(type: LayoutType<unknown>): string {
  switch (type.kind) {
    case 'integer':
      return '0';
    case 'bytes':
      return `[0; ${type.size}]`;
    case 'array': {
      const list = type as ArrayType<unknown>;
      return `[${zeroValue(list.element)}; ${list.count}]`;
    }
    case 'struct':
      return `${rustType(type)}::ZERO`;
  }
}

function readStatement(item: ResolvedField): string[] {
  const { type, offset, name } = item;
  const place = `value.${name}`;
  switch (type.kind) {
    case 'integer':
      return [`${place} = ${rustType(type)}::from_le_bytes(take(bytes, ${offset}));`];
    case 'bytes':
      return [`${place} = take(bytes, ${offset});`];
    case 'struct':
      return [`${place} = ${rustType(type)}::from_bytes(&take(bytes, ${offset}));`];
    case 'array': {
      const list = type as ArrayType<unknown>;
      const element = rustType(list.element);
      const call =
        list.element.kind === 'struct'
          ? `${element}::from_bytes(&take(bytes, at))`
          : `${element}::from_le_bytes(take(bytes, at))`;
      return [
        `let mut at = ${offset};`,
        `for item in &mut ${place} {`,
        `    *item = ${call};`,
        `    at += ${list.element.size};`,
        `}`,
      ];
    }
  }
}

function writeStatement(item: ResolvedField): string[] {
  const { type, offset, name } = item;
  const end = offset + type.size;
  switch (type.kind) {
    case 'integer':
      return [`bytes[${offset}..${end}].copy_from_slice(&self.${name}.to_le_bytes());`];
    case 'bytes':
      return [`bytes[${offset}..${end}].copy_from_slice(&self.${name});`];
    case 'struct':
      return [`bytes[${offset}..${end}].copy_from_slice(&self.${name}.to_bytes());`];
    case 'array': {
      const list = type as ArrayType<unknown>;
      const call = list.element.kind === 'struct' ? 'to_bytes' : 'to_le_bytes';
      return [
        `let mut at = ${offset};`,
        `for item in &self.${name} {`,
        `    bytes[at..at + ${list.element.size}].copy_from_slice(&item.${call}());`,
        `    at += ${list.element.size};`,
        `}`,
      ];
    }
  }
}

const indent = (lines: readonly string[], by: number): string[] => lines.map((line) => ' '.repeat(by) + line);

function structText(item: StructDescription): string[] {
  const size = `${item.size}`;
  return [
    `/// ${item.doc}`,
    '#[repr(C)]',
    '#[derive(Clone, Copy, Debug, PartialEq, Eq)]',
    `pub struct ${item.name} {`,
    ...item.fields.flatMap((f) => [`    /// Byte ${f.offset}: ${f.doc}.`, `    pub ${f.name}: ${rustType(f.type)},`]),
    '}',
    '',
    'const _: () = {',
    `    assert!(core::mem::size_of::<${item.name}>() == ${size});`,
    `    assert!(core::mem::align_of::<${item.name}>() == ${item.align});`,
    ...item.fields.map((f) => `    assert!(core::mem::offset_of!(${item.name}, ${f.name}) == ${f.offset});`),
    '};',
    '',
    `impl ${item.name} {`,
    '    /// Size in bytes.',
    `    pub const SIZE: usize = ${size};`,
    ...item.fields.flatMap((f) => [
      `    /// Byte offset of \`${f.name}\`.`,
      `    pub const OFFSET_${f.name.toUpperCase()}: usize = ${f.offset};`,
    ]),
    '    /// All fields zero.',
    '    pub const ZERO: Self = Self {',
    ...item.fields.map((f) => `        ${f.name}: ${zeroValue(f.type)},`),
    '    };',
    '',
    '    /// Reads the struct from its bytes (little endian).',
    `    pub fn from_bytes(bytes: &[u8; ${size}]) -> Self {`,
    '        let mut value = Self::ZERO;',
    ...indent(item.fields.flatMap(readStatement), 8),
    '        value',
    '    }',
    '',
    '    /// The bytes of the struct (little endian).',
    `    pub fn to_bytes(&self) -> [u8; ${size}] {`,
    `        let mut bytes = [0; ${size}];`,
    ...indent(item.fields.flatMap(writeStatement), 8),
    '        bytes',
    '    }',
    '}',
    '',
  ];
}

const PROTECTIONS = {
  none: 'None',
  supervisor: 'Supervisor',
  r: 'Read',
  rw: 'ReadWrite',
  rx: 'ReadExecute',
  image: 'Image',
};

function regionText(abi: AbiDescription): string[] {
  return [
    '/// What code at CPL 3 may do with a region.',
    '#[derive(Clone, Copy, Debug, PartialEq, Eq)]',
    'pub enum Protection {',
    ...Object.values(PROTECTIONS).map((name) => `    ${name},`),
    '}',
    '',
    '/// One region of guest memory.',
    '#[derive(Clone, Copy, Debug, PartialEq, Eq)]',
    'pub struct Region {',
    "    /// The region's name.",
    "    pub name: &'static str,",
    '    /// First byte.',
    '    pub start: u64,',
    '    /// Bytes.',
    '    pub size: u64,',
    '    /// What code at CPL 3 may do with it.',
    '    pub protection: Protection,',
    '}',
    '',
    ...abi.regions.flatMap((item) => [
      `/// ${item.doc}.`,
      `pub const REGION_${item.name.toUpperCase()}: Region = Region {`,
      `    name: "${item.name}",`,
      `    start: ${hex(item.start)},`,
      `    size: ${hex(item.size)},`,
      `    protection: Protection::${PROTECTIONS[item.protection]},`,
      '};',
    ]),
    '',
    '/// The memory map, lowest address first.',
    `pub const MEMORY_MAP: [Region; ${abi.regions.length}] = [`,
    ...abi.regions.map((item) => `    REGION_${item.name.toUpperCase()},`),
    '];',
    '',
  ];
}

export const rustEmitter: Emitter = {
  name: 'rust',
  emit(abi, fingerprint) {
    const lines = [
      HEADER,
      'fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {',
      '    let mut out = [0; N];',
      '    out.copy_from_slice(&bytes[at..at + N]);',
      '    out',
      '}',
      '',
      `/// SHA-256 of the canonical JSON of this ABI (version ${abi.version}).`,
      `pub const FINGERPRINT: [u8; ${fingerprint.length}] = [`,
      ...Array.from(
        { length: fingerprint.length / 8 },
        (_, row) =>
          `    ${Array.from(fingerprint.subarray(row * 8, row * 8 + 8), (byte) => `0x${byte.toString(16).padStart(2, '0')}`).join(', ')},`,
      ),
      '];',
      '',
      ...abi.constants.flatMap(({ name, value }) => [
        `/// ${name}.`,
        `pub const ${name}: ${value > 0xffff_ffffn ? 'u64' : 'u32'} = ${hex(value)};`,
      ]),
      '',
      ...regionText(abi),
      ...abi.sets.flatMap((set) => [
        `/// ${set.doc}`,
        `pub mod ${snake(set.name)} {`,
        ...Object.entries<number>(set.values).flatMap(([name, value]) => [
          `    /// ${set.docs[name] ?? ''}.`,
          `    pub const ${name}: u32 = ${set.kind === 'flags' ? hex(value) : value};`,
        ]),
        '}',
        '',
      ]),
      ...abi.structs.flatMap(structText),
    ];
    return `${lines.join('\n').trimEnd()}\n`;
  },
};
