import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import { requireJudge, type Judge } from '../../../../tests/support/judge.js';
import { TARGETS, type Target } from '../../src/index.js';

export const GCC: Judge = { program: 'gcc', probe: ['--version'], package: 'gcc' };
export const CLANG: Judge = { program: 'clang', probe: ['--version'], package: 'clang' };
export const RUSTC: Judge = { program: 'rustc', probe: ['--version'], package: 'rustc' };
const AARCH64: Judge = {
  program: 'aarch64-linux-gnu-gcc',
  probe: ['--version'],
  package: 'gcc-aarch64-linux-gnu',
};
const S390X: Judge = { program: 's390x-linux-gnu-gcc', probe: ['--version'], package: 'gcc-s390x-linux-gnu' };

/** A compiler for a target, the program behind it, and the flags by which a test calls it itself. */
export interface Asked {
  readonly compiler: 'gcc' | 'clang';
  readonly target: Target;
  readonly judge: Judge;
  readonly flags: readonly string[];
}

const GCC_FLAGS: Readonly<Record<string, readonly [Judge, ...string[]]>> = {
  x86_64: [GCC, '-m64'],
  i386: [GCC, '-m32'],
  aarch64: [AARCH64],
  aarch64_be: [AARCH64, '-mbig-endian'],
  s390x: [S390X],
};

/** What clang calls the targets whose name is not the first word of its own. */
const TRIPLES: Readonly<Record<string, string>> = {
  arm: 'arm-linux-gnueabihf',
  ppc: 'powerpc-linux-gnu',
  ppc64: 'powerpc64-linux-gnu',
  ppc64le: 'powerpc64le-linux-gnu',
  mips64: 'mips64-linux-gnuabi64',
  mips64el: 'mips64el-linux-gnuabi64',
  windows_x64: 'x86_64-w64-windows-gnu',
};

/** gcc for the targets of which this machine has one, clang for every target. */
export const ASKED: readonly Asked[] = TARGETS.flatMap((target): Asked[] => {
  const [judge, ...flags] = GCC_FLAGS[target.name] ?? [];
  const triple = TRIPLES[target.name] ?? `${target.name}-linux-gnu`;
  return [
    ...(judge === undefined ? [] : [{ compiler: 'gcc' as const, target, judge, flags }]),
    { compiler: 'clang', target, judge: CLANG, flags: [`--target=${triple}`] },
  ];
});

/** Types for each compiler and target, all others: INSTAR_CASES=2000 takes minutes for each. */
export const CASES = Number(process.env['INSTAR_CASES'] ?? 80);
export const SEED = Number(process.env['INSTAR_SEED'] ?? 20_260_214);

/** The seed of a target, so that none is asked what another was. */
export function seedOf(index: number): number {
  return SEED + 1000 * index;
}

/** Names the seed in whatever fails, so that the run can be repeated. */
export function about(asked: { readonly compiler: string; readonly target: Target }, what: string): string {
  return `INSTAR_SEED=${SEED} INSTAR_CASES=${CASES} ${asked.compiler} ${asked.target.name}: ${what}`;
}

/** Runs `body` with an empty folder, which is gone afterwards. */
export async function inFolder<T>(body: (folder: string) => Promise<T> | T): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'instar-compilers-'));
  try {
    return await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The errors of a C compiler about a header, empty where it accepts it with all assertions. Freestanding headers only. */
export function refusals(context: TestContext, asked: Asked, header: string): string {
  requireJudge(context, asked.judge);
  const args = [...asked.flags, '-std=c11', '-ffreestanding', '-Wall', '-Wextra', '-Wno-psabi', '-fsyntax-only'];
  const { status, stderr } = spawnSync(asked.judge.program, [...args, '-x', 'c', '-'], {
    input: header,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    // Notes about packed bit fields of gcc before 4.4 have no flag of their own.
    env: { ...process.env, LC_ALL: 'C' },
  });
  if (status === 0) return '';
  return stderr
    .split('\n')
    .filter((line) => line.includes('error'))
    .join('\n');
}

/** The errors of rustc about a file, empty where it accepts it with all assertions. */
export function rustRefusals(context: TestContext, source: string): Promise<string> {
  requireJudge(context, RUSTC);
  return inFolder((folder) => {
    const file = join(folder, 'emitted.rs');
    writeFileSync(file, source);
    const args = [
      '--edition',
      '2021',
      '--crate-type',
      'lib',
      '--emit=metadata',
      '--out-dir',
      folder,
      '--cap-lints',
      'allow',
    ];
    const { status, stderr } = spawnSync('rustc', [...args, file], { encoding: 'utf8', maxBuffer: 1 << 28 });
    if (status === 0) return '';
    return stderr === '' ? `exit ${String(status)}` : stderr;
  });
}
