import {
  array,
  bitField,
  bitStruct,
  bool,
  bytes,
  defineEnum,
  defineFlags,
  f32,
  f64,
  i16,
  i64,
  int,
  integral,
  iword,
  pointer,
  struct,
  tagged,
  text,
  u16,
  u32,
  u64,
  u8,
  uint,
  union,
  unnamedBits,
  uword,
} from '../../src/index.js';
import type { Interface } from '../../src/emit/index.js';

const Level = defineEnum('Level', 'How much.', { LOW: [-1, 'least'], HIGH: [3, 'most'] });
const Flags = defineFlags('Flags', 'What of it.', { FIRST: [1, 'the first'], TOP: [0x80000000, 'the last'] });

const Info = integral('Info', u32, { symbol: u16, inner: integral('Inner', u16, { x: uint(3), y: int(13) }) });
/** 64 bits with a signed field in the middle. */
export const Reloc = integral('Reloc', u64, { kind: uint(24), delta: int(23), rest: uint(17) }, 'A relocation.');
/** A width that no language has. */
export const Odd = integral('Odd', uint(11), { high: uint(3), low: u8 });
const Wire = integral('Wire', uint(16, { endian: 'big' }), { version: uint(4), size: uint(12) });

const Packet = bitStruct('Packet', { kind: uint(5), length: uint(11), last: uint(1), rest: uint(7) });
const Wide = bitStruct('Wide', {
  lead: uint(3),
  word: uint(40),
  delta: int(9),
  odd: Odd,
  wire: { type: u16, label: 64 },
  raw: bytes(3),
});

const Number = union('Number', { word: u64, half: f32, real: f64, flag: bool, bits: bitField(u32, 5) });
const Small = struct('Small', { a: u8, b: u16 }, { packing: 'packed' });
const Body = tagged('Body', 'info.symbol', { word: [9, u64], small: [0x1_0000, Small], list: [3, array(u16, 3)] });

const Regs = struct('Regs', {
  dst: bitField(u8, 4),
  src: bitField(u8, 4),
  gap: unnamedBits(u32, 3),
  wide: bitField(u64, 40),
  end: unnamedBits(u8, 0),
  delta: bitField(i16, 7),
  truth: bitField(bool, 1),
  tail: u8,
});

const All = struct(
  'All',
  {
    small: u8,
    word: uword,
    offset: iword,
    next: pointer('All'),
    half: f32,
    real: f64,
    truth: bool,
    name: text(5),
    raw: bytes(6, 2),
    wire: { type: uint(32, { endian: 'big' }), doc: 'network order' },
    native: { type: uint(16, { endian: 'little', set: Flags }), doc: 'as x86 has it' },
    level: int(32, { set: Level }),
    info: { type: Info, doc: 'what and where' },
    header: Wire,
    grid: array(array(i64, 2), 3),
    regs: array(Regs, 2),
    number: Number,
    body: Body,
    packets: array(Packet, 3),
    wide: Wide,
    far: { type: u8, align: 32 },
  },
  { doc: 'One of everything.' },
);

const Tight = struct(
  'Tight',
  {
    lead: u8,
    all: Small,
    word: uword,
    bits: bitField(u16, 9),
    real: f64,
    numbers: array(u32, 2),
    regs: Regs,
    number: Number,
  },
  { packing: 'packed', align: 2 },
);

/** One of every kind of type, and of most of their combinations. */
export const EVERY_KIND: Interface = {
  title: 'every kind',
  regions: [],
  constants: [
    { name: 'LIMIT', value: 7 },
    { name: 'LOWEST', value: -(1n << 63n) },
    { name: 'HIGHEST', value: (1n << 64n) - 1n },
  ],
  sets: [Level, Flags],
  types: [All, Tight, Reloc, Odd],
};
