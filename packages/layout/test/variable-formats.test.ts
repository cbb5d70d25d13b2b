import { execFileSync } from 'node:child_process';
import { crc32, deflateSync } from 'node:zlib';
import { beforeAll, describe, expect, expectTypeOf, it } from 'vitest';
import { requireJudge, type Judge } from '../../../tests/support/judge.js';
import {
  arrayUntil,
  array,
  bytes,
  bytesOf,
  checksum,
  codec,
  magic,
  pointedTo,
  s390x,
  struct,
  tagged,
  textOf,
  u16,
  u32,
  u8,
  uint,
  integral,
  bytesUntil,
  type Type,
} from '../src/index.js';

const PYTHON: Judge = { program: 'python3', probe: ['--version'], package: 'python3' };

/** Bytes that a program of Python prints. */
function python(program: string): Uint8Array {
  return Uint8Array.from(execFileSync('python3', ['-c', `import sys,io,struct\nout=sys.stdout.buffer\n${program}`]));
}

// PNG, third edition, 5.3 "Chunk layout".
const Chunk = struct('Chunk', {
  length: u32,
  kind: bytes(4),
  data: bytesOf('length'),
  crc: checksum(u32, 'crc32', 'kind', 'data'),
});
const Png = struct('Png', {
  signature: magic(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10)),
  chunks: arrayUntil(Chunk, (chunk) => Buffer.from(chunk.kind).toString() === 'IEND'),
});

function pngFile(): Uint8Array {
  const parts = [Buffer.from('89504e470d0a1a0a', 'hex')];
  const chunk = (kind: string, data: Buffer): void => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const ends = Buffer.alloc(8);
    ends.writeUInt32BE(data.length);
    ends.writeUInt32BE(crc32(body), 4);
    parts.push(ends.subarray(0, 4), body, ends.subarray(4));
  };
  chunk('IHDR', Buffer.from('0000000200000001080000000000'.slice(0, 26), 'hex'));
  chunk('tEXt', Buffer.from('Title\0two pixels'));
  chunk('IDAT', deflateSync(Buffer.from([0, 1, 2])));
  chunk('IEND', Buffer.alloc(0));
  return Uint8Array.from(Buffer.concat(parts));
}

// APPNOTE 4.3: local files with their data, the central directory, its end.
const Local = struct('Local', {
  version: u16,
  flags: u16,
  method: u16,
  time: u16,
  date: u16,
  crc: u32,
  packed: u32,
  size: u32,
  name_length: u16,
  extra_length: u16,
  name: textOf('name_length'),
  extra: bytesOf('extra_length'),
  data: bytesOf('packed'),
});
const Central = struct('Central', {
  made: u16,
  version: u16,
  flags: u16,
  method: u16,
  time: u16,
  date: u16,
  crc: u32,
  packed: u32,
  size: u32,
  name_length: u16,
  extra_length: u16,
  comment_length: u16,
  disk: u16,
  inner: u16,
  outer: u32,
  place: u32,
  name: textOf('name_length'),
  extra: bytesOf('extra_length'),
  comment: textOf('comment_length'),
});
const End = struct('End', {
  disk: u16,
  start: u16,
  here: u16,
  all: u16,
  size: u32,
  place: u32,
  comment_length: u16,
  comment: textOf('comment_length'),
});
const Zip = struct('Zip', {
  parts: array(
    struct('Part', {
      signature: u32,
      body: tagged('Body', 'signature', {
        local: [0x04034b50, Local],
        central: [0x02014b50, Central],
        end: [0x06054b50, End],
      }),
    }),
  ),
});

// RFC 1035, 4.1. A name that is cut short by a pointer ends with it.
const Flags = integral('Flags', u16, { response: uint(1), rest: uint(11), rcode: uint(4) });
const Label = struct('Label', {
  head: integral('LabelHead', u8, { kind: uint(2), low: uint(6) }),
  body: tagged('LabelBody', 'head.kind', {
    word: [0, struct('Word', { text: textOf('head.low', { encoding: 'ascii' }) })],
    pointer: [3, struct('Pointer', { low: u8 })],
  }),
});
const Name = arrayUntil(Label, ({ head }) => head.kind === 3 || head.low === 0);
const Question = struct('Question', { name: Name, type: u16, class: u16 });
const Answer = struct('Answer', { name: Name, type: u16, class: u16, ttl: u32, length: u16, data: bytesOf('length') });
const Dns = struct('Dns', {
  id: u16,
  flags: Flags,
  questions: u16,
  answers: u16,
  authorities: u16,
  additional: u16,
  question: array(Question, 'questions'),
  answer: array(Answer, 'answers'),
});

// A TLV list with a short and a long length, inside each other.
const Item = struct('Item', { tag: u8, length: u8, value: bytesOf('length') });
const Items = struct('Items', { list: array(Item) });

const FORMATS: readonly (readonly [name: string, type: Type, big: boolean, make: () => Uint8Array])[] = [
  ['PNG', Png, true, pngFile],
  [
    'ZIP',
    Zip,
    false,
    () =>
      python(`import zipfile
b=io.BytesIO()
z=zipfile.ZipFile(b,'w',zipfile.ZIP_DEFLATED)
z.writestr('a.txt','a'*1000); z.writestr('d/ä.bin',bytes(range(256))); z.comment=b'the end'; z.close()
out.write(b.getvalue())`),
  ],
  [
    'DNS',
    Dns,
    true,
    () =>
      python(`name=b'\\3www\\7example\\0'
out.write(struct.pack('>6H',7,0x8180,1,2,0,0)+name+struct.pack('>2H',1,1))
out.write(b'\\xc0\\x0c'+struct.pack('>2HIH',1,1,60,4)+bytes([127,0,0,1]))
out.write(b'\\4mail\\xc0\\x10'+struct.pack('>2HIH',16,1,60,3)+b'abc')`),
  ],
  ['TLV', Items, true, () => python(`out.write(b'\\1\\0\\2\\3abc\\xff\\xff'+bytes(255))`)],
];

describe('formats of which the parts vary', () => {
  beforeAll((): void => undefined);

  it.for(FORMATS)(
    '%s files of other programs are read, and written again byte for byte',
    ([, type, big, make], context) => {
      requireJudge(context, PYTHON);
      const file = make();
      const described = codec<unknown>(type, big ? s390x : undefined);
      const value = described.decode(file);
      expect(Buffer.from(described.encode(value)).toString('hex')).toBe(Buffer.from(file).toString('hex'));
    },
  );

  it('work out counts, lengths, tags and checksums that were left out, and refuse wrong ones', (context) => {
    requireJudge(context, PYTHON);
    const png = codec(Png, s390x);
    const value = png.decode(pngFile());
    expectTypeOf(value.chunks).toEqualTypeOf<
      readonly { length: number; kind: Uint8Array; data: Uint8Array; crc: number }[]
    >();
    const bare = { chunks: value.chunks.map(({ kind, data }) => ({ kind, data })) };
    expect(Buffer.from(png.encode(bare)).toString('hex')).toBe(Buffer.from(pngFile()).toString('hex'));
    const [head, ...rest] = value.chunks;
    for (const wrong of [
      { ...head, length: 12 },
      { ...head, crc: 1 },
    ]) {
      expect(() => png.encode({ chunks: [wrong, ...rest] })).toThrow(expect.objectContaining({ code: 'LAYOUT_VALUE' }));
    }
    const damaged = pngFile();
    damaged[20] = 0xff;
    expect(() => png.decode(damaged)).toThrow(
      /^Png\.chunks\[0\]\.crc at byte 29: found the checksum \d+, expected \d+$/,
    );
    damaged[0] = 0;
    expect(() => png.decode(damaged)).toThrow(/^Png\.signature at byte 0: found 00 50 .*, expected 89 50/);

    const zip = codec(Zip).decode(FORMATS[1]?.[3]() ?? new Uint8Array(0));
    expect(zip.parts.map((part) => [part.body.arm, part.body.value])).toMatchObject([
      ['local', { name: 'a.txt', size: 1000 }],
      ['local', { name: 'd/ä.bin' }],
      ['central', { name: 'a.txt' }],
      ['central', {}],
      ['end', { all: 2, comment: 'the end' }],
    ]);
  });
});

describe('parts that vary', () => {
  it('stand elsewhere, end with a byte, with the rest, or by another tag', () => {
    const At = struct('At', { at: u16, words: pointedTo('at', array(u8)), tail: bytesUntil(0x0a) });
    const bytes9 = Uint8Array.of(6, 0, 0x61, 0x62, 0x0a, 0xee, 1, 2, 3);
    const value = codec(At).decode(bytes9);
    expect(value).toEqual({ at: 6, words: [1, 2, 3], tail: Uint8Array.of(0x61, 0x62) });
    expect(Buffer.from(codec(At).encode({ words: [1, 2, 3], tail: value.tail })).toString('hex')).toBe(
      '0500' + '61620a' + '010203',
    );
    const Any = struct('Any', {
      kind: u8,
      body: tagged('Any_body', 'kind', { one: [1, u8], other: ['otherwise', array(u16)] }),
    });
    expect(codec(Any).decode(Uint8Array.of(9, 1, 0, 2, 0))).toEqual({ kind: 9, body: { arm: 'other', value: [1, 2] } });
    expect(Buffer.from(codec(Any).encode({ body: { arm: 'one', value: 7 } })).toString('hex')).toBe('0107');
    expect(() => codec(Any).encode({ kind: 1, body: { arm: 'other', value: [] } })).toThrow(/one that no arm has/);
    const Ends = struct('Ends', {
      kind: u8,
      body: tagged('Ends_body', 'kind', { small: [1, u8], large: [2, array(u8, 4)] }),
    });
    expect(codec(Ends).decode(Uint8Array.of(1, 0x34)).body.value).toBe(0x34);
    expect(() => codec(Ends).decode(Uint8Array.of(2, 0x34))).toThrow(/needs 5 bytes, 2 are there/);
  });

  const Loop = struct('Loop', { next: u8, to: pointedTo('next', u8) });
  const deep = Array.from({ length: 300 }).reduce<Type>(
    (inner, _, index) => struct(`L${index}`, { n: u8, a: array(inner, 'n') }),
    Loop,
  );
  it.for<[about: string, type: Type, bytes: Uint8Array, code: string]>([
    [
      'a count beyond the bytes',
      struct('S', { n: u32, a: array(u32, 'n') }),
      Uint8Array.of(255, 255, 255, 255, 0),
      'LAYOUT_TRUNCATED',
    ],
    [
      'a count of what has no bytes',
      struct('S', { n: u32, a: array(struct('E', {}), 'n') }),
      Uint8Array.of(255, 255, 255, 255),
      'LAYOUT_UNSUPPORTED',
    ],
    ['a list of what has no bytes', struct('S', { a: array(struct('E', {})) }), Uint8Array.of(1), 'LAYOUT_UNSUPPORTED'],
    ['types without end inside each other', deep, new Uint8Array(1000).fill(1), 'LAYOUT_CYCLE'],
    ['a length beyond the bytes', struct('S', { n: u8, a: bytesOf('n') }), Uint8Array.of(9, 1), 'LAYOUT_TRUNCATED'],
    ['a terminator that is not there', struct('S', { a: bytesUntil(0) }), Uint8Array.of(1, 2), 'LAYOUT_TRUNCATED'],
    ['an offset outside', Loop, Uint8Array.of(9), 'LAYOUT_TRUNCATED'],
  ])('are bounded: %s', ([, type, memory, code]) => {
    const started = performance.now();
    expect(() => codec<unknown>(type).decode(memory)).toThrow(expect.objectContaining({ code }));
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
