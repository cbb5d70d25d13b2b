import { expect, it } from 'vitest';
import { progressLine } from './progress-request.js';

it.each([
  [9n, 16n, '    (56.25/100%)'],
  [0n, 5n, '    (0.00/100%)'],
  [1n, 100_000n, '    (0.00/100%)'],
  [7n, 7n, '    (100.00/100%)'],
])('says of %d bytes of %d what qemu-img says', (done, total, line) => {
  expect(progressLine(done, total, 1)).toBe(line);
});

it('says what dd says where the end is not known', () => {
  expect(progressLine(2097152n, 0n, 2)).toBe('2097152 bytes (2 MiB) copied, 2.0 s, 1 MiB/s');
});
