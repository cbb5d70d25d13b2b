import { describe, expect, it } from 'vitest';
import { assertAbi } from './assert.js';

describe('assertAbi', () => {
  it.each([
    ['1.2', '1.2', true],
    ['1.2', '1.5', true],
    ['^1.2', '1.1', false],
    ['1.2', '2.2', false],
    ['1.x', '1.0', true],
    ['1.x', '2.0', false],
    ['=1.2', '1.2', true],
    ['=1.2', '1.3', false],
    ['1.10', '1.9', false],
  ])('%s with ABI %s: %s', (range, version, fits) => {
    const check = (): void => {
      assertAbi(range, version);
    };
    if (fits) expect(check).not.toThrow();
    else expect(check).toThrow(expect.objectContaining({ code: 'ABI_VERSION', found: version, expected: range }));
  });

  it.each(['', '1', 'x.1', '1.2.3', '=1.x', '>=1.0'])('refuses the range %j', (range) => {
    expect(() => {
      assertAbi(range);
    }).toThrow(expect.objectContaining({ code: 'ABI_RANGE' }));
  });

  it('holds for the ABI of this package', () => {
    expect(() => {
      assertAbi('1.0');
    }).not.toThrow();
  });
});
