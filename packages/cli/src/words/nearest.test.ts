import fc from 'fast-check';
import { expect, it } from 'vitest';
import { nearest } from './nearest.js';

const COMMANDS = ['dd', 'info', 'map', 'check', 'compare', 'measure', 'convert', 'create', 'doctor'];

it.each([
  ['inof', 'info'],
  ['INFO', 'info'],
  ['convrt', 'convert'],
  ['cehck', 'check'],
  ['creat', 'create'],
  ['meas', 'measure'],
  ['ddd', 'dd'],
])('%s was meant to be %s', (word, meant) => {
  expect(nearest(word, COMMANDS)).toBe(meant);
});

it.each(['xyzzy', '', 'c', 'co', 'list', 'frobnicate'])('of %j nothing is guessed', (word) => {
  expect(nearest(word, COMMANDS)).toBeUndefined();
});

it('one letter too many, too few or another is always found', () => {
  const edited = fc.tuple(
    fc.constantFrom(...COMMANDS.filter((name) => name.length > 3)),
    fc.nat(),
    fc.constantFrom('x', ''),
  );
  fc.assert(
    fc.property(edited, fc.boolean(), ([word, place, letter], replaces) => {
      const at = place % word.length;
      const typed = word.slice(0, at) + letter + word.slice(at + (replaces || letter === '' ? 1 : 0));
      expect(nearest(typed, COMMANDS)).toBe(word);
    }),
  );
});
