import { describe, expect, it } from 'vitest';
import type { Interface, NamedDescription } from '../emit/emitter.js';
import {
  array,
  bitStruct,
  bytes,
  defineEnum,
  i32,
  integral,
  struct,
  tagged,
  u16,
  u32,
  u64,
  u8,
  uint,
  union,
} from '../layout/index.js';
import { declareCompatible, diffInterfaces } from './diff.js';

function unit(types: readonly NamedDescription[], rest: Partial<Interface> = {}): Interface {
  return { title: 'test', regions: [], constants: [], sets: [], types, ...rest };
}

const base = struct('S', { a: u32, b: u16, pad: { type: u16, value: 0 }, c: u64 });

function found(newer: NamedDescription): readonly string[] {
  const { level, changes } = diffInterfaces(unit([base]), unit([newer]));
  return [level, ...changes.map((item) => `${item.kind} ${item.path}`)];
}

describe('what became of a struct', () => {
  it('nothing', () => {
    expect(found(struct('S', { a: u32, b: u16, pad: { type: u16, value: 0 }, c: u64 }))).toEqual(['none']);
  });

  it('a field behind the last one is minor', () => {
    expect(found(struct('S', { ...specs, d: u64 }))).toEqual(['minor', 'appended S.d']);
  });

  it('a field in the place of zero padding is minor', () => {
    expect(found(struct('S', { a: u32, b: u16, d: u16, c: u64 }))).toEqual(['minor', 'filled S.d']);
  });

  it('a field between others moves them', () => {
    expect(found(struct('S', { a: u32, d: u64, b: u16, pad: { type: u16, value: 0 }, c: u64 }))).toEqual([
      'major',
      'retyped S.d',
      'moved S.b',
      'moved S.pad',
      'moved S.c',
    ]);
  });

  it('a narrower field is major although nothing else moves', () => {
    expect(found(struct('S', { a: u32, b: u8, rest: bytes(1), pad: { type: u16, value: 0 }, c: u64 }))).toEqual([
      'major',
      'narrowed S.b',
      'retyped S.rest',
    ]);
  });

  it('a field that went, one of another type and another constant are major', () => {
    expect(found(struct('S', { a: u32, b: u16, pad: { type: u16, value: 0 } }))[0]).toBe('major');
    expect(found(struct('S', { a: u32, b: u16, pad: { type: u16, value: 0 }, c: array(u32, 2) }))).toEqual([
      'major',
      'retyped S.c',
    ]);
    expect(found(struct('S', { a: u32, b: u16, pad: { type: u16, value: 7 }, c: u64 }))).toEqual([
      'major',
      'changed S.pad',
    ]);
  });

  it('a renamed field is one that went', () => {
    expect(found(struct('S', { a: u32, b: u16, pad: { type: u16, value: 0 }, e: u64 }))[0]).toBe('major');
  });
});

const specs = { a: u32, b: u16, pad: { type: u16, value: 0 }, c: u64 };

describe('what became of the rest', () => {
  it('an array that grows, inside another struct, moves what follows', () => {
    const before = struct('Outer', { list: array(u32, 2), end: u32 });
    const after = struct('Outer', { list: array(u32, 3), end: u32 });
    const { level, changes } = diffInterfaces(unit([before]), unit([after]));
    expect(level).toBe('major');
    expect(changes.map((item) => item.path)).toContain('Outer.end');
  });

  it('slices of an integer that change their widths are major', () => {
    const before = integral('W', u16, { hi: uint(4), lo: uint(12) });
    const after = integral('W', u16, { hi: uint(6), lo: uint(10) });
    expect(diffInterfaces(unit([before]), unit([after]))).toMatchObject({
      level: 'major',
      changes: [
        { kind: 'widened', path: 'W.hi' },
        { kind: 'moved', path: 'W.lo' },
        { kind: 'narrowed', path: 'W.lo' },
      ],
    });
  });

  it('new names are minor, other values and lost names are major', () => {
    const sets = [defineEnum('Kind', '', { A: [1, ''], B: [2, ''] })];
    const more = [defineEnum('Kind', '', { A: [1, ''], B: [2, ''], C: [3, ''] })];
    const other = [defineEnum('Kind', '', { A: [1, ''], B: [4, ''] })];
    expect(diffInterfaces(unit([], { sets }), unit([], { sets: more })).level).toBe('minor');
    expect(diffInterfaces(unit([], { sets }), unit([], { sets: other })).level).toBe('major');
    expect(diffInterfaces(unit([], { sets: more }), unit([], { sets })).changes).toEqual([
      { level: 'major', kind: 'removed', path: 'Kind.C', text: 'was a name' },
    ]);
  });

  it('constants and regions that change are major, the version numbers themselves are not', () => {
    const constants = (size: number, minor: number): Partial<Interface> => ({
      constants: [
        { name: 'SIZE', value: size },
        { name: 'ABI_VERSION_MINOR', value: minor },
      ],
    });
    expect(diffInterfaces(unit([], constants(1, 0)), unit([], constants(1, 1))).level).toBe('none');
    expect(diffInterfaces(unit([], constants(1, 0)), unit([], constants(2, 0))).level).toBe('major');
    const region = { name: 'ring', start: 0x1000, size: 4096, protection: 'rw', doc: '' } as const;
    const moved = diffInterfaces(
      unit([], { regions: [region] }),
      unit([], { regions: [{ ...region, start: 0x2000 }] }),
    );
    expect(moved.changes).toMatchObject([{ kind: 'moved', path: 'ring', text: 'from 0x1000 to 0x2000' }]);
  });
});

describe('what no field of a type shows', () => {
  const half = { a: u16, b: u16 };
  const arms = { one: [1, u32], two: [2, u16] } as const;
  const nibbles = (big: number) =>
    bitStruct('L', {
      a: { type: uint(4), label: { little: 0, big } },
      b: { type: uint(4), label: { little: 4, big: 4 - big } },
    });
  it.for<[what: string, older: NamedDescription, newer: NamedDescription, change: string]>([
    ['sign of a container', integral('I', u32, half), integral('I', i32, half), 'retyped I'],
    [
      'byte order of a container',
      integral('I', u32, half),
      integral('I', uint(32, { endian: 'big' }), half),
      'retyped I',
    ],
    ['width of a container', integral('I', u32, half), integral('I', u64, { ...half, c: u32 }), 'retyped I'],
    ['place of a tag', tagged('T', 'head.kind', arms), tagged('T', 'head.other', arms), 'changed T'],
    ['start of the tail', struct('S', half, { tail: 'b' }), struct('S', half), 'changed S'],
    ['alignment', struct('S', half), struct('S', half, { packing: 'packed' }), 'changed S'],
    ['label in the other byte order', nibbles(4), nibbles(0), 'moved L.a'],
  ])('the %s is major', ([, older, newer, expected]) => {
    const { level, changes } = diffInterfaces(unit([older]), unit([newer]));
    expect(level).toBe('major');
    expect(changes.map((item) => `${item.kind} ${item.path}`)).toContain(expected);
  });

  it('a second arm is as minor as a third', () => {
    const level = (older: NamedDescription, newer: NamedDescription) =>
      diffInterfaces(unit([older]), unit([newer])).level;
    expect(level(union('U', { a: u32 }), union('U', { a: u32, b: u16 }))).toBe('minor');
    expect(level(tagged('T', 'k', { one: arms.one }), tagged('T', 'k', arms))).toBe('minor');
  });
});

describe('what maintainers declare compatible', () => {
  const older = struct('Head', { a: u32, flags: u16, b: u16 });
  const newer = struct('Head', { a: u32, flags: u8, b: u16 });
  const found = diffInterfaces(unit([older]), unit([newer]));

  it('counts as minor and stays in the list, field by field or as a whole', () => {
    expect(found.level).toBe('major');
    const paths = found.changes.filter(({ level }) => level === 'major').map(({ path }) => path);
    expect(paths).toContain('Head.flags');
    const some = declareCompatible(found, ['Head.flags']);
    expect(some.level).toBe(paths.every((path) => path === 'Head.flags') ? 'minor' : 'major');
    expect(some.changes).toHaveLength(found.changes.length);
    expect(some.changes.find(({ path }) => path === 'Head.flags')).toMatchObject({ level: 'minor', compatible: true });
    const all = declareCompatible(found, ['Head']);
    expect(all.level).toBe('minor');
    expect(all.changes.map(({ text }) => text).join()).toContain('(declared compatible)');
    expect(declareCompatible(found, [])).toEqual(found);
  });

  it.each(['Head.none', 'Hea', 'Head.a', ''])('is refused where nothing major happened: %j', (path) => {
    expect(() => declareCompatible(found, [path])).toThrow(expect.objectContaining({ code: 'LAYOUT_NAME', path }));
  });
});
