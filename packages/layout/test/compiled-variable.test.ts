import { describe, expect, it } from 'vitest';
import { generator } from '../src/codec/generate.js';
import { interpretedCodec } from '../src/codec/interpreted.js';
import {
  array,
  arrayUntil,
  bytesOf,
  bytesUntil,
  codec,
  i8,
  LayoutError,
  optional,
  pointedTo,
  s390x,
  sized,
  struct,
  u32,
  u64,
  u8,
  variant,
  x86_64,
  type Codec,
  type Type,
} from '../src/index.js';
import { BAIL } from '../src/variable/compile.js';
import { compileRead } from '../src/variable/compile-read.js';
import { compileWrite } from '../src/variable/compile-write.js';
import { RandomVariable } from './support/random-variable.js';

const CASES = Number(process.env['INSTAR_CASES'] ?? 300);
const SEED = Number(process.env['INSTAR_SEED'] ?? 20_260_101);

/** A value, or all that an error says. */
function outcome(run: () => unknown): unknown {
  try {
    return { value: run() };
  } catch (error) {
    if (!(error instanceof LayoutError)) throw error;
    const { code, path, offset, message } = error;
    return { code, path, offset, message };
  }
}

/** The bytes of a value, or all that an error says. */
function written(made: Codec<unknown>, value: unknown): unknown {
  return outcome(() => Buffer.from(made.encode(value)).toString('hex'));
}

/** A codec that is compiled at once. */
function compiled<T>(...given: Parameters<typeof codec<T>>): Codec<T> {
  const made = codec<T>(...given);
  for (let turn = 0; turn < 2; turn += 1) {
    outcome(() => made.decode(new Uint8Array(0)));
    outcome(() => made.encode({} as never));
  }
  return made;
}

describe('compiled codecs of parts that vary', () => {
  it(
    `read and write what the interpreter does, ${CASES} random types in both byte orders`,
    { timeout: 3_600_000 },
    () => {
      const count = { types: 0, bails: 0, refused: 0, accepted: 0 };
      for (let index = 0; index < CASES; index += 1) {
        const made = new RandomVariable(SEED + index);
        const { random } = made;
        const { type, value } = made.struct(2, true);
        for (const target of [x86_64, s390x]) {
          const about = `INSTAR_SEED=${SEED + index} ${target.name}`;
          const slow = interpretedCodec(type, target);
          const fast = compiled(type, target);
          const given = value() as never;

          // The bytes of a value, and the value of these bytes. What has bytes elsewhere does not fill a part with a size.
          const bytes = slow.encode(given);
          expect(Buffer.from(fast.encode(given)).equals(bytes), about).toBe(true);
          const again = outcome(() => slow.decode(bytes)) as { readonly value?: object };
          expect(
            outcome(() => fast.decode(bytes)),
            about,
          ).toEqual(again);
          if (again.value === undefined) continue;
          const full = again.value as never;
          count.types += 1;
          expect(fast.decode(bytes), about).toEqual(full);
          expect(written(fast, full), about).toEqual(written(slow, full));

          // That was no work of the interpreter.
          try {
            const view = new DataView(bytes.buffer);
            const result = { next: 0 };
            expect(compileRead(type, target, generator(true), true)(view, 0, result), about).toEqual(full);
            expect(result.next, about).toBeLessThanOrEqual(bytes.length);
            const write = compileWrite(type, target, generator(true));
            expect(Buffer.from(write(given)).equals(bytes), about).toBe(true);
          } catch (error) {
            if (error === BAIL) count.bails += 1;
            else throw error;
          }

          // Other bytes: the same value or the same error, also where the value does not begin with the memory.
          for (let turn = 0; turn < 4; turn += 1) {
            const before = random.below(5);
            const changed = new Uint8Array(before + bytes.length - (turn === 3 ? random.below(bytes.length + 1) : 0));
            changed.set(bytes.subarray(0, changed.length - before), before);
            const at = before + random.below(Math.max(1, bytes.length));
            if (at < changed.length) changed[at] = random.pick([0, 1, 0xff, random.below(256)]);
            const expected = outcome(() => slow.decode(changed, before));
            expect(
              outcome(() => fast.decode(changed, before)),
              about,
            ).toEqual(expected);
            if (typeof expected === 'object' && expected !== null && 'value' in expected) count.accepted += 1;
            else count.refused += 1;
          }

          // Other values: something left out, of another type, or one too many.
          for (const wrong of [undefined, -1, 'text', [], { arm: 'none' }]) {
            const keys = Object.keys(full);
            const key = keys[random.below(keys.length)] ?? 'x';
            const other = { ...(full as object), [key]: wrong } as never;
            expect(written(fast, other), about).toEqual(written(slow, other));
          }
          const misspelt = { ...(given as object), nothing: 1 } as never;
          expect(written(fast, misspelt), about).toEqual(written(slow, misspelt));
        }
      }
      expect(count.bails, JSON.stringify(count)).toBeLessThan(count.types / 100);
      expect(count.refused).toBeGreaterThan(count.types / 4);
      expect(count.accepted).toBeGreaterThan(count.types / 4);
    },
  );

  it('are bounded as the interpreter is, and give its errors', () => {
    const Empty = struct('Empty', {});
    const Far = struct('Far', { at: u8, to: pointedTo('at', struct('In', { at: u8, to: pointedTo('at', u8) })) });
    const cases: readonly (readonly [type: Type, bytes: Uint8Array, code: string])[] = [
      [struct('S', { n: u32, a: array(u32, 'n') }), Uint8Array.of(255, 255, 255, 255, 0), 'LAYOUT_TRUNCATED'],
      [struct('S', { n: u32, a: array(Empty, 'n') }), Uint8Array.of(255, 255, 255, 255), 'LAYOUT_UNSUPPORTED'],
      [struct('S', { n: u32, a: array(bytesOf(0), 'n') }), Uint8Array.of(255, 255, 255, 255), 'LAYOUT_UNSUPPORTED'],
      [struct('S', { a: array(bytesOf(0)) }), Uint8Array.of(1), 'LAYOUT_UNSUPPORTED'],
      [struct('S', { n: u64, a: bytesOf('n') }), new Uint8Array(9).fill(255), 'LAYOUT_RANGE'],
      [struct('S', { n: i8, a: bytesOf('n') }), Uint8Array.of(255, 1), 'LAYOUT_RANGE'],
      [struct('S', { a: bytesUntil(0) }), Uint8Array.of(1, 2), 'LAYOUT_TRUNCATED'],
      [struct('S', { a: arrayUntil(bytesOf(0), () => false) }), Uint8Array.of(1, 2), 'LAYOUT_UNSUPPORTED'],
      [struct('S', { at: u8, a: pointedTo('at', bytesOf()) }), Uint8Array.of(9), 'LAYOUT_TRUNCATED'],
      [struct('S', { n: u8, a: sized('n', u8) }), Uint8Array.of(2, 1, 1), 'LAYOUT_SIZE'],
      [Far, Uint8Array.of(0), 'LAYOUT_CYCLE'],
    ];
    for (const [type, memory, code] of cases) {
      const started = performance.now();
      const fast = compiled<unknown>(type);
      expect(() => fast.decode(memory)).toThrow(expect.objectContaining({ code }));
      expect(outcome(() => fast.decode(memory))).toEqual(outcome(() => interpretedCodec(type).decode(memory)));
      expect(performance.now() - started).toBeLessThan(4000);
    }
  });

  it('make code of identifiers and numbers alone, whoever made the description', () => {
    const hostile = 'x;globalThis.pwned=1;//';
    const name = '"};globalThis.pwned=1;//\u2028';
    const arms = variant('body', 'kind', { [name]: [1, u8], other: ['otherwise', bytesOf()] } as const);
    const fast = compiled<unknown>(struct('S', { kind: u8, body: arms }));
    expect(fast.decode(Uint8Array.of(1, 7))).toEqual({ kind: 1, body: { arm: name, value: 7 } });
    expect([...fast.encode({ body: { arm: name, value: 7 } })]).toEqual([1, 7]);

    const list = (part: object): Type => ({ kind: 'variable', name: 'list', part }) as unknown as Type;
    const field = (key: string, type: Type): object => ({ name: key, type, doc: '' });
    const made = (...fields: object[]): Type =>
      ({ kind: 'struct', name: 'S', variable: true, fields, packing: 'natural' }) as unknown as Type;
    const n = field('n', u8);
    for (const type of [
      made(n, field(hostile, bytesOf('n'))),
      made(n, field('constructor', bytesOf('n'))),
      made(n, field('a', list({ form: 'list', element: u8, count: `n[${hostile}]` }))),
      made(n, field('a', list({ form: 'list', element: u8, count: { toString: () => hostile } }))),
      made(n, field('a', list({ form: 'run', terminator: hostile }))),
      made(n, field('a', list({ form: 'run', length: hostile }))),
      made(n, field('a', list({ form: 'align', to: hostile }))),
      made(n, field('a', list({ form: 'variant', by: 'n', arms: [{ name: 'x', tag: hostile, type: u8 }] }))),
      made({ ...n, value: hostile }, field('a', bytesOf('n'))),
    ]) {
      const odd = codec<unknown>(type);
      for (let turn = 0; turn < 4; turn += 1) {
        for (const run of [() => odd.decode(Uint8Array.of(1, 2, 3)), () => odd.encode({ n: 1 })]) {
          try {
            run();
          } catch {
            // What is wrong with them is found, or not; nothing of them becomes code.
          }
        }
      }
      expect(globalThis).not.toHaveProperty('pwned');
    }
  });

  it('stay small where types are in each other again and again', () => {
    const grown = Array.from({ length: 30 }).reduce<Type>(
      (inner, _, index) => struct(`L${index}`, { n: u8, a: array(inner, 'n'), m: u8, b: array(inner, 'm') }),
      u8,
    );
    const started = performance.now();
    const fast = compiled<unknown>(grown);
    expect(fast.decode(Uint8Array.of(1, 0, 0, 0))).toEqual({ n: 1, a: [{ n: 0, a: [], m: 0, b: [] }], m: 0, b: [] });
    expect(performance.now() - started).toBeLessThan(2000);
  });

  it('give windows of the memory where that is wished', () => {
    const Some = struct('Some', { n: u8, data: bytesOf('n') });
    const memory = Uint8Array.of(2, 5, 6);
    const windows = compiled(Some, x86_64, { copy: false });
    const copies = compiled(Some);
    const [window, copy] = [windows.decode(memory), copies.decode(memory)];
    memory[1] = 9;
    expect([[...window.data], [...copy.data]]).toEqual([
      [9, 6],
      [5, 6],
    ]);
  });

  it('can be called by what they call', () => {
    const Some: Type<{ readonly n: number; readonly data: Uint8Array; readonly more: number | undefined }> = struct(
      'Some',
      {
        n: u8,
        data: bytesOf('n'),
        more: optional(u8, (fields): boolean => {
          if (fields['n'] === 0) return false;
          return inner.encode({ data: new Uint8Array(0), more: undefined }).length === 1;
        }),
      },
    );
    const inner = compiled(Some);
    for (let turn = 0; turn < 4; turn += 1) {
      expect([...inner.encode({ data: Uint8Array.of(7), more: 8 })]).toEqual([1, 7, 8]);
    }
  });
});
