import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { INSTAR, instar, program, shellWord } from '../support/command.js';
import { workdir, type Workdir } from '../support/workdir.js';

/** An ELF vmcore of so many bytes of zeros, which takes no room. */
function largeMemory(directory: Workdir, size: number): void {
  const bytes = Buffer.alloc(64 + 56);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.writeUInt16LE(4, 16);
  bytes.writeUInt16LE(62, 18);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(1, 56);
  bytes.writeUInt32LE(1, 64);
  bytes.writeBigUInt64LE(4096n, 64 + 8);
  bytes.writeBigUInt64LE(BigInt(size), 64 + 32);
  bytes.writeBigUInt64LE(BigInt(size), 64 + 40);
  const fd = openSync(directory.file('large'), 'w');
  writeSync(fd, bytes);
  ftruncateSync(fd, 4096 + size);
  closeSync(fd);
}

describe('instar vmcore read', () => {
  it('prints one * for lines that are the same, however many', () => {
    const directory = workdir();
    largeMemory(directory, 4 << 20);
    const told = instar('vmcore', 'read', 'large', '0', '3M').in(directory).must();
    expect(told.stdout.split('\n').slice(1)).toEqual(['*', '']);
  });

  it('ends when its reader has seen enough', () => {
    const directory = workdir();
    largeMemory(directory, 64 * 2 ** 30);
    const read = `${shellWord(process.execPath)} ${shellWord(INSTAR)} vmcore read --raw large 0 64G`;
    const finished = program('bash', '-c', `set -o pipefail; ${read} | head -c 100 >head`).in(directory).run();
    expect([finished.status, finished.stderr]).toEqual([141, '']);
    expect(finished.elapsedMs).toBeLessThan(10_000);
  });
});
