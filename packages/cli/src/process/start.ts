import { readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';

/** How the process was started, as far as node does not hide it. */
export interface Start {
  /** Signals that were ignored, which stay ignored. */
  readonly ignored: ReadonlySet<NodeJS.Signals>;
  /** Whether a standard stream was closed. Undefined where only a guess is possible: see {@link mayBeClosed}. */
  closed(fd: number): boolean | undefined;
}

/** Bit n - 1 stands for signal n. */
function signalsOf(mask: string): Set<NodeJS.Signals> {
  const bits = /^[0-9a-f]{1,16}$/i.test(mask) ? BigInt(`0x${mask}`) : 0n;
  const names = Object.entries(constants.signals) as [NodeJS.Signals, number][];
  return new Set(names.filter(([, number]) => ((bits >> BigInt(number - 1)) & 1n) === 1n).map(([name]) => name));
}

function ignoredBy(status: string): Set<NodeJS.Signals> {
  try {
    return signalsOf(/^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync(status, 'latin1'))?.[1] ?? '');
  } catch {
    // No /proc, or another user's process: nothing is known.
    return new Set();
  }
}

/**
 * Traces of ignored signals where node was started directly. A shell that ignores SIGHUP or SIGINT (`trap '' INT`) hands
 * that on to what it starts; a program inside system(3) ignores SIGINT and SIGQUIT together, and hands on neither.
 * nohup replaces itself, so that the one trace is the name under which the shell started it.
 */
function guessIgnored(): Set<NodeJS.Signals> {
  const parent = ignoredBy(`/proc/${process.ppid}/status`);
  const guess = new Set<NodeJS.Signals>();
  if (parent.has('SIGHUP') || process.env['_']?.endsWith('/nohup') === true) guess.add('SIGHUP');
  if (parent.has('SIGINT') && !parent.has('SIGQUIT')) guess.add('SIGINT');
  return guess;
}

/** @param told what the launcher in front of node saw: `ignored=<mask> closed=<fd>…` */
export function startOf(told: string | undefined): Start {
  const words = told?.split(' ').filter((word) => word !== '') ?? [];
  const mask = words.find((word) => word.startsWith('ignored='))?.slice('ignored='.length);
  if (mask === undefined) return { ignored: guessIgnored(), closed: () => undefined };
  return { ignored: signalsOf(mask), closed: (fd) => words.includes(`closed=${fd}`) };
}

/**
 * Whether a standard stream is what node opens in place of a closed one: /dev/null for reading and writing. Some programs
 * start others with such a stream on purpose.
 */
export function mayBeClosed(fd: number): boolean {
  try {
    if (readlinkSync(`/proc/self/fd/${fd}`) !== '/dev/null') return false;
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? '0';
    const ACCESS_MODE = 0o3;
    return (Number.parseInt(flags, 8) & ACCESS_MODE) === 0o2;
  } catch {
    return false;
  }
}
