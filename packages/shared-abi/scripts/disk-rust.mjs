// What the guest reads and writes disk images by: a module a structure, a constant a field, from their descriptions.
import { byteSize, resolve, x86_64 } from '@instar/layout';
import { FORMAT_NUMBERS } from '../dist/index.js';

/** Formats by what the names of their structures begin with, the longer ones first. */
const FORMATS = [...Object.keys(FORMAT_NUMBERS), 'luks2']
  .map((name) => `${name.charAt(0).toUpperCase()}${name.slice(1)}`)
  .sort((one, other) => other.length - one.length);
/** Formats whose specifications name fields in words. */
const IN_WORDS = new Set(['asif', 'dmg', 'luks', 'luks2', 'vpc']);
/** What messages call fields whose names alone would not say which structure they are of. */
const SAID = {
  'dmg.resource_fork': { data_offset: 'offset of resource data', data_length: 'length of resource data' },
  'dmg.run': {
    type: 'type of a run',
    first_sector: 'first sector of a run',
    sector_count: 'sector count of a run',
    offset: 'offset of a run',
    length: 'length of a run',
  },
  'luks.key_slot': {
    state: 'key slot state',
    iterations: 'key slot iterations',
    salt: 'key slot salt',
    stripes: 'key slot stripes',
  },
  'qcow2.bitmap_entry': {
    flags: 'bitmap flags',
    type: 'bitmap type',
    granularity_bits: 'bitmap granularity_bits',
    name_size: 'bitmap name_size',
    extra_data_size: 'bitmap extra_data_size',
  },
  'vhdx.header': { Signature: 'header signature', Checksum: 'header checksum' },
  'vhdx.log_descriptor': { Signature: 'descriptor signature' },
  'vhdx.log_entry': { Signature: 'log signature', Checksum: 'log checksum' },
  'vhdx.metadata_entry': { Offset: 'item offset', Length: 'item length', Flags: 'item flags' },
  'vhdx.metadata_table': { Signature: 'metadata signature' },
  'vhdx.region_entry': { Guid: 'region' },
  'vhdx.region_table': { Signature: 'region table signature', Checksum: 'region table checksum' },
  'vmdk.marker': { val: 'marker', size: 'marker size', type: 'marker type' },
  'vmdk.se_sparse_volatile_header': { magic: 'volatile magic' },
};

/** @param {string} name */
function snake(name) {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
}

/** What messages call a field. */
function said(module, name) {
  const [format] = module.split('.');
  const own = SAID[module]?.[name];
  if (own !== undefined) return own;
  if (module === 'qcow2.snapshot') return `snapshot's ${name}`;
  return IN_WORDS.has(format) ? name.replaceAll('_', ' ') : name;
}

function fieldText(module, { name, offset, type, doc }) {
  const constant = snake(name).toUpperCase();
  const word = JSON.stringify(said(module, name));
  const about = `        /// ${doc.charAt(0).toUpperCase()}${doc.slice(1)}.`;
  if (type.kind !== 'integer') {
    return [about, `        pub const ${constant}: Span = Span::new(${word}, ${offset}, ${byteSize(type)});`];
  }
  const number = `u${type.bits}`;
  const stored = type.bits === 8 ? number : `${type.endian === 'big' ? 'Be' : 'Le'}<${number}>`;
  return [about, `        pub const ${constant}: Number<${stored}> = Number::new(${word}, ${offset});`];
}

function structText(module, description) {
  const resolved = resolve(description, x86_64);
  const [, name] = module.split('.');
  return [
    `    /// ${description.doc}`,
    `    pub mod ${name} {`,
    '        use crate::structure::*;',
    '        /// Bytes.',
    `        pub const BYTES: usize = ${byteSize(resolved)};`,
    ...resolved.fields.flatMap((field) => fieldText(module, field)),
    '    }',
  ];
}

/** @param {Readonly<Record<string, import('@instar/layout').Description>>} disk */
export function diskRust(disk) {
  const modules = Object.entries(disk).map(([name, description]) => {
    const format = FORMATS.find((prefix) => name.startsWith(prefix));
    if (format === undefined) throw new Error(`${name}: of no format that is known here`);
    return [snake(format).replace(/_(\d)/, '$1'), snake(name.slice(format.length)), description];
  });
  const formats = new Map();
  for (const module of modules) formats.set(module[0], [...(formats.get(module[0]) ?? []), module]);
  return [
    '// @generated from packages/shared-abi/src/disk: edit there, then `npm run generate`.',
    '//! Structures of disk images: where each field is, how wide, in which byte order, and what messages call it.',
    '#![allow(dead_code, unused_imports)]',
    ...[...formats].flatMap(([format, structs]) => [
      `/// Structures of ${format}.`,
      `pub mod ${format} {`,
      ...structs.flatMap(([, name, description]) => structText(`${format}.${name}`, description)),
      '}',
    ]),
    '',
  ].join('\n');
}
