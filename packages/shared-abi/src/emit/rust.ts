import { resolve } from '../layout/resolve.js';
import { byteSize, type ResolvedField, type ResolvedStruct, type ResolvedType } from '../layout/resolved.js';
import type { Emitter, Interface } from './emitter.js';

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

function rustType(type: ResolvedType): string {
  switch (type.kind) {
    case 'integer':
      return `${type.signed ? 'i' : 'u'}${type.bits}`;
    case 'bytes':
      return `[u8; ${byteSize(type)}]`;
    case 'array':
      return `[${rustType(type.element)}; ${type.count}]`;
    case 'struct':
      return type.name;
    default:
      throw new TypeError(type.kind);
  }
}

function zeroValue(type: ResolvedType): string {
  switch (type.kind) {
    case 'integer':
      return '0';
    case 'bytes':
      return `[0; ${byteSize(type)}]`;
    case 'array':
      return `[${zeroValue(type.element)}; ${type.count}]`;
    case 'struct':
      return `${rustType(type)}::ZERO`;
    default:
      throw new TypeError(type.kind);
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
      const element = rustType(type.element);
      const call =
        type.element.kind === 'struct'
          ? `${element}::from_bytes(&take(bytes, at))`
          : `${element}::from_le_bytes(take(bytes, at))`;
      return [
        `let mut at = ${offset};`,
        `for item in &mut ${place} {`,
        `    *item = ${call};`,
        `    at += ${byteSize(type.element)};`,
        `}`,
      ];
    }
    default:
      throw new TypeError(type.kind);
  }
}

function writeStatement(item: ResolvedField): string[] {
  const { type, offset, name } = item;
  const end = offset + byteSize(type);
  switch (type.kind) {
    case 'integer':
      return [`bytes[${offset}..${end}].copy_from_slice(&self.${name}.to_le_bytes());`];
    case 'bytes':
      return [`bytes[${offset}..${end}].copy_from_slice(&self.${name});`];
    case 'struct':
      return [`bytes[${offset}..${end}].copy_from_slice(&self.${name}.to_bytes());`];
    case 'array': {
      const call = type.element.kind === 'struct' ? 'to_bytes' : 'to_le_bytes';
      return [
        `let mut at = ${offset};`,
        `for item in &self.${name} {`,
        `    bytes[at..at + ${byteSize(type.element)}].copy_from_slice(&item.${call}());`,
        `    at += ${byteSize(type.element)};`,
        `}`,
      ];
    }
    default:
      throw new TypeError(type.kind);
  }
}

const indent = (lines: readonly string[], by: number): string[] => lines.map((line) => ' '.repeat(by) + line);

function structText(item: ResolvedStruct): string[] {
  const size = `${byteSize(item)}`;
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

function regionText(abi: Interface): string[] {
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
  emit(abi, { target, fingerprint = new Uint8Array(0) }) {
    const lines = [
      HEADER,
      'fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {',
      '    let mut out = [0; N];',
      '    out.copy_from_slice(&bytes[at..at + N]);',
      '    out',
      '}',
      '',
      `/// SHA-256 of the canonical JSON of this ABI (version ${abi.version ?? ''}).`,
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
      ...abi.types
        .map((type) => resolve(type, target))
        .filter((type) => type.kind === 'struct')
        .flatMap(structText),
    ];
    return `${lines.join('\n').trimEnd()}\n`;
  },
};
