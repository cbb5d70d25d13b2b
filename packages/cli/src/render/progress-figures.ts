import { humanSize } from './size.js';

/** How far an operation is, and how fast. */
export interface ProgressFigures {
  /** Bytes that are done. */
  readonly done: bigint;
  /** Bytes in all; 0 where that is not known. */
  readonly total: bigint;
  /** Bytes a second, on average. */
  readonly bytesPerSecond: number;
  /** Seconds that are left at that pace; undefined where that is not known. */
  readonly secondsLeft: number | undefined;
}

/** The figures after so many seconds. */
export function figuresOf(done: bigint, total: bigint, seconds: number): ProgressFigures {
  const bytesPerSecond = Math.round(Number(done) / Math.max(seconds, 0.001));
  const known = total > 0n && done <= total && bytesPerSecond > 0;
  const secondsLeft = known ? Math.ceil(Number(total - done) / bytesPerSecond) : undefined;
  return { done, total, bytesPerSecond, secondsLeft };
}

/** Seconds as people say them: `42 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

/** What a line has room for. */
export type Room = 'wide' | 'narrow' | 'tiny';

/** How much fits a terminal of so many columns. */
export function roomOf(columns: number): Room {
  if (columns < 30) return 'tiny';
  return columns < 64 ? 'narrow' : 'wide';
}

/** The figures in one line: the percentage first, the time that is left last; what does not fit is left out in between. */
export function figuresLine({ done, total, bytesPerSecond, secondsLeft }: ProgressFigures, room: Room): string {
  const rate = `${humanSize(BigInt(bytesPerSecond))}/s`;
  if (total === 0n) return room === 'tiny' ? humanSize(done) : `${humanSize(done)}, ${rate}`;
  const percent = `${((Number(done) / Number(total)) * 100).toFixed(1)} %`;
  const left = secondsLeft === undefined ? [] : [`${duration(secondsLeft)} left`];
  const amount = `${humanSize(done)} of ${humanSize(total)}`;
  return { tiny: [percent], narrow: [percent, ...left], wide: [percent, amount, rate, ...left] }[room].join(', ');
}
