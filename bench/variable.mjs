// Parts that vary in length, for `npm run bench -- layouts`: the same files read by the packages that people use for that.
// Byte strings are windows of the file with all of them. Kaitai's numbers of 64 bits are doubles and restructure's are two
// words, which is less work than a bigint.
import {
  array,
  arrayUntil,
  bytesOf,
  codec,
  magic,
  pointedTo,
  s390x,
  struct,
  text,
  u16,
  u32,
  u64,
  u8,
  x86_64,
} from '@instar/layout';
import { Parser } from 'binary-parser';
import { Parser as Encoder } from 'binary-parser-encoder';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { runInNewContext } from 'node:vm';
import { deepStrictEqual } from 'node:assert';
import * as restructure from 'restructure';

const load = createRequire(import.meta.url);

/** What Kaitai's compiler makes of a specification: a function that reads a file. */
async function kaitai(document) {
  const files = await load('kaitai-struct-compiler').compile('javascript', document, undefined, false);
  const KaitaiStream = load('kaitai-struct/KaitaiStream');
  const exported = {};
  runInNewContext(Object.values(files)[0], { exports: exported, require: () => KaitaiStream, Uint8Array });
  const found = Object.values(exported)[0];
  const Root = typeof found === 'function' ? found : Object.values(found)[0];
  return (bytes) => new Root(new KaitaiStream(bytes));
}

// PNG: many small chunks. Nobody but us would check their sums.

const CHUNKS = 5000;
/** How often a file is read or written in one measurement. */
const TIMES = 5;
const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10);
const chunkOf = (kind, length) => {
  const chunk = Buffer.alloc(12 + length, 7);
  chunk.writeUInt32BE(length);
  chunk.write(kind, 4, 'latin1');
  return chunk;
};
const png = Buffer.concat([
  SIGNATURE,
  chunkOf('IHDR', 13),
  ...Array.from({ length: CHUNKS }, (_, index) => chunkOf('IDAT', 20 + (index % 100))),
  chunkOf('IEND', 0),
]);
const Png = struct('Png', {
  signature: magic(SIGNATURE),
  chunks: arrayUntil(
    struct('Chunk', { length: u32, kind: text(4, { encoding: 'ascii' }), data: bytesOf('length'), crc: u32 }),
    (chunk) => chunk.kind === 'IEND',
  ),
});
const pngCodec = codec(Png, s390x, { copy: false });
const pngParser = (make) =>
  make()
    .buffer('signature', { length: 8 })
    .array('chunks', {
      type: make()
        .uint32be('length')
        .string('kind', { length: 4, encoding: 'ascii' })
        .buffer('data', { length: 'length' })
        .uint32be('crc'),
      readUntil: (chunk) => chunk.kind === 'IEND',
    });
const [pngReader, pngEncoder] = [pngParser(() => new Parser()), pngParser(() => new Encoder())];
const pngRestructure = new restructure.Struct({
  signature: new restructure.Buffer(8),
  chunks: new restructure.Array(
    new restructure.Struct({
      length: restructure.uint32,
      kind: new restructure.String(4, 'ascii'),
      data: new restructure.Buffer('length'),
      crc: restructure.uint32,
    }),
    CHUNKS + 2,
  ),
});
const pngKaitai = await kaitai({
  meta: { id: 'png_file', endian: 'be', encoding: 'ASCII' },
  seq: [
    { id: 'signature', contents: [...SIGNATURE] },
    { id: 'chunks', type: 'chunk', repeat: 'until', 'repeat-until': '_.kind == "IEND"' },
  ],
  types: {
    chunk: {
      seq: [
        { id: 'length', type: 'u4' },
        { id: 'kind', type: 'str', size: 4 },
        { id: 'data', size: 'length' },
        { id: 'crc', type: 'u4' },
      ],
    },
  },
});
const pngValue = codec(Png, s390x).decode(png);

// pcap: draft-ietf-opsawg-pcap, 4 and 5.

const PACKETS = 5000;
const pcap = Buffer.concat([
  Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex'),
  ...Array.from({ length: PACKETS }, (_, index) => {
    const packet = Buffer.alloc(16 + 60 + ((index * 37) % 1400));
    packet.writeUInt32LE(1_700_000_000 + index);
    packet.writeUInt32LE(packet.length - 16, 8);
    packet.writeUInt32LE(packet.length - 16, 12);
    return packet;
  }),
]);
const Pcap = struct('Pcap', {
  magic: u32,
  major: u16,
  minor: u16,
  zone: u32,
  accuracy: u32,
  longest: u32,
  link: u32,
  packets: array(
    struct('Packet', { seconds: u32, fraction: u32, length: u32, original: u32, data: bytesOf('length') }),
  ),
});
const pcapCodec = codec(Pcap, x86_64, { copy: false });
const PCAP_HEAD = Object.entries({ magic: 4, major: 2, minor: 2, zone: 4, accuracy: 4, longest: 4, link: 4 });
const PACKET_HEAD = ['seconds', 'fraction', 'length', 'original'];
const pcapParser = (make) => {
  const head = PCAP_HEAD.reduce((parser, [name, size]) => parser[size === 2 ? 'uint16le' : 'uint32le'](name), make());
  const packet = PACKET_HEAD.reduce((parser, name) => parser.uint32le(name), make()).buffer('data', {
    length: 'length',
  });
  return head.array('packets', { type: packet, readUntil: 'eof' });
};
const [pcapReader, pcapEncoder] = [pcapParser(() => new Parser()), pcapParser(() => new Encoder())];
const pcapRestructure = new restructure.Struct({
  ...Object.fromEntries(
    PCAP_HEAD.map(([name, size]) => [name, size === 2 ? restructure.uint16le : restructure.uint32le]),
  ),
  packets: new restructure.Array(
    new restructure.Struct({
      ...Object.fromEntries(PACKET_HEAD.map((name) => [name, restructure.uint32le])),
      data: new restructure.Buffer('length'),
    }),
    PACKETS,
  ),
});
const pcapKaitai = await kaitai({
  meta: { id: 'pcap_file', endian: 'le' },
  seq: [...PCAP_HEAD.map(([id, size]) => ({ id, type: `u${size}` })), { id: 'packets', type: 'packet', repeat: 'eos' }],
  types: {
    packet: { seq: [...PACKET_HEAD.map((id) => ({ id, type: 'u4' })), { id: 'data', size: 'length' }] },
  },
});
const pcapValue = codec(Pcap, x86_64).decode(pcap);

// ELF, the headers of a program of this machine: System V ABI, "ELF Header" and "Sections".

const elf = readFileSync('/bin/sh');
const widthsOf = (text) => text.split(' ').map((item) => [item.split(':')[0], Number(item.split(':')[1])]);
const ELF_HEAD = widthsOf(
  'type:2 machine:2 version:4 entry:8 phoff:8 shoff:8 flags:4 ehsize:2 phentsize:2 phnum:2 shentsize:2 shnum:2 shstrndx:2',
);
const SECTION = widthsOf('name:4 type:4 flags:8 addr:8 offset:8 size:8 link:4 info:4 addralign:8 entsize:8');
const INTEGERS = { 1: u8, 2: u16, 4: u32, 8: u64 };
const fieldsOf = (list) => Object.fromEntries(list.map(([name, size]) => [name, INTEGERS[size]]));
const Elf = struct(
  'Elf',
  {
    ident: text(16, { encoding: 'latin1' }),
    ...fieldsOf(ELF_HEAD),
    sections: pointedTo('shoff', array(struct('Section', fieldsOf(SECTION)), 'shnum')),
  },
  { packing: 'packed' },
);
const elfCodec = codec(Elf, x86_64, { copy: false });
const little = (parser, list) =>
  list.reduce(
    (made, [name, size]) => made[size === 8 ? 'uint64le' : size === 4 ? 'uint32le' : 'uint16le'](name),
    parser,
  );
const elfReader = little(new Parser().string('ident', { length: 16, encoding: 'latin1', stripNull: true }), ELF_HEAD)
  .pointer('sections', {
    offset: (header) => Number(header.shoff),
    type: new Parser()
      .array('list', {
        type: little(new Parser(), SECTION),
        length() {
          return this.$parent.shnum;
        },
      })
      .useContextVars(),
  })
  .useContextVars();
const words = () => new restructure.Struct({ low: restructure.uint32le, high: restructure.uint32le });
const restructured = (list) =>
  Object.fromEntries(
    list.map(([name, size]) => [name, size === 8 ? words() : size === 4 ? restructure.uint32le : restructure.uint16le]),
  );
const elfFields = restructured(ELF_HEAD);
const elfSections = new restructure.Array(new restructure.Struct(restructured(SECTION)), 'shnum');
const elfHeader = new restructure.Struct({ ident: new restructure.String(16, 'latin1'), ...elfFields });
const elfRestructure = (bytes) => {
  const stream = new restructure.DecodeStream(bytes);
  const header = elfHeader.decode(stream);
  stream.pos = header.shoff.low;
  return { ...header, sections: elfSections.decode(stream, header) };
};
const elfKaitaiReader = await kaitai({
  meta: { id: 'elf_file', endian: 'le' },
  seq: [
    { id: 'ident', type: 'str', size: 16, encoding: 'ASCII' },
    ...ELF_HEAD.map(([id, size]) => ({ id, type: `u${size}` })),
  ],
  instances: { sections: { pos: 'shoff', type: 'section', repeat: 'expr', 'repeat-expr': 'shnum' } },
  types: { section: { seq: SECTION.map(([id, size]) => ({ id, type: `u${size}` })) } },
});
/** Kaitai reads what is elsewhere when it is asked for. */
const elfKaitai = (bytes) => {
  const header = elfKaitaiReader(bytes);
  return header.sections === undefined ? undefined : header;
};

const ELF_TIMES = 500;

/** The same value with byte strings as binary-parser-encoder wants them. */
const inBuffers = (value) =>
  Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      item instanceof Uint8Array ? Buffer.from(item) : Array.isArray(item) ? item.map(inBuffers) : item,
    ]),
  );
const [pngBuffers, pcapBuffers] = [inBuffers(pngValue), inBuffers(pcapValue)];

/** What a value has that ours has too: plain numbers, bytes as text. */
function plain(ours, theirs) {
  if (ours instanceof Uint8Array) return Buffer.from(theirs).toString('hex');
  if (typeof ours === 'bigint' || typeof ours === 'number') {
    if (typeof theirs === 'object') return theirs.high * 2 ** 32 + theirs.low;
    return Number(theirs);
  }
  if (typeof ours === 'string') return String(theirs).replace(/\0.*$/s, '');
  if (Array.isArray(ours)) return ours.map((item, index) => plain(item, (theirs.list ?? theirs)[index]));
  return Object.fromEntries(Object.entries(ours).map(([name, item]) => [name, plain(item, theirs[name])]));
}

/** The contestants must find the same, or the race means nothing. */
export function checkVariable() {
  for (const [ours, readers] of [
    [pngValue, [pngCodec.decode(png), pngReader.parse(png), pngRestructure.fromBuffer(png), pngKaitai(png)]],
    [pcapValue, [pcapCodec.decode(pcap), pcapReader.parse(pcap), pcapRestructure.fromBuffer(pcap), pcapKaitai(pcap)]],
    [elfCodec.decode(elf), [elfReader.parse(elf), elfRestructure(elf), elfKaitai(elf)]],
  ]) {
    for (const value of readers) deepStrictEqual(plain(ours, value), plain(ours, ours));
  }
  for (const [bytes, writers] of [
    [png, [pngCodec.encode(pngValue), pngEncoder.encode(pngBuffers), pngRestructure.toBuffer(pngValue)]],
    [pcap, [pcapCodec.encode(pcapValue), pcapEncoder.encode(pcapBuffers), pcapRestructure.toBuffer(pcapValue)]],
  ]) {
    for (const written of writers) deepStrictEqual(Buffer.from(written).equals(bytes), true);
  }
}

let sink = 0;
const repeated = (count, action) => () => {
  for (let index = 0; index < count; index += 1) sink += action() === undefined ? 0 : 1;
};

export const VARIABLE_TASKS = [
  {
    name: `PNG of ${CHUNKS} chunks, decode`,
    ours: repeated(TIMES, () => pngCodec.decode(png)),
    peers: {
      'binary-parser': repeated(TIMES, () => pngReader.parse(png)),
      restructure: repeated(TIMES, () => pngRestructure.fromBuffer(png)),
      'kaitai-struct': repeated(TIMES, () => pngKaitai(png)),
    },
  },
  {
    name: `PNG of ${CHUNKS} chunks, encode`,
    ours: repeated(TIMES, () => pngCodec.encode(pngValue)),
    peers: {
      'binary-parser-encoder': repeated(TIMES, () => pngEncoder.encode(pngBuffers)),
      restructure: repeated(TIMES, () => pngRestructure.toBuffer(pngValue)),
    },
  },
  {
    name: `pcap of ${PACKETS} packets, decode`,
    ours: repeated(TIMES, () => pcapCodec.decode(pcap)),
    peers: {
      'binary-parser': repeated(TIMES, () => pcapReader.parse(pcap)),
      restructure: repeated(TIMES, () => pcapRestructure.fromBuffer(pcap)),
      'kaitai-struct': repeated(TIMES, () => pcapKaitai(pcap)),
    },
  },
  {
    name: `pcap of ${PACKETS} packets, encode`,
    ours: repeated(TIMES, () => pcapCodec.encode(pcapValue)),
    peers: {
      'binary-parser-encoder': repeated(TIMES, () => pcapEncoder.encode(pcapBuffers)),
      restructure: repeated(TIMES, () => pcapRestructure.toBuffer(pcapValue)),
    },
  },
  {
    name: `ELF headers × ${ELF_TIMES}, decode`,
    ours: repeated(ELF_TIMES, () => elfCodec.decode(elf)),
    peers: {
      'binary-parser': repeated(ELF_TIMES, () => elfReader.parse(elf)),
      restructure: repeated(ELF_TIMES, () => elfRestructure(elf)),
      'kaitai-struct': repeated(ELF_TIMES, () => elfKaitai(elf)),
    },
  },
];

export { sink as variableSink };
