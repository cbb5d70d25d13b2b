import { describe, expect, it } from 'vitest';
import { generateDecode, generateEncode, type Decode, type Encode } from '../src/codec/generate.js';
import { readValue, writeValue } from '../src/codec/interpret.js';
import { byteSize, resolve, s390x, x86_64 } from '../src/index.js';
import { RandomTypes } from './support/random-types.js';

const CASES = Number(process.env['INSTAR_CASES'] ?? 400);
const SEED = Number(process.env['INSTAR_SEED'] ?? 20_260_101);

describe('compiled codecs', () => {
  it(`read and write what the interpreter does, ${CASES} random types in both byte orders`, () => {
    let slow = 0;
    for (let index = 0; index < CASES; index += 1) {
      const types = new RandomTypes(SEED + index);
      const type = types.type();
      for (const target of [x86_64, s390x]) {
        const layout = resolve(type, target);
        const about = `INSTAR_SEED=${SEED + index} ${target.name}`;
        const size = byteSize(layout);
        const offset = types.random.below(9);
        const bytes = types.random.bytes(offset + size);
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        const expected = readValue(layout, view, offset * 8, 'x');
        const interpret: Decode = (...place) => {
          slow += 1;
          return readValue(layout, place[0], place[1] * 8, 'x');
        };
        expect(generateDecode(layout, interpret, true)(view, offset), about).toEqual(expected);

        const [compiled, interpreted] = [new Uint8Array(offset + size), new Uint8Array(offset + size)];
        const refuse: Encode = () => {
          throw new Error('a value that was just decoded was refused');
        };
        generateEncode(layout, refuse)(new DataView(compiled.buffer), offset, expected);
        writeValue(layout, new DataView(interpreted.buffer), offset * 8, expected, 'x');
        expect(Buffer.from(compiled).equals(Buffer.from(interpreted)), about).toBe(true);
        expect(readValue(layout, new DataView(compiled.buffer), offset * 8, 'x'), about).toEqual(expected);
      }
    }
    expect(slow).toBe(0);
  });
});
