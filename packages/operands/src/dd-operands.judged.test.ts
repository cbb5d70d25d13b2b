import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { QEMU_IMG, requireJudge } from '../../../tests/support/judge.js';
import { parseDd } from './dd-operands.js';
import { OperandError } from './errors.js';

const FILES = ['if=in.raw', 'of=out.raw'];

describe('tokens, judged by qemu-img dd', () => {
  let directory: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'instar-tokens-'));
    writeFileSync(join(directory, 'in.raw'), new Uint8Array(4096));
  });

  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  function judge(tokens: readonly string[]): string {
    const run = spawnSync('qemu-img', ['dd', ...tokens], { cwd: directory, encoding: 'utf8' });
    if (/usage:/i.test(run.stdout)) return 'help';
    return run.status === 0 ? 'dd' : 'refused';
  }

  function ours(tokens: readonly string[]): string {
    try {
      return parseDd(tokens).kind;
    } catch (error) {
      if (error instanceof OperandError) return 'refused';
      throw error;
    }
  }

  it.for<string[][]>([
    // Operands
    [FILES],
    [[]],
    [['if=in.raw']],
    [['of=out.raw']],
    [['if=', 'of=out.raw']],
    [['if=in.raw', 'of=']],
    [['if=', ...FILES]],
    [['if=a=b', ...FILES]],
    [['bs', ...FILES]],
    [['=1', ...FILES]],
    [['', ...FILES]],
    [['-', ...FILES]],
    [['BS=1', ...FILES]],
    [['obs=1', ...FILES]],
    // Numbers
    [['bs=0', ...FILES]],
    [['bs=0', 'bs=512', ...FILES]],
    [['bs=', ...FILES]],
    [['bs=1k', 'count=3', 'skip=1', ...FILES]],
    [['bs= +1k', ...FILES]],
    [['bs=1k ', ...FILES]],
    [['bs=2147483647', ...FILES]],
    [['bs=2147483648', ...FILES]],
    [['bs=-1', ...FILES]],
    [['count=-1', ...FILES]],
    [['count=', ...FILES]],
    [['skip=9223372036854775807', ...FILES]],
    [['skip=9223372036854775808', ...FILES]],
    [['count=0', ...FILES]],
    // Options
    [['-f', 'raw', '-O', 'raw', '-U', ...FILES]],
    [['-fraw', '-Oraw', ...FILES]],
    [['-Ufraw', ...FILES]],
    [['-Uf', 'raw', ...FILES]],
    [[...FILES, '-f', 'raw']],
    [['--', ...FILES]],
    [['--', ...FILES, '-f', 'raw']],
    [[...FILES, '--', 'bs=1k']],
    [['--', '--', ...FILES]],
    [['--force-share', ...FILES]],
    [['--force-', ...FILES]],
    [['--force-share=1', ...FILES]],
    [['-O', 'zip', ...FILES]],
    [['-O', 'zip', '-O', 'raw', ...FILES]],
    [['-O', '', ...FILES]],
    [['-O', 'RAW', ...FILES]],
    [['-f', '', ...FILES]],
    [['-f', 'zip', '-f', 'raw', ...FILES]],
    [[...FILES, '-f']],
    [['-x', ...FILES]],
    [['--nonsense', ...FILES]],
    [['--U', ...FILES]],
    [['---', ...FILES]],
    // Help
    [['-h']],
    [['--help']],
    [['--hel']],
    [['nonsense', '-Uh', '--nonsense']],
    [['--nonsense', '--help']],
  ])('agree on %j', ([tokens = []], context) => {
    requireJudge(context, QEMU_IMG);
    expect(ours(tokens)).toBe(judge(tokens));
  });
});
