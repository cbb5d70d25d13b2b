// `npm run bench -- layouts`: codecs of the layout language beside the packages that people use for binary structs
// and beside hand-written DataView code, interleaved in one run. Ratios are peer time to ours: above 1 we are ahead.
// restructure and struct-fu have no 64-bit integers: they read two words instead, which is less work than a bigint.
import { array, codec, i64, integral, s390x, struct, u32, u64, uint, viewArrayOf, viewOf } from '@instar/layout';
import { ConvertConfig } from '@instar/shared-abi';
import { BitInputStream, BitOutputStream } from '@thi.ng/bitstream';
import { Parser } from 'binary-parser';
import { Parser as Encoder } from 'binary-parser-encoder';
import bitBuffer from 'bit-buffer';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as restructure from 'restructure';
import structFu from 'struct-fu';
import typedStruct from 'typed-struct';
import { checkVariable, VARIABLE_TASKS } from './variable.mjs';

const { BitStream } = bitBuffer;
const { Struct: TypedStruct } = typedStruct;

const RECORDS = 100_000;
const PACKED = 100_000;
const RELA_SIZE = 24;

/** Keeps results alive, so that no loop is optimised away. */
let sink = 0;

// ConvertConfig.

const config = ConvertConfig.encode({
  flags: 32,
  target_format: 2,
  passphrase: Uint8Array.from({ length: 256 }, (_, index) => index),
  argon2_mem_size: 1n << 30n,
  window_start: 512n,
  window_end: 1n << 40n,
});
const configBuffer = Buffer.from(config);
const configValue = ConvertConfig.decode(config);

/** Name, width in bits or bytes for byte strings, of every field. */
const CONFIG_FIELDS = ConvertConfig.layout.map(({ name, type }) => [name, type.kind, type.bits / 8]);

function build(make, { word, wide, bytes }) {
  let parser = make();
  for (const [name, kind, size] of CONFIG_FIELDS) {
    if (kind === 'bytes') parser = bytes(parser, name, size);
    else parser = size === 4 ? word(parser, name) : wide(parser, name);
  }
  return parser;
}

const binaryParserMethods = {
  word: (parser, name) => parser.uint32le(name),
  wide: (parser, name) => parser.uint64le(name),
  bytes: (parser, name, length) => parser.buffer(name, { length }),
};
const twoWords = (make) => ({ low: make(), high: make() });
const splitWide = (value) => ({ low: Number(value & 0xffff_ffffn), high: Number(value >> 32n) });
const split = (value, wideFields) =>
  Object.fromEntries(Object.entries(value).map(([name, item]) => [name, wideFields(item)]));

const configParser = build(() => new Parser(), binaryParserMethods);
const configEncoder = build(() => new Encoder(), binaryParserMethods);
const configEncoderValue = split(configValue, (item) => (item instanceof Uint8Array ? Buffer.from(item) : item));
/** Both parsers return Buffers that are windows of the memory where we return copies: here they are copied, too. */
function parseConfigCopying(parser) {
  const value = parser.parse(configBuffer);
  value.passphrase = new Uint8Array(value.passphrase);
  value.snapshot_id = new Uint8Array(value.snapshot_id);
  return value;
}
const configInPlace = codec(ConvertConfig, undefined, { copy: false });
const configRestructure = new restructure.Struct(
  Object.fromEntries(
    CONFIG_FIELDS.map(([name, kind, size]) => [
      name,
      kind === 'bytes'
        ? new restructure.Buffer(size)
        : size === 4
          ? restructure.uint32le
          : new restructure.Struct(twoWords(() => restructure.uint32le)),
    ]),
  ),
);
const configSplit = split(configValue, (item) => (typeof item === 'bigint' ? splitWide(item) : item));
const ConfigTyped = build(() => new TypedStruct('ConvertConfig'), {
  word: (type, name) => type.UInt32LE(name),
  wide: (type, name) => type.BigUInt64LE(name),
  bytes: (type, name, length) => type.Buffer(name, length),
}).compile();
const configFu = structFu.struct(
  CONFIG_FIELDS.map(([name, kind, size]) =>
    kind === 'bytes'
      ? structFu.byte(name, size)
      : size === 4
        ? structFu.uint32le(name)
        : structFu.struct(name, [structFu.uint32le('low'), structFu.uint32le('high')]),
  ),
);

function encodeConfigTyped() {
  const record = new ConfigTyped();
  for (const [name, kind] of CONFIG_FIELDS) {
    if (kind === 'bytes') record[name].set(configValue[name]);
    else record[name] = configValue[name];
  }
  return ConfigTyped.raw(record);
}

const copyOf = (bytes, start, end) => bytes.slice(start, end);
const windowOf = (bytes, start, end) => bytes.subarray(start, end);

/** What a careful person writes. */
function decodeConfigByHand(bytes, part = copyOf) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    magic: view.getUint32(0, true),
    flags: view.getUint32(4, true),
    input_device_count: view.getUint32(8, true),
    target_format: view.getUint32(12, true),
    output_cluster_bits: view.getUint32(16, true),
    passphrase_len: view.getUint32(20, true),
    pad0: view.getUint32(24, true),
    passphrase: part(bytes, 28, 284),
    snapshot_id_len: view.getUint32(284, true),
    pad1: view.getUint32(288, true),
    snapshot_id: part(bytes, 292, 356),
    pad2: view.getUint32(356, true),
    argon2_mem_size: view.getBigUint64(360, true),
    luks_encrypt_iterations: view.getUint32(368, true),
    luks_encrypt_key_bytes: view.getUint32(372, true),
    luks_random_data_addr: view.getBigUint64(376, true),
    luks_random_data_size: view.getBigUint64(384, true),
    output_grain_size: view.getUint32(392, true),
    output_block_size: view.getUint32(396, true),
    window_start: view.getBigUint64(400, true),
    window_end: view.getBigUint64(408, true),
  };
}

function encodeConfigByHand(value) {
  const bytes = new Uint8Array(416);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, value.magic, true);
  view.setUint32(4, value.flags, true);
  view.setUint32(8, value.input_device_count, true);
  view.setUint32(12, value.target_format, true);
  view.setUint32(16, value.output_cluster_bits, true);
  view.setUint32(20, value.passphrase_len, true);
  view.setUint32(24, value.pad0, true);
  bytes.set(value.passphrase, 28);
  view.setUint32(284, value.snapshot_id_len, true);
  view.setUint32(288, value.pad1, true);
  bytes.set(value.snapshot_id, 292);
  view.setUint32(356, value.pad2, true);
  view.setBigUint64(360, value.argon2_mem_size, true);
  view.setUint32(368, value.luks_encrypt_iterations, true);
  view.setUint32(372, value.luks_encrypt_key_bytes, true);
  view.setBigUint64(376, value.luks_random_data_addr, true);
  view.setBigUint64(384, value.luks_random_data_size, true);
  view.setUint32(392, value.output_grain_size, true);
  view.setUint32(396, value.output_block_size, true);
  view.setBigUint64(400, value.window_start, true);
  view.setBigUint64(408, value.window_end, true);
  return bytes;
}

// ELF Rela.

const Rela = struct('Elf64_Rela', {
  r_offset: u64,
  r_info: integral('RelInfo', u64, { r_sym: u32, r_type: u32 }),
  r_addend: i64,
});
const rela = codec(Rela);
const relas = codec(array(Rela, RECORDS));
const records = new Uint8Array(RECORDS * RELA_SIZE);
for (let index = 0; index < RECORDS; index += 1) {
  rela.encodeInto(
    records,
    { r_offset: BigInt(index) * 8n, r_info: { r_sym: index % 5000, r_type: index % 40 }, r_addend: BigInt(-index) },
    index * RELA_SIZE,
  );
}
const recordsBuffer = Buffer.from(records.buffer);
const recordValues = relas.decode(records);
const splitValues = recordValues.map((item) =>
  split(item, (part) => (typeof part === 'bigint' ? splitWide(BigInt.asUintN(64, part)) : part)),
);

// No package splits an integer: for them the info is a struct of two words, in the order that little-endian bytes have. The
// values are the same as ours.
const relaParser = (make) =>
  make().array('items', {
    type: make()
      .uint64le('r_offset')
      .nest('r_info', { type: make().uint32le('r_type').uint32le('r_sym') })
      .int64le('r_addend'),
    length: RECORDS,
  });
const relasParser = relaParser(() => new Parser());
const relasEncoder = relaParser(() => new Encoder());
const wideRestructure = () => new restructure.Struct(twoWords(() => restructure.uint32le));
const relasRestructure = new restructure.Array(
  new restructure.Struct({
    r_offset: wideRestructure(),
    r_info: new restructure.Struct({ r_type: restructure.uint32le, r_sym: restructure.uint32le }),
    r_addend: wideRestructure(),
  }),
  RECORDS,
);
const RelaTyped = new TypedStruct('Rela')
  .BigUInt64LE('r_offset')
  .UInt32LE('r_type')
  .UInt32LE('r_sym')
  .BigInt64LE('r_addend')
  .compile();
const wideFu = (name) => structFu.struct(name, [structFu.uint32le('low'), structFu.uint32le('high')]);
const relasFu = structFu.struct([
  structFu.struct(
    'items',
    [
      wideFu('r_offset'),
      structFu.struct('r_info', [structFu.uint32le('r_type'), structFu.uint32le('r_sym')]),
      wideFu('r_addend'),
    ],
    RECORDS,
  ),
]);

function decodeRelasByHand(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Array(RECORDS);
  for (let index = 0; index < RECORDS; index += 1) {
    const at = index * RELA_SIZE;
    values[index] = {
      r_offset: view.getBigUint64(at, true),
      r_info: { r_sym: view.getUint32(at + 12, true), r_type: view.getUint32(at + 8, true) },
      r_addend: view.getBigInt64(at + 16, true),
    };
  }
  return values;
}

function encodeRelasByHand(values) {
  const bytes = new Uint8Array(values.length * RELA_SIZE);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => {
    const at = index * RELA_SIZE;
    view.setBigUint64(at, value.r_offset, true);
    view.setUint32(at + 8, value.r_info.r_type, true);
    view.setUint32(at + 12, value.r_info.r_sym, true);
    view.setBigInt64(at + 16, value.r_addend, true);
  });
  return bytes;
}

function viewRelas() {
  const view = viewArrayOf(rela, records);
  let sum = 0;
  for (let index = 0; index < view.length; index += 1) {
    const record = view.at(index);
    sum += record.r_info.r_sym + record.r_info.r_type;
    if (record.r_offset === 8n) sum += 1;
  }
  return sum;
}

function viewRelasByHand() {
  const view = new DataView(records.buffer);
  let sum = 0;
  for (let at = 0; at < records.length; at += RELA_SIZE) {
    sum += view.getUint32(at + 12, true) + view.getUint32(at + 8, true);
    if (view.getBigUint64(at, true) === 8n) sum += 1;
  }
  return sum;
}

function viewRelasTyped() {
  let sum = 0;
  for (let at = 0; at < records.length; at += RELA_SIZE) {
    const record = new RelaTyped(recordsBuffer.subarray(at, at + RELA_SIZE));
    sum += record.r_sym + record.r_type;
    if (record.r_offset === 8n) sum += 1;
  }
  return sum;
}

// A stream of integers of 11 bits, most significant bit first.

const packed = codec(array(uint(11), PACKED), s390x);
const packedValues = Array.from({ length: PACKED }, (_, index) => (index * 37) % 2048);
const packedBytes = packed.encode(packedValues);
const packedBuffer = Buffer.from(packedBytes);

const packedGroups = {
  items: Array.from({ length: PACKED / 8 }, (_, group) =>
    Object.fromEntries(Array.from({ length: 8 }, (__, index) => [`v${index}`, packedValues[group * 8 + index]])),
  ),
};
const packedFu = structFu.struct([
  structFu.struct(
    'items',
    Array.from({ length: 8 }, (_, index) => structFu.ubit(`v${index}`, 11)),
    PACKED / 8,
  ),
]);

function decodePackedByHand(bytes) {
  const values = new Array(PACKED);
  for (let index = 0; index < PACKED; index += 1) {
    const bit = index * 11;
    const at = bit >>> 3;
    const three = (bytes[at] << 16) | (bytes[at + 1] << 8) | (bytes[at + 2] ?? 0);
    values[index] = (three >>> (13 - (bit & 7))) & 0x7ff;
  }
  return values;
}

function encodePackedByHand(values) {
  const bytes = new Uint8Array(Math.ceil((values.length * 11) / 8));
  let pending = 0;
  let count = 0;
  let at = 0;
  for (const value of values) {
    pending = (pending << 11) | value;
    count += 11;
    while (count >= 8) {
      count -= 8;
      bytes[at] = (pending >>> count) & 0xff;
      at += 1;
    }
    pending &= (1 << count) - 1;
  }
  if (count > 0) bytes[at] = (pending << (8 - count)) & 0xff;
  return bytes;
}

function decodePackedByStream() {
  const stream = new BitInputStream(packedBytes);
  const values = new Array(PACKED);
  for (let index = 0; index < PACKED; index += 1) values[index] = stream.read(11);
  return values;
}

function encodePackedByStream() {
  const stream = new BitOutputStream(Math.ceil((PACKED * 11) / 8));
  for (const value of packedValues) stream.write(value, 11);
  return stream.bytes();
}

function decodePackedByBitBuffer() {
  const stream = new BitStream(packedBytes.buffer);
  stream.bigEndian = true;
  const values = new Array(PACKED);
  for (let index = 0; index < PACKED; index += 1) values[index] = stream.readBits(11, false);
  return values;
}

function encodePackedByBitBuffer() {
  const bytes = new Uint8Array(Math.ceil((PACKED * 11) / 8));
  const stream = new BitStream(bytes.buffer);
  stream.bigEndian = true;
  for (const value of packedValues) stream.writeBits(value, 11);
  return bytes;
}

function viewPacked() {
  const view = viewOf(packed, packedBytes);
  let sum = 0;
  for (let index = 0; index < view.length; index += 1) sum += view.at(index);
  return sum;
}

function viewPackedByHand() {
  let sum = 0;
  for (let index = 0; index < PACKED; index += 1) {
    const bit = index * 11;
    const at = bit >>> 3;
    const three = (packedBytes[at] << 16) | (packedBytes[at + 1] << 8) | (packedBytes[at + 2] ?? 0);
    sum += (three >>> (13 - (bit & 7))) & 0x7ff;
  }
  return sum;
}

const repeated = (count, action) => () => {
  for (let index = 0; index < count; index += 1) sink += action() === undefined ? 0 : 1;
};
const once = (action) => repeated(1, action);

/** What is done, how often, by us, by hand, by the packages; the least ratio to hand-written code, where there is one. */
const TASKS = [
  {
    name: 'ConvertConfig, decode',
    ours: repeated(2000, () => ConvertConfig.decode(config)),
    hand: repeated(2000, () => decodeConfigByHand(config)),
    peers: {
      'binary-parser': repeated(2000, () => configParser.parse(configBuffer)),
      'binary-parser-encoder': repeated(2000, () => parseConfigCopying(configEncoder)),
      restructure: repeated(2000, () => configRestructure.fromBuffer(config)),
      'typed-struct': repeated(2000, () => new ConfigTyped(configBuffer).toJSON()),
      'struct-fu': repeated(2000, () => configFu.unpack(configBuffer)),
    },
  },
  {
    name: 'ConvertConfig, decode in place',
    ours: repeated(2000, () => configInPlace.decode(config)),
    hand: repeated(2000, () => decodeConfigByHand(config, windowOf)),
    peers: { 'binary-parser-encoder': repeated(2000, () => configEncoder.parse(configBuffer)) },
  },
  {
    name: 'ConvertConfig, encode',
    ours: repeated(2000, () => ConvertConfig.encode(configValue)),
    hand: repeated(2000, () => encodeConfigByHand(configValue)),
    peers: {
      'binary-parser-encoder': repeated(2000, () => configEncoder.encode(configEncoderValue)),
      restructure: repeated(2000, () => configRestructure.toBuffer(configSplit)),
      'typed-struct': repeated(2000, encodeConfigTyped),
      'struct-fu': repeated(2000, () =>
        configFu.pack({
          ...configSplit,
          passphrase: configEncoderValue.passphrase,
          snapshot_id: configEncoderValue.snapshot_id,
        }),
      ),
    },
  },
  {
    name: 'Elf64_Rela × 100000, decode',
    ours: once(() => relas.decode(records)),
    hand: once(() => decodeRelasByHand(records)),
    peers: {
      'binary-parser': once(() => relasParser.parse(recordsBuffer)),
      'binary-parser-encoder': once(() => relasEncoder.parse(recordsBuffer)),
      restructure: once(() => relasRestructure.fromBuffer(records)),
      'struct-fu': once(() => relasFu.unpack(recordsBuffer)),
    },
  },
  {
    name: 'Elf64_Rela × 100000, encode',
    ours: once(() => relas.encode(recordValues)),
    hand: once(() => encodeRelasByHand(recordValues)),
    peers: {
      'binary-parser-encoder': once(() => relasEncoder.encode({ items: recordValues })),
      restructure: once(() => relasRestructure.toBuffer(splitValues)),
      'struct-fu': once(() => relasFu.pack({ items: splitValues })),
    },
  },
  {
    name: 'Elf64_Rela × 100000, view',
    ours: once(viewRelas),
    hand: once(viewRelasByHand),
    least: 0.7,
    peers: { 'typed-struct': once(viewRelasTyped) },
  },
  {
    name: '11 bits × 100000, decode',
    ours: once(() => packed.decode(packedBytes)),
    hand: once(() => decodePackedByHand(packedBytes)),
    peers: {
      '@thi.ng/bitstream': once(() => decodePackedByStream()),
      'bit-buffer': once(() => decodePackedByBitBuffer()),
      'struct-fu': once(() => packedFu.unpack(packedBuffer)),
    },
  },
  {
    name: '11 bits × 100000, encode',
    ours: once(() => packed.encode(packedValues)),
    hand: once(() => encodePackedByHand(packedValues)),
    peers: {
      '@thi.ng/bitstream': once(() => encodePackedByStream()),
      'bit-buffer': once(() => encodePackedByBitBuffer()),
      'struct-fu': once(() => packedFu.pack(packedGroups)),
    },
  },
  {
    name: '11 bits × 100000, view',
    ours: once(viewPacked),
    hand: once(viewPackedByHand),
    least: 0.7,
    peers: {},
  },
];

const WARM_UP = 8;
setFlagsFromString('--expose-gc');
/** Whoever comes next is not to clear away what the one before left behind. */
const collectGarbage = runInNewContext('gc');
const milliseconds = (action) => {
  collectGarbage({ type: 'minor' });
  const start = process.hrtime.bigint();
  action();
  return Number(process.hrtime.bigint() - start) / 1e6;
};
const median = (times) => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)];

function same(found, expected, what) {
  if (!Buffer.from(found).equals(Buffer.from(expected))) throw new Error(`${what}: the contestants do not do the same`);
}

/** The contestants must write the same bytes, or the race means nothing. */
function check() {
  same(encodeConfigByHand(configValue), config, 'ConvertConfig');
  same(configEncoder.encode(configEncoderValue), config, 'binary-parser-encoder');
  same(configRestructure.toBuffer(configSplit), config, 'restructure');
  same(encodeConfigTyped(), config, 'typed-struct');
  same(relasEncoder.encode({ items: recordValues }), records, 'binary-parser-encoder');
  same(encodeRelasByHand(relasParser.parse(recordsBuffer).items), records, 'binary-parser');
  same(encodeRelasByHand(relasEncoder.parse(recordsBuffer).items), records, 'binary-parser-encoder');
  same(relasRestructure.toBuffer(splitValues), records, 'restructure');
  same(relasFu.pack({ items: splitValues }), records, 'struct-fu');
  same(encodeRelasByHand(recordValues), records, 'Elf64_Rela');
  same(encodePackedByHand(packedValues), packedBytes, '11 bits');
  same(encodePackedByStream(), packedBytes, '@thi.ng/bitstream');
  same(encodePackedByBitBuffer(), packedBytes, 'bit-buffer');
  if (viewRelas() !== viewRelasByHand() || viewPacked() !== viewPackedByHand()) throw new Error('views differ');
}

/** Runs every task; rows of [task, against, our ms, peer ms, ratio, target, met]. */
export function benchLayouts(runs, wanted = () => true, left = new Set()) {
  check();
  checkVariable();
  const rows = [];
  for (const task of [...TASKS, ...VARIABLE_TASKS].filter(wanted)) {
    const peers = Object.entries(task.peers).filter(([name]) => !left.has(name));
    const hand = task.hand === undefined ? [] : [['by hand', task.hand]];
    const contestants = [['', task.ours], ...hand, ...peers];
    const times = new Map(contestants.map(([name]) => [name, []]));
    for (let round = -WARM_UP; round < runs; round += 1) {
      // Each round begins with another contestant: what the one before did to the heap is part of every measurement.
      contestants.push(contestants.shift());
      for (const [name, action] of contestants) {
        const spent = milliseconds(action);
        if (round >= 0) times.get(name).push(spent);
      }
    }
    const ours = median(times.get(''));
    for (const [name] of contestants) {
      if (name === '') continue;
      const ratio = median(times.get(name)) / ours;
      const target = name === 'by hand' ? task.least : 1;
      rows.push({ task: task.name, against: name, ours, theirs: median(times.get(name)), ratio, target });
    }
  }
  return rows;
}

/** Prints the rows as a Markdown table. */
export function printLayouts(rows) {
  const cells = rows.map(({ task, against, ours, theirs, ratio, target }) => [
    task,
    against,
    ours.toFixed(2),
    theirs.toFixed(2),
    `${ratio.toFixed(2)}×`,
    target === undefined ? '' : `at least ${target}×`,
    target === undefined ? '' : ratio >= target ? 'met' : 'NOT met',
  ]);
  const head = ['what', 'against', 'instar ms', 'peer ms', 'result', 'target', ''];
  const widths = head.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column].length)));
  const line = (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  console.log(line(head));
  console.log(line(widths.map((width) => '-'.repeat(width))));
  for (const row of cells) console.log(line(row));
}

export { sink };
