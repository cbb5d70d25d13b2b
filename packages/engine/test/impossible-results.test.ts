import { CONVERT_RESULT_MAGIC, ConvertResult, INFO_RESULT_MAGIC, InfoResult, RESULT_STATUS } from '@instar/shared-abi';
import type { CommandFailure, RunReport } from '@instar/vmm-native';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { dd } from '../src/dd.js';
import { info, inspect } from '../src/info.js';
import { NO_REFERENCES } from '../src/path-policy.js';

type ConvertNumbers = Partial<ReturnType<typeof ConvertResult.zero>>;
type InfoNumbers = Partial<ReturnType<typeof InfoResult.zero>>;

const guest = vi.hoisted(() => ({ result: new Uint8Array(), failures: [] as CommandFailure[] }));

// A guest in an attacker's hands: it ends as a working one does, and leaves what the test says. No sandbox is needed.
vi.mock('@instar/vmm-native', async (original) => {
  const ends = async (): Promise<RunReport> =>
    Promise.resolve({
      outcome: 'exit',
      exitCode: 0,
      message: 'exit code 0',
      result: Buffer.from(guest.result),
      log: [],
      logDropped: 0n,
      failures: guest.failures,
      statistics: {
        commands: 0n,
        bytesRead: 0n,
        bytesWritten: 0n,
        bytesCopied: 0n,
        bytesZeroed: 0n,
        exits: 0n,
        doorbells: 0n,
      },
    });
  const pool = { close: async () => Promise.resolve() };
  return {
    ...(await original<Record<string, unknown>>()),
    probeKvm: () => null,
    createSandboxPool: () => pool,
    runGuest: ends,
    runInPool: ends,
  };
});

const LENGTH = 4096n;
const MAX_U64 = 2n ** 64n - 1n;
const { OK, ERROR } = RESULT_STATUS.values;
const OTHER_STATUS = Math.max(OK, ERROR) + 1;

let directory: string;
let input: string;
let output: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'instar-results-'));
  input = path.join(directory, 'in.raw');
  output = path.join(directory, 'out');
  writeFileSync(input, Buffer.alloc(Number(LENGTH), 7));
});

afterEach(() => {
  guest.failures = [];
  rmSync(directory, { recursive: true });
});

describe('numbers of a convert', () => {
  function leave(numbers: ConvertNumbers): void {
    guest.result = ConvertResult.encode({
      ...ConvertResult.zero(),
      magic: CONVERT_RESULT_MAGIC,
      status: OK,
      output_length: LENGTH,
      output_virtual_size: LENGTH,
      ...numbers,
    });
  }

  const copy = async (outputFormat: 'raw' | 'qcow2') =>
    dd({
      input: { path: input },
      output: { path: output },
      pathPolicy: NO_REFERENCES,
      inputFormat: 'raw',
      outputFormat,
    });

  it('are believed when they are right', async () => {
    leave({});
    await expect(copy('raw')).resolves.toMatchObject({ outputLength: LENGTH, outputVirtualSize: LENGTH });
  });

  it.for<[what: string, format: 'raw' | 'qcow2', numbers: ConvertNumbers]>([
    ['a raw output that is too long', 'raw', { output_length: LENGTH + 1n }],
    ['a raw output that is too short', 'raw', { output_length: LENGTH - 512n }],
    ['a raw output of no bytes', 'raw', { output_length: 0n }],
    ['a raw output that no file can be', 'raw', { output_length: MAX_U64 }],
    ['a raw output with another virtual size', 'raw', { output_virtual_size: LENGTH + 512n }],
    ['a qcow2 output beyond its limit', 'qcow2', { output_length: 2n ** 40n }],
    ['a qcow2 output that no file can be', 'qcow2', { output_length: MAX_U64 }],
    ['a qcow2 output with another virtual size', 'qcow2', { output_virtual_size: MAX_U64 }],
    ['another magic', 'raw', { magic: INFO_RESULT_MAGIC }],
    ['an unknown status', 'raw', { status: OTHER_STATUS }],
  ])('%s is refused, and the output is as it was', async ([, format, numbers]) => {
    writeFileSync(output, 'before');
    leave(numbers);
    await expect(copy(format)).rejects.toMatchObject({ name: 'EngineError', code: 'GUEST_FAILED', file: input });
    expect(readFileSync(output, 'utf8')).toBe('before');
    expect(readdirSync(directory).sort()).toEqual(['in.raw', 'out']);
  });

  it.for([
    [28, true, 'NO_SPACE'],
    [5, true, 'WRITE_FAILED'],
    [5, false, 'READ_FAILED'],
  ] as const)('are not believed over a command that failed with error %i', async ([errno, write, code]) => {
    writeFileSync(output, 'before');
    leave({});
    guest.failures = [{ device: 0, offset: 512n, errno, write }];
    await expect(copy('raw')).rejects.toMatchObject({ name: 'EngineError', code });
    expect(readFileSync(output, 'utf8')).toBe('before');
    expect(readdirSync(directory).sort()).toEqual(['in.raw', 'out']);
  });

  it('a result that is too short to be one is refused', async () => {
    guest.result = new Uint8Array(ConvertResult.size - 1);
    await expect(copy('raw')).rejects.toMatchObject({ code: 'GUEST_FAILED' });
    expect(existsSync(output)).toBe(false);
  });
});

describe('numbers of an info', () => {
  function leave(numbers: InfoNumbers): void {
    guest.result = InfoResult.encode({
      ...InfoResult.zero(),
      magic: INFO_RESULT_MAGIC,
      status: OK,
      format: 1,
      virtual_size: LENGTH,
      ...numbers,
    });
  }

  it('are believed when they are right', async () => {
    leave({});
    await expect(info(input)).resolves.toMatchObject([{ format: 'raw', virtualSize: LENGTH }]);
  });

  it.for<[what: string, numbers: InfoNumbers]>([
    ['another magic', { magic: CONVERT_RESULT_MAGIC }],
    ['an unknown status', { status: OTHER_STATUS }],
    ['a disk beyond 2^63 bytes', { virtual_size: 2n ** 63n }],
    ['more snapshots than there are records', { snapshot_count: 65 }],
    ['more bitmaps than there are records', { bitmap_count: 17 }],
    [
      'a granularity that no number holds',
      { bitmap_count: 1, bitmaps: InfoResult.zero().bitmaps.map((bitmap) => ({ ...bitmap, granularity_bits: 64 })) },
    ],
  ])('%s: refused', async ([, numbers]) => {
    leave(numbers);
    await expect(info(input)).rejects.toMatchObject({ name: 'EngineError', code: 'GUEST_FAILED', file: input });
  });

  it('a result that is too short to be one is refused', async () => {
    guest.result = new Uint8Array(1);
    await expect(info(input)).rejects.toMatchObject({ code: 'GUEST_FAILED' });
  });

  it.for<[what: string, numbers: InfoNumbers]>([
    ['names longer than their fields', { flags: 3, backing_file_len: 2 ** 32 - 1, data_file_len: 2 ** 32 - 1 }],
    ['a format that is not read', { format: 3 }],
    ['a format that there is not', { format: 77 }],
    ['two formats at once', { other_format: 2 }],
    ['flags that there are not', { flags: 2 ** 30 }],
    ['a disk of half a sector', { virtual_size: 100n }],
    ['a raw image with a backing file', { flags: 1, backing_file_len: 3 }],
    ['a version of qcow2 that there is not', { format: 2, version: 7, cluster_size: 65536, refcount_bits: 16 }],
    ['refcounts of three bits', { format: 2, version: 3, cluster_size: 65536, refcount_bits: 3 }],
    ['a cluster of 1000 bytes', { format: 2, version: 3, cluster_size: 1000, refcount_bits: 16 }],
    ['content that there is not', { content: 9 }],
  ])('%s: not safe, and no failure of the host', async ([, numbers]) => {
    leave(numbers);
    await expect(info(input)).rejects.toMatchObject({ code: 'GUEST_FAILED' });
    await expect(inspect(input)).resolves.toMatchObject({ verdict: { safe: false }, description: undefined });
  });

  it('a system error counts only where the host has met it', async () => {
    const error = { ...InfoResult.zero().error, kind: 1, status: 5, offset: 512n };
    leave({ status: ERROR, error });
    await expect(info(input)).rejects.toMatchObject({ code: 'GUEST_FAILED' });
    guest.failures = [{ device: 0, offset: 512n, errno: 5, write: false }];
    await expect(info(input)).rejects.toMatchObject({ code: 'READ_FAILED', cause: { code: 'EIO' } });
  });
});
