// Verdicts that only some checks decide.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkSafety, closePool, create, inspect, inspectEach, SAFETY_CHECKS } from '@instar/engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const directory = mkdtempSync(join(tmpdir(), 'instar-required-'));
const overlay = join(directory, 'top.qcow2');
const text = join(directory, 'text.qcow2');

beforeAll(async () => {
  writeFileSync(join(directory, 'base.raw'), Buffer.alloc(1 << 20));
  await create(overlay, undefined, { format: 'qcow2', backing: { file: 'base.raw', format: 'raw' } });
  writeFileSync(text, 'QFI\xfb is no image', 'latin1');
});

afterAll(async () => {
  await closePool();
  rmSync(directory, { recursive: true });
});

describe('inspect with required checks', () => {
  it('is safe where those pass, and tells of the others all the same', async () => {
    const all = await inspect(overlay);
    expect(all.verdict.safe).toBe(false);
    const require = SAFETY_CHECKS.filter((name) => name !== 'backing-file');
    const { verdict } = await inspect(overlay, { require });
    expect(verdict).toEqual({ ...all.verdict, safe: true });
    expect(verdict.checks.find(({ name }) => name === 'backing-file')?.status).toBe('fail');
    await expect(checkSafety(overlay, { require: ['backing-file'] })).resolves.toMatchObject({ safe: false });
  });

  it('takes what could not be looked at for not passed', async () => {
    const { verdict, description } = await inspect(text, { require: ['encrypted'] });
    expect([verdict.safe, description]).toEqual([false, undefined]);
  });

  it('holds for many images', async () => {
    const safe: boolean[] = [];
    for await (const { value } of inspectEach([overlay, text], { require: ['dirty-bit'] })) {
      safe.push(value?.verdict.safe ?? true);
    }
    expect(safe).toEqual([true, false]);
  });

  it.each([[[]], [['no-such-check']], ['structure']])('refuses %j', async (require) => {
    const options = { require } as unknown as { require: [] };
    await expect(inspect(overlay, options)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  });
});
