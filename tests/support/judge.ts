import { execFileSync } from 'node:child_process';
import type { TestContext } from 'vitest';

declare module 'vitest' {
  interface TaskMeta {
    /** Why a test was skipped; `npm test` lists these. */
    skipReason?: string;
  }
}

/** What a test needs from the machine, and how to get it there. */
export interface Judge {
  /** The program, as found on PATH. */
  readonly program: string;
  /** Arguments that make it print something and exit 0. */
  readonly probe: readonly string[];
  /** The Debian package that holds it. */
  readonly package: string;
}

export const QEMU_IMG: Judge = { program: 'qemu-img', probe: ['--version'], package: 'qemu-utils' };
/** Beside it, chattr comes with that package. */
export const FILEFRAG: Judge = { program: 'filefrag', probe: ['-V'], package: 'e2fsprogs' };
export const STRACE: Judge = { program: 'strace', probe: ['-V'], package: 'strace' };

const probed = new Map<string, string | undefined>();

/** What the judge prints about itself, or undefined where it is not installed. Asked once for each. */
export function judgeVersion(judge: Judge): string | undefined {
  // Two modules of Python are two judges of one program.
  const key = [judge.program, ...judge.probe].join('\0');
  if (!probed.has(key)) {
    let version: string | undefined;
    try {
      version = execFileSync(judge.program, judge.probe, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    } catch {
      version = undefined;
    }
    if (version?.includes('(instar ') === true) {
      throw new Error(
        `${judge.program} is this project's own, which judges nothing: take node_modules/.bin out of PATH`,
      );
    }
    probed.set(key, version);
  }
  return probed.get(key);
}

/**
 * Skips the running test, with its reason in the summary of `npm test`. Under CI=true nothing may be skipped for want of
 * a tool, so there it fails instead.
 */
export function skipLoudly(context: TestContext, reason: string): never {
  if (process.env['CI'] === 'true') throw new Error(`CI must not skip this test: ${reason}`);
  context.task.meta.skipReason = reason;
  return context.skip(reason);
}

/**
 * Skips the running test where this process may not do what it needs (mount, make a pid namespace, become another user).
 * Unlike a program, a right cannot be installed, so CI may lack it too: a container often does.
 */
export function skipWithoutRight(context: TestContext, reason: string): never {
  context.task.meta.skipReason = reason;
  return context.skip(reason);
}

/** Call first in a test that another program judges. */
export function requireJudge(context: TestContext, judge: Judge): void {
  if (judgeVersion(judge) === undefined) {
    skipLoudly(context, `${judge.program} is not installed (Debian: apt-get install ${judge.package})`);
  }
}
