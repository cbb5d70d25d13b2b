import { statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { judgeVersion, requireJudge } from '../../support/judge.js';
import { Workdir } from '../../support/workdir.js';
import { GUESTS, build } from './guest.js';
import { RunningGuest } from './machine.js';
import { PATTERN_LENGTH, pattern } from './pattern.js';
import { QmpError } from './qmp.js';

describe.each(GUESTS)('the $name guest in QEMU', (guest) => {
  let directory: Workdir;
  let running: RunningGuest | undefined;

  beforeAll(async () => {
    directory = new Workdir();
    if (!guest.judges.every((judge) => judgeVersion(judge) !== undefined)) return;
    running = await RunningGuest.start(build(guest, directory), directory);
  });

  afterAll(async () => {
    await running?.close();
    directory.remove();
  });

  it('writes the pattern and sets the registers that its source says', async (context) => {
    for (const judge of guest.judges) requireJudge(context, judge);
    if (running === undefined) throw new Error('not started');
    const memory = await running.memory({ start: guest.pattern, length: BigInt(PATTERN_LENGTH) });
    expect(memory.equals(pattern(guest.littleEndian))).toBe(true);
    expect(await running.registers()).toEqual(running.built.registers);
  });

  it('is dumped as ELF and as kdump, but not by halves of a filter', async (context) => {
    for (const judge of guest.judges) requireJudge(context, judge);
    if (running === undefined) throw new Error('not started');
    expect(await running.dumpFormats()).toEqual(expect.arrayContaining(['elf', 'kdump-zlib']));
    const total = (await running.blocks()).reduce((sum, block) => sum + block.length, 0n);

    const [elf, kdump] = [directory.file('dump.elf'), directory.file('dump.kdump')];
    await running.dump({ path: elf });
    expect(await running.dumpState()).toEqual({ status: 'completed', completed: Number(total), total: Number(total) });
    await running.dump({ path: kdump, format: 'kdump-zlib', detach: true });
    expect(await running.dumpState()).toMatchObject({ status: 'completed' });
    expect(statSync(elf).size).toBeGreaterThan(Number(total));
    expect(statSync(kdump).size).toBeLessThan(Number(total) / 8);
    await expect(running.dump({ path: directory.file('half'), begin: 0n })).rejects.toThrow(QmpError);
  });
});
