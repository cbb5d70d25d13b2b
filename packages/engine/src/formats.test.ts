import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { listed, READABLE_FORMATS } from './formats.js';

it('the formats that are read are those of the table of drivers', () => {
  const table = new URL('../../convert-guest/crates/image-formats/src/driver.rs', import.meta.url);
  const lines = readFileSync(table, 'utf8').matchAll(/^ {4}(\w+) => crate::/gm);
  const drivers = Array.from(lines, ([, name = '']) => name.toLowerCase());
  expect([...READABLE_FORMATS].sort()).toEqual(drivers.sort());
});

it.for<[names: string[], text: string]>([
  [[], ''],
  [['a'], 'a'],
  [['a', 'b'], 'a and b'],
  [['a', 'b', 'c'], 'a, b and c'],
])('%j in a sentence', ([names, text]) => {
  expect(listed(names)).toBe(text);
});
