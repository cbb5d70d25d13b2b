import { constants } from 'node:os';
import type { ValueOf } from '@instar/layout';
import {
  COMMAND_FLAG,
  COMMAND_MAX_LENGTH,
  Descriptor,
  LOG_MAX_LENGTH,
  OPCODE,
  region,
  RING_ENTRIES,
} from '@instar/shared-abi';
import { badDescriptor, both, exit, STANDSTILL, type Row } from '../expectation.js';
import { DEVICE, INPUT_BYTES, OUTPUT_LIMIT, SMALL_INPUT_BYTES } from '../scene.js';

type Fields = Partial<ValueOf<typeof Descriptor>>;

const { READ, WRITE, COPY, COMPARE, ZERO, PRESERVE, RELEASE, FLUSH, LOG, PROGRESS, NEXT } = OPCODE.values;
const { ECANCELED } = constants.errno;
const windows = region('windows');
const window = BigInt(windows.start);
const windowsEnd = window + BigInt(windows.size);
const LIMIT = BigInt(OUTPUT_LIMIT);
const SMALL = BigInt(SMALL_INPUT_BYTES);
const MAX = 2n ** 64n - 1n;

const read: Fields = { opcode: READ, device: DEVICE.INPUT, length: 512n, window };
const write: Fields = { opcode: WRITE, target_device: DEVICE.OUTPUT, length: 512n, window };
const copy: Fields = { opcode: COPY, device: DEVICE.INPUT, target_device: DEVICE.OUTPUT, length: 512n };
const compare: Fields = {
  opcode: COMPARE,
  device: DEVICE.INPUT,
  target_device: DEVICE.SMALL_INPUT,
  length: 512n,
  window,
};
const zero: Fields = { opcode: ZERO, target_device: DEVICE.OUTPUT, length: 512n };
/** Of a range that no run of these has: none of their devices is edited. */
const preserve: Fields = { opcode: PRESERVE, target_device: DEVICE.OUTPUT, length: 512n };
const release: Fields = { opcode: RELEASE, target_device: DEVICE.OUTPUT, length: 512n };
const flush: Fields = { opcode: FLUSH, target_device: DEVICE.OUTPUT };
const log: Fields = { opcode: LOG, length: 16n, window };
const progress: Fields = { opcode: PROGRESS, offset: 1n, length: 2n };
const next: Fields = { opcode: NEXT };

/** Arguments that make the guest submit these descriptors one after the other. */
export function submissions(...descriptors: readonly Fields[]): readonly bigint[] {
  const words = descriptors.flatMap((fields) => {
    const bytes = Buffer.from(Descriptor.encode(fields));
    return Array.from({ length: bytes.length / 8 }, (_, index) => bytes.readBigUInt64LE(index * 8));
  });
  return [BigInt(descriptors.length), ...words];
}

function bad(about: string, fields: Fields, message: RegExp): Row {
  return { attack: 'ring.descriptors', about, arguments: submissions(fields), ...both(badDescriptor(message)) };
}

/** Fields that a command does not use, each set in turn. */
function unused(name: string, fields: Fields, names: readonly (keyof Fields)[]): readonly Row[] {
  return names.map((field) => {
    const value = field === 'device' || field === 'target_device' ? 1 : 1n;
    return bad(
      `${name} with ${field} set`,
      { ...fields, [field]: value },
      new RegExp(`^${name}: ${field} is 0x1, expected 0`),
    );
  });
}

const EACH: readonly (readonly [string, Fields, readonly (keyof Fields)[]])[] = [
  ['READ', read, ['target_device', 'target_offset', 'reserved']],
  ['WRITE', write, ['device', 'offset', 'reserved']],
  ['COPY', copy, ['window', 'reserved']],
  ['COMPARE', compare, ['reserved']],
  ['ZERO', zero, ['device', 'offset', 'window', 'reserved']],
  ['PRESERVE', preserve, ['device', 'offset', 'window', 'reserved']],
  ['RELEASE', release, ['device', 'offset', 'window', 'reserved']],
  ['FLUSH', flush, ['device', 'offset', 'target_offset', 'length', 'window', 'reserved']],
  ['LOG', log, ['device', 'target_device', 'offset', 'target_offset', 'reserved']],
  ['PROGRESS', progress, ['device', 'target_device', 'target_offset', 'window', 'reserved']],
  ['NEXT', next, ['device', 'target_device', 'offset', 'target_offset', 'length', 'window', 'reserved']],
];

const UNKNOWN: readonly Row[] = [
  ...[0, 13, 0x100, 0xffff_ffff].map((opcode) =>
    bad(`opcode ${opcode}`, { ...read, opcode }, /^command: opcode is 0x[0-9a-f]+, expected 1 to 12$/),
  ),
  ...EACH.flatMap(([name, fields, names]) => unused(name, fields, names)),
  ...EACH.flatMap(([name, fields]) => {
    const allowed = fields.opcode === ZERO ? COMMAND_FLAG.values.HOLE : 0;
    return [1, 2, 0x8000_0000]
      .filter((flags) => (flags & ~allowed) !== 0)
      .map((flags) => bad(`${name} with flags ${flags}`, { ...fields, flags }, new RegExp(`^${name}: flags is`)));
  }),
];

/** A target that is an input, a source that is an output, and a device that is none; for each command that has one. */
const DIRECTIONS: readonly Row[] = [
  ...[read, copy, compare].flatMap((fields) => [
    bad('source is the output', { ...fields, device: DEVICE.OUTPUT }, /: device is 0x2, expected an input$/),
    bad(
      'source is no device',
      { ...fields, device: DEVICE.MISSING },
      /: device is 0x3, expected a device of the table$/,
    ),
    bad('source is no device', { ...fields, device: 0xffff_ffff }, /: device is 0xffffffff, expected a device/),
  ]),
  ...[DEVICE.OUTPUT, DEVICE.MISSING, 0xffff_ffff].map((device) =>
    bad(
      `compared with device ${device}`,
      { ...compare, target_device: device },
      /^COMPARE: target_device is 0x[0-9a-f]+, expected (an input|a device of the table)$/,
    ),
  ),
  bad('preserve what is not edited', preserve, /^PRESERVE: target_device is 0x2, expected an edited device$/),
  bad('release what is not edited', release, /^RELEASE: target_device is 0x2, expected an edited device$/),
  ...[write, copy, zero, preserve, release, flush].flatMap((fields) => [
    bad('target is an input', { ...fields, target_device: DEVICE.INPUT }, /: target_device is 0x0, expected an output/),
    bad('target is an input', { ...fields, target_device: DEVICE.SMALL_INPUT }, /: target_device is 0x1, expected an/),
    bad(
      'target is no device',
      { ...fields, target_device: DEVICE.MISSING },
      /: target_device is 0x3, expected a device/,
    ),
    bad('target is no device', { ...fields, target_device: 0xffff_ffff }, /: target_device is 0xffffffff, expected a/),
  ]),
];

const RANGES: readonly Row[] = [
  ...[read, copy, compare].flatMap((fields) =>
    (
      [
        ['one byte behind the device', { offset: SMALL - 511n }],
        ['at the end of the device', { offset: SMALL }],
        ['far behind the device', { offset: 1n << 62n }],
        ['offset + length overflow', { offset: MAX - 510n }],
        ['longer than the device', { length: SMALL + 1n }],
      ] as const
    ).map(([about, changes]) =>
      bad(
        `source ${about}`,
        { ...fields, device: DEVICE.SMALL_INPUT, ...changes },
        /: offset is 0x[0-9a-f]+, expected/,
      ),
    ),
  ),
  ...[SMALL - 511n, SMALL, 1n << 62n, MAX - 510n].map((offset) =>
    bad(
      `compared with what is at ${offset}`,
      { ...compare, target_offset: offset },
      /^COMPARE: target_offset is 0x[0-9a-f]+, expected 0x200 bytes inside/,
    ),
  ),
  ...[write, copy, zero, preserve, release].flatMap((fields) =>
    (
      [
        ['one byte behind the limit', { target_offset: LIMIT - 511n }],
        ['at the limit', { target_offset: LIMIT }],
        ['inside the file, behind the limit', { target_offset: LIMIT + 4096n }],
        ['offset + length overflow', { target_offset: MAX - 510n }],
        ['negative', { target_offset: -512n & MAX }],
        ['longer than the limit', { length: LIMIT + 1n }],
      ] as const
    ).map(([about, changes]) =>
      bad(`target ${about}`, { ...fields, ...changes }, /: target_offset is 0x[0-9a-f]+, expected .* output limit/),
    ),
  ),
  ...[read, write, copy, compare, zero, preserve, release, log].map((fields) =>
    bad('length 0', { ...fields, length: 0n }, /: length is 0x0, expected 1 to/),
  ),
  ...[read, write, copy, compare].flatMap((fields) =>
    [BigInt(COMMAND_MAX_LENGTH) + 1n, 1n << 32n, MAX].map((length) =>
      bad(`length ${length}`, { ...fields, length }, /: length is 0x[0-9a-f]+, expected 1 to 0x800000$/),
    ),
  ),
  bad('ZERO of all that a number can hold', { ...zero, length: MAX }, /^ZERO: length is 0xf{16}, expected 1 to/),
  bad(
    'LOG that is too long',
    { ...log, length: BigInt(LOG_MAX_LENGTH) + 1n },
    /^LOG: length is 0x401, expected 1 to 0x400/,
  ),
];

const WINDOWS: readonly Row[] = [read, write, compare, log].flatMap((fields) =>
  (
    [
      ['null', 0n],
      ['the call table', BigInt(region('call_table').start)],
      ['the page tables', BigInt(region('system').start)],
      ['the text', BigInt(region('image').start)],
      ['the heap', BigInt(region('heap').start)],
      ['one byte before the windows', window - 1n],
      // What COMPARE answers for one sector takes two bytes.
      ['one byte too far', windowsEnd - (fields === compare ? 2n : (fields.length ?? 0n)) + 1n],
      ['the end of the windows', windowsEnd],
      ['the end of all addresses', MAX - 10n],
      ['a non-canonical address', 1n << 63n],
    ] as const
  ).map(([about, address]) =>
    bad(
      `window is ${about}`,
      { ...fields, window: address },
      /: window is 0x[0-9a-f]+, expected 0x[0-9a-f]+ bytes inside/,
    ),
  ),
);

/** Commands at the very edge of what is allowed: they succeed. */
const EDGES: readonly Row[] = [
  {
    attack: 'ring.descriptors',
    about: 'the last bytes of the device, the limit and the windows',
    arguments: submissions(
      { ...read, device: DEVICE.SMALL_INPUT, offset: SMALL - 512n, window: windowsEnd - 512n },
      { ...write, target_offset: LIMIT - 512n, window: windowsEnd - 512n },
      { ...compare, offset: BigInt(INPUT_BYTES) - 512n, target_offset: SMALL - 512n, window: windowsEnd - 2n },
      { ...copy, offset: BigInt(INPUT_BYTES) - 512n, target_offset: LIMIT - 512n },
      { ...zero, length: LIMIT },
      { ...zero, length: LIMIT, flags: COMMAND_FLAG.values.HOLE },
      { ...log, length: BigInt(LOG_MAX_LENGTH), window: windowsEnd - BigInt(LOG_MAX_LENGTH) },
      flush,
    ),
    writes: true,
    ...both(exit()),
  },
  {
    attack: 'ring.descriptors',
    about: 'lies about progress',
    arguments: submissions(
      { ...progress, offset: MAX, length: 0n },
      { ...progress, offset: 5n, length: 3n },
      { ...progress, offset: 0n, length: MAX },
    ),
    ...both(exit()),
  },
  {
    attack: 'ring.descriptors',
    about: 'a good command, then a bad one',
    arguments: submissions(copy, { ...copy, target_device: DEVICE.INPUT }),
    writes: true,
    ...both(badDescriptor(/^COPY: target_device is 0x0/)),
  },
];

const OUTPUT = BigInt(DEVICE.OUTPUT);

function indexes(attack: string, about: string, args: readonly bigint[], message: RegExp): Row {
  return { attack, about, arguments: args, ...both({ outcome: 'bad-ring', message }) };
}

const INDEXES: readonly Row[] = [
  indexes('ring.tail_ahead', 'one entry more than there are', [BigInt(RING_ENTRIES + 1)], /leaves 65 entries/),
  indexes('ring.tail_ahead', 'far', [1000n], /^submission tail 1000 with head 0 leaves 1000 entries, the ring has 64$/),
  indexes('ring.tail_ahead', 'half around', [0x8000_0000n], /leaves 2147483648 entries/),
  indexes('ring.tail_backwards', 'by one', [1n], /^submission tail 0 with head 1 leaves 4294967295 entries/),
  indexes('ring.tail_backwards', 'by a thousand', [1000n], /leaves 4294966296 entries/),
  indexes('ring.overwrite_all', 'with 0x41', [0x41n], /^submission tail 1094795585 with head 0/),
  indexes('ring.overwrite_all', 'with all ones', [0xffn], /^submission tail 4294967295 with head 0/),
  {
    attack: 'ring.overwrite_all',
    about: 'with zeros: nothing was submitted',
    arguments: [0n],
    ...both(STANDSTILL),
  },
  {
    attack: 'ring.tail_ahead',
    about: 'to slots that were never filled',
    arguments: [BigInt(RING_ENTRIES)],
    ...both(badDescriptor(/^command: opcode is 0x0/)),
  },
  { attack: 'ring.overwrite_magic', arguments: [OUTPUT, 4096n], writes: true, ...both(exit()) },
  { attack: 'ring.overwrite_indexes', arguments: [OUTPUT], writes: true, ...both(exit()) },
  {
    attack: 'ring.never_reap',
    about: 'eight times around the ring',
    arguments: [OUTPUT, 512n],
    writes: true,
    ...both(exit()),
  },
  {
    attack: 'ring.unrung',
    about: 'a submission without a ring',
    arguments: submissions(progress),
    ...both(STANDSTILL),
  },
];

const MISBEHAVIOUR: readonly Row[] = [
  { attack: 'ring.honest', arguments: [OUTPUT, 4096n], writes: true, ...both(exit()) },
  {
    attack: 'ring.rewrite_descriptor',
    about: 'while the host copies it',
    arguments: [OUTPUT, 1000n],
    writes: true,
    ...both(exit(), badDescriptor(/^(COPY|command): /)),
    why: 'the host sees the good descriptor, a bad one or a mixture, and acts on the copy that it checked',
  },
  {
    attack: 'ring.read_under_own_hands',
    about: 'one window for READs, WRITEs and the guest at once',
    arguments: [OUTPUT, 300n],
    writes: true,
    ...both(exit()),
  },
  {
    attack: 'ring.write_forever',
    about: 'until the limit of the output',
    arguments: [OUTPUT, 65536n],
    writes: true,
    ...both(badDescriptor(/^WRITE: target_offset is 0x40000, expected 0x10000 bytes within the output limit 0x40000$/)),
  },
  { attack: 'ring.log_flood', about: 'a thousand lines', arguments: [1000n, 1024n], ...both(exit()) },
  {
    attack: 'ring.at_once',
    about: 'as many as it likes',
    arguments: submissions(read, progress, read),
    ...both(exit()),
  },
  // In a run of one request; sessions.test.ts has the others.
  { attack: 'ring.answer_and_go_on', ...both(exit(ECANCELED)) },
  { attack: 'ring.answer_twice', ...both(STANDSTILL) },
  { attack: 'ring.answer_without_rest', ...both(STANDSTILL) },
];

/** Attacks that only a limit of their own ends; see limits.test.ts, which runs them. */
export const ENDLESS: readonly string[] = ['ring.copy_forever', 'ring.progress_flood', 'ring.read_forever'];

export const RING: readonly Row[] = [
  ...UNKNOWN,
  ...DIRECTIONS,
  ...RANGES,
  ...WINDOWS,
  ...EDGES,
  ...INDEXES,
  ...MISBEHAVIOUR,
];
