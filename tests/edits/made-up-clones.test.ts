// Undo logs with clones, as a file system that shares blocks has them, laid out by hand: who could have made them is asked as of any log,
// and what cannot be so is refused before a byte is written.
import { chownSync, linkSync, renameSync, statSync, symlinkSync } from 'node:fs';
import { closePool, EngineError, info } from '@instar/engine';
import { afterAll, describe, expect, it } from 'vitest';
import { crc32c } from '../support/crc32c.js';
import { QEMU_IMG, requireJudge, skipWithoutRight } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const LOG = 'image.instar-undo';
const CLONE_AT = 65_536;
/** "CLNE": the file is overwritten from here on. */
const OLD_CLONE = 0x454e_4c43;

afterAll(closePool);

/** What a header says, where it is not what it should be. */
interface Said {
  readonly version?: number;
  readonly inode?: bigint;
  readonly length?: number;
  readonly second?: boolean;
  readonly clones?: readonly [bigint, bigint];
}

function withSum(bytes: Buffer, summed: number): Buffer {
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, summed)), summed);
  return bytes;
}

/** The header of a log of `image`: 128 bytes. */
function header(directory: Workdir, said: Said): Buffer {
  const { dev, ino, size } = statSync(directory.file('image'), { bigint: true });
  const bytes = Buffer.alloc(128);
  bytes.write('INSTUNDO');
  bytes.writeUInt32LE(said.version ?? 3, 8);
  const owner = [dev, said.inode ?? ino, BigInt(said.length ?? size)] as const;
  owner.forEach((value, index) => bytes.writeBigUInt64LE(value, 16 + 8 * index));
  if (said.second === true)
    [dev, ino + 1n, 4096n].forEach((value, index) => bytes.writeBigUInt64LE(value, 40 + 8 * index));
  const [first, second] = said.clones ?? [BigInt(CLONE_AT), 0n];
  bytes.writeBigUInt64LE(first, 64);
  bytes.writeBigUInt64LE(second, 72);
  return withSum(bytes, 124);
}

/** An image that is half edited, and the log that has what it was; ends of both. */
function interrupted(said: Said = {}): { readonly directory: Workdir; readonly before: Buffer; readonly half: Buffer } {
  const directory = workdir();
  directory.write('content', noise(150_000));
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', 'content', 'image').in(directory).must();
  const before = directory.read('image');
  const records = Math.ceil((CLONE_AT + before.length) / CLONE_AT) * CLONE_AT;
  const record = Buffer.alloc(32);
  record.writeUInt32LE(OLD_CLONE, 0);
  const log = Buffer.alloc(records + record.length);
  header(directory, said).copy(log);
  before.copy(log, CLONE_AT);
  withSum(record, 24).copy(log, records);
  directory.write(LOG, log);
  const half = Buffer.concat([noise(before.length), Buffer.alloc(5000)]);
  directory.write('image', half);
  return { directory, before, half };
}

async function refusalOf(directory: Workdir): Promise<string> {
  const error: unknown = await info(directory.file('image')).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  return error instanceof EngineError ? error.code : String(error);
}

/** Refused, and neither the image nor the log is another. */
async function expectRefused(directory: Workdir): Promise<void> {
  const before = directory.digests();
  expect(await refusalOf(directory)).toBe('EDIT_INTERRUPTED');
  expect(directory.digests()).toEqual(before);
}

describe('an undo log with a clone', () => {
  it('is put back where blocks are not shared as well', async (context) => {
    requireJudge(context, QEMU_IMG);
    const { directory, before } = interrupted();
    await info(directory.file('image'));
    expect(directory.read('image').equals(before)).toBe(true);
    expect(directory.names()).not.toContain(LOG);
  });

  it.for<readonly [string, Said]>([
    ['of a version that is not known', { version: 4 }],
    ['of another file', { inode: 1n }],
    ['whose clone ends behind it', { length: 100_000_000 }],
    ['whose clone begins behind it', { clones: [1n << 40n, 0n] }],
    ['whose clone ends where no file can', { clones: [(1n << 64n) - 4096n, 0n] }],
    ['whose clone is its header', { clones: [64n, 0n] }],
    ['whose clones are one', { second: true, clones: [65_536n, 69_632n] }],
    ['with the clone of a file that it does not name', { clones: [65_536n, 200n] }],
    ['with none', { clones: [0n, 0n] }],
  ])('%s is refused, and nothing is written', async ([, said], context) => {
    requireJudge(context, QEMU_IMG);
    await expectRefused(interrupted(said).directory);
  });

  it('that is a link, or of a user who could have made it up, is refused', async (context) => {
    requireJudge(context, QEMU_IMG);
    const linked = interrupted().directory;
    renameSync(linked.file(LOG), linked.file('elsewhere'));
    symlinkSync('elsewhere', linked.file(LOG));
    await expectRefused(linked);
    if (process.geteuid?.() !== 0) skipWithoutRight(context, 'giving a file to another user needs root');
    const { directory } = interrupted();
    chownSync(directory.file(LOG), 12_345, 12_345);
    renameSync(directory.file(LOG), directory.file('elsewhere'));
    linkSync(directory.file('elsewhere'), directory.file(LOG));
    await expectRefused(directory);
  });
});
