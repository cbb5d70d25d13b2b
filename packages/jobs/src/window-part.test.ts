import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as Native from '@instar/vmm-native';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { TakenJob } from './queue.js';
import { holdPart, isPart, makePart, partOf, takeBack } from './window-part.js';

/** What happens while a worker stands still before it holds a part. */
let meanwhile = (): void => undefined;

vi.mock('@instar/vmm-native', async (original) => {
  const native = await original<typeof Native>();
  const after =
    (lock: (fd: number) => boolean) =>
    (fd: number): boolean => {
      meanwhile();
      return lock(fd);
    };
  return {
    ...native,
    lockForReading: after(native.lockForReading),
    lockForWriting: after(native.lockForWriting),
  };
});

const ID = 'ec5a1d22-0000-8000-8000-000000000000';
let directory: string;
let part: string;
let output: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'instar-part-'));
  output = join(directory, 'out.raw');
  part = partOf(output, ID);
});

afterEach(() => {
  meanwhile = () => undefined;
  rmSync(directory, { recursive: true });
});

describe('the name of a part', () => {
  it.each(['out.raw', 'ö'.repeat(127), '磁'.repeat(85), '💽'.repeat(63)])(
    'is one of at most 255 bytes: of %s',
    (name) => {
      const path = partOf(join(directory, name), ID);
      writeFileSync(path, '');
      expect(isPart(path)).toBe(true);
      // With what comes to it of an attempt.
      expect(Buffer.byteLength(path.slice(directory.length + 1))).toBeLessThanOrEqual(255 - 13);
    },
  );
});

describe('a part that has become the output', () => {
  it.each(['writing', 'finishing'] as const)('is not held by who was late: for %s', async (hold) => {
    writeFileSync(part, 'disk');
    meanwhile = () => {
      renameSync(part, output);
    };
    expect(await holdPart(part, hold)).toBeUndefined();
    expect(readFileSync(output, 'utf8')).toBe('disk');
  });

  it('is not held where another has been made meanwhile', async () => {
    writeFileSync(part, 'disk');
    meanwhile = () => {
      renameSync(part, output);
      writeFileSync(part, '');
    };
    expect(await holdPart(part, 'writing')).toBeUndefined();
  });

  it('is held where nothing happens', async () => {
    writeFileSync(part, 'disk');
    const file = await holdPart(part, 'finishing');
    expect(await file?.readFile('utf8')).toBe('disk');
    await file?.close();
  });
});

describe('a part that an attempt has made which was taken for gone', () => {
  function job(isOver: () => Promise<boolean>): TakenJob {
    return { isOver } as TakenJob;
  }

  async function made(): Promise<bigint> {
    const { file, made: number } = await makePart(part);
    await file.close();
    return number ?? 0n;
  }

  it('goes when its job has ended, be it that the queue is away for a while', async () => {
    const number = await made();
    let asked = 0;
    const over = async (): Promise<boolean> => {
      asked += 1;
      return asked === 1 ? Promise.reject(new Error('away')) : Promise.resolve(asked > 2);
    };
    await takeBack(part, number, job(over));
    expect(existsSync(part)).toBe(false);
    expect(asked).toBe(3);
  });

  it('stays where it is another one, which is nobody else’s to take', async () => {
    const number = await made();
    renameSync(part, output);
    writeFileSync(part, 'another');
    await takeBack(
      part,
      number,
      job(async () => Promise.resolve(true)),
    );
    expect(statSync(part).size).toBe(7);
  });

  it('is not one that there was before', async () => {
    await made();
    const second = await makePart(part);
    await second.file.close();
    expect(second.made).toBeUndefined();
  });
});
