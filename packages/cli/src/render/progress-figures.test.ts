import { expect, it } from 'vitest';
import { duration, figuresLine, figuresOf, roomOf } from './progress-figures.js';

const GIB = 1n << 30n;

it('says how much is done, how fast, and how long the rest takes at that pace', () => {
  const figures = figuresOf(GIB, 4n * GIB, 10);
  expect(figures).toEqual({ done: GIB, total: 4n * GIB, bytesPerSecond: 107_374_182, secondsLeft: 31 });
  expect(figuresLine(figures, 'wide')).toBe('25.0 %, 1 GiB of 4 GiB, 102 MiB/s, 31 s left');
  expect(figuresLine(figures, 'narrow')).toBe('25.0 %, 31 s left');
  expect(figuresLine(figures, 'tiny')).toBe('25.0 %');
});

it('promises nothing where the pace or the end is not known', () => {
  expect(figuresLine(figuresOf(0n, GIB, 3), 'wide')).toBe('0.0 %, 0 B of 1 GiB, 0 B/s');
  expect(figuresLine(figuresOf(GIB, 0n, 2), 'wide')).toBe('1 GiB, 512 MiB/s');
  expect(figuresLine(figuresOf(GIB, 0n, 2), 'tiny')).toBe('1 GiB');
  expect(figuresOf(2n * GIB, GIB, 1).secondsLeft).toBeUndefined();
});

it.each([
  [0, '0 s'],
  [59, '59 s'],
  [60, '1 min 0 s'],
  [3599, '59 min 59 s'],
  [3600, '1 h 0 min'],
  [100_000, '27 h 46 min'],
])('says %d seconds as people do', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

it('leaves out what does not fit a terminal', () => {
  const widest = figuresLine(figuresOf(1023n << 40n, 1023n << 41n, 1e6), 'wide');
  expect(widest.length).toBeLessThan(64);
  expect([80, 64, 63, 30, 29, 1].map(roomOf)).toEqual(['wide', 'wide', 'narrow', 'narrow', 'tiny', 'tiny']);
});
