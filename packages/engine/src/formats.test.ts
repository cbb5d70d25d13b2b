import { expect, it } from 'vitest';
import { listed } from './formats.js';

it.for<[names: string[], text: string]>([
  [[], ''],
  [['a'], 'a'],
  [['a', 'b'], 'a and b'],
  [['a', 'b', 'c'], 'a, b and c'],
])('%j in a sentence', ([names, text]) => {
  expect(listed(names)).toBe(text);
});
