import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readValue, writeValue } from '../src/codec/interpret.js';
import {
  aarch64_be,
  bitStruct,
  byteSize,
  codec,
  i386,
  LayoutError,
  resolve,
  s390x,
  x86_64,
  type Type,
} from '../src/index.js';
import { anyType, gaplessType, valuesOf } from './support/arbitraries.js';

const RUNS = Number(process.env['INSTAR_CASES'] ?? 400);
const TARGETS = [x86_64, i386, s390x, aarch64_be];

const anyValue = anyType.chain((type) => fc.tuple(fc.constant(type), valuesOf(type)));

describe('any layout', () => {
  it('gives back every value that it was given, compiled and interpreted, at any bit', () => {
    fc.assert(
      fc.property(anyValue, fc.constantFrom(...TARGETS), fc.nat(7), ([type, value], target, bit) => {
        const compiled = codec<unknown>(type, target);
        // The first calls are interpreted, the others compiled.
        for (let round = 0; round < 4; round += 1) expect(compiled.decode(compiled.encode(value))).toEqual(value);
        const layout = resolve(type, target);
        const memory = new DataView(new ArrayBuffer(byteSize(layout) + 2));
        // C's bit fields begin with a byte.
        const at =
          target.endian === 'big' || type.kind === 'integral' || ('packing' in type && type.packing === 'bits')
            ? bit
            : 0;
        writeValue(layout, memory, at, value, 'x');
        expect(readValue(layout, memory, at, 'x')).toEqual(value);
      }),
      { numRuns: RUNS },
    );
  });

  it('gives back every byte where it has no padding', () => {
    const bytesOf = (type: Type): fc.Arbitrary<Uint8Array> => {
      const size = byteSize(resolve(type, x86_64));
      return fc.uint8Array({ minLength: size, maxLength: size });
    };
    fc.assert(
      fc.property(
        gaplessType
          .filter((type) => resolve(type, x86_64).bits % 8 === 0)
          .chain((type) => fc.tuple(fc.constant(type), bytesOf(type))),
        fc.constantFrom(x86_64, s390x),
        ([type, bytes], target) => {
          const compiled = codec<unknown>(type, target);
          expect(compiled.encode(compiled.decode(bytes))).toEqual(new Uint8Array(bytes));
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('decodes any bytes, or says what is wrong with them', () => {
    const bytes = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(anyType, bytes, fc.constantFrom(...TARGETS), (type, memory, target) => {
        const compiled = codec<unknown>(type, target);
        try {
          compiled.decode(memory);
        } catch (error) {
          if (!(error instanceof LayoutError)) throw error;
          expect(error.code).toMatch(/^LAYOUT_(TRUNCATED|VALUE|TAG)$/);
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('refuses a value that is one beyond the end of its field, and names the field', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), fc.boolean(), fc.boolean(), (bits, signed, above) => {
        const wide = bits > 32;
        const low = signed ? -(1n << BigInt(bits - 1)) : 0n;
        const high = low + (1n << BigInt(bits)) - 1n;
        const beyond = above ? high + 1n : low - 1n;
        const type = { ...FIELD, bits, signed };
        const outer = { ...OUTER, fields: [{ ...OUTER.fields[0], type }] } as Type;
        const encode = (): unknown => codec<unknown>(outer).encode({ a: wide ? beyond : Number(beyond) });
        expect(encode).toThrow(expect.objectContaining({ code: 'LAYOUT_RANGE', path: 'Outer.a' }));
      }),
      { numRuns: RUNS },
    );
  });
});

const FIELD = { kind: 'integer' as const, bits: 1, signed: false };
const OUTER = bitStruct('Outer', { a: FIELD });
