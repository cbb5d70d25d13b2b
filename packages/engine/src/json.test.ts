import { expect, it } from 'vitest';
import { jsonOf, withJson } from './json.js';

it.each([
  [2n ** 53n - 1n, '9007199254740991'],
  [2n ** 53n, '"9007199254740992"'],
  [-(2n ** 63n), '"-9223372036854775808"'],
  [0n, '0'],
])('%d becomes %s', (value, text) => {
  expect(JSON.stringify(withJson({ value }))).toBe(`{"value":${text}}`);
});

it('leaves out what has no place in JSON, and shows bytes as digits', () => {
  expect(jsonOf({ a: undefined, b: () => 1, c: new Uint8Array([1, 255]), d: [null, true, 'x'] })).toEqual({
    c: '01ff',
    d: [null, true, 'x'],
  });
});

it('reaches every object of a result, and lists no field more', () => {
  const result = withJson([{ layer: { size: 2n ** 60n } }] as const);
  expect(JSON.stringify(result[0].layer)).toBe('{"size":"1152921504606846976"}');
  expect(Object.keys(result[0])).toEqual(['layer']);
  expect({ ...result[0].layer }).toEqual({ size: 2n ** 60n });
});
