import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { requireJudge, type Judge } from '../../../tests/support/judge.js';
import { array, codec, i32, integral, sized, struct, textUntil, u16, u32, u8, uint, variant } from '../src/index.js';
import { extractFile } from '../src/extract/index.js';

const GCC: Judge = { program: 'gcc', probe: ['--version'], package: 'gcc' };

// Linux, Documentation/bpf/btf.rst.
const none = struct('None', {});
const Member = struct('Member', { name: u32, type: u32, offset: u32 });
const Constant = struct('Constant', { name: u32, value: i32 });
const Parameter = struct('Parameter', { name: u32, type: u32 });
const Section = struct('Section', { type: u32, offset: u32, size: u32 });
const Members = array(Member, 'info.vlen');
const BtfType = struct('BtfType', {
  name: u32,
  info: integral('Info', u32, { flag: uint(1), unused: uint(2), kind: uint(5), reserved: uint(8), vlen: uint(16) }),
  size_or_type: u32,
  body: variant('body', 'info.kind', {
    integer: [1, u32],
    array: [3, struct('Array', { type: u32, index: u32, count: u32 })],
    struct: [4, struct('Struct', { members: Members })],
    union: [5, struct('Union', { members: Members })],
    enumeration: [6, struct('Enumeration', { constants: array(Constant, 'info.vlen') })],
    prototype: [13, struct('Prototype', { parameters: array(Parameter, 'info.vlen') })],
    variable: [14, u32],
    section: [15, struct('Datasec', { variables: array(Section, 'info.vlen') })],
    other: ['otherwise', none],
  }),
});
const Btf = struct('Btf', {
  magic: { type: u16, value: 0xeb9f },
  version: { type: u8, value: 1 },
  flags: u8,
  header_length: { type: u32, value: 24 },
  types_offset: { type: u32, value: 0 },
  types_length: u32,
  strings_offset: u32,
  strings_length: u32,
  types: sized('types_length', array(BtfType)),
  strings: sized('strings_length', array(textUntil())),
});

const SOURCE = `
enum colour { RED, GREEN = -7 };
union value { int whole; float part; };
struct point { int x, y; const char *name; union value values[3]; unsigned low : 3, high : 5; };
int (*handler)(struct point *, enum colour);
struct point origin;
int main(int count, char **words) { return handler(&origin, RED) + count + (words != 0); }
`;

const directory = mkdtempSync(join(tmpdir(), 'instar-btf-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

describe("a compiler's BTF", () => {
  it('comes back byte for byte, and says what the reader of types says', (context) => {
    requireJudge(context, GCC);
    const [source, object, section] = ['a.c', 'a.o', 'a.btf'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(source, SOURCE);
    execFileSync('gcc', ['-gbtf', '-c', '-o', object, source]);
    execFileSync('objcopy', [
      '-O',
      'binary',
      '--only-section=.BTF',
      '--set-section-flags',
      '.BTF=alloc',
      object,
      section,
    ]);
    const file = readFileSync(section);
    const { decode, encode } = codec(Btf);
    const value = decode(file);
    expect(value.types.length).toBeGreaterThan(10);
    expect(Buffer.from(encode(value)).equals(file)).toBe(true);
    // What follows from the rest may be left out.
    const { magic, version, flags, header_length, strings_offset, types, strings } = value;
    const short = { magic, version, flags, header_length, strings_offset, types, strings };
    expect(Buffer.from(encode(short)).equals(file)).toBe(true);

    const nameAt = (offset: number): string => {
      const text = file.subarray(24 + value.strings_offset + offset);
      return text.subarray(0, text.indexOf(0)).toString();
    };
    const point = value.types.find(({ name, info }) => info.kind === 4 && nameAt(name) === 'point');
    const members = point?.body.arm === 'struct' ? point.body.value.members : [];
    const [extracted] = extractFile({ file: object, types: ['struct point'] }).types;
    expect(point?.size_or_type).toBe(extracted?.size);
    expect(members.map(({ name }) => nameAt(name))).toEqual(extracted?.fields?.map(({ name }) => name));
    const places = members.map(({ offset }) => (point?.info.flag === 1 ? offset & 0xff_ffff : offset));
    expect(places).toEqual(extracted?.fields?.map(({ bitOffset }) => bitOffset));
  });
});
