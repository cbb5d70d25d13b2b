import { describe, expect, it } from 'vitest';

import { humanSize } from './size.js';

describe('humanSize', () => {
  it.for<[bytes: bigint, shown: string]>([
    [0n, '0 B'],
    [1n, '1 B'],
    [999n, '999 B'],
    [1000n, '0.977 KiB'],
    [1023n, '0.999 KiB'],
    [1024n, '1 KiB'],
    [1152n, '1.12 KiB'],
    [1157n, '1.13 KiB'],
    [197_120n, '192 KiB'],
    [198_144n, '194 KiB'],
    [1_048_576n, '1 MiB'],
    [1_572_864n, '1.5 MiB'],
    [64n << 30n, '64 GiB'],
    [(1n << 63n) - 1n, '8 EiB'],
  ])('%i is %s', ([bytes, shown]) => {
    expect(humanSize(bytes)).toBe(shown);
  });
});
