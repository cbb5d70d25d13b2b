import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { requireJudge, type Judge } from '../../../tests/support/judge.js';
import { bytes, checksum, codec, struct, text, u16, u32 } from '../src/index.js';

const MKE2FS: Judge = { program: '/usr/sbin/mke2fs', probe: ['-V'], package: 'e2fsprogs' };

/** ext4 takes the sum without the complement at its end. */
function crc32c(data: Uint8Array): number {
  let sum = 0xffff_ffff;
  for (const byte of data) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ ((sum & 1) === 1 ? 0x82f6_3b78 : 0);
  }
  return sum >>> 0;
}

// Linux, Documentation/filesystems/ext4/super.rst; at byte 1024 of a file system.
const Superblock = struct('Superblock', {
  s_inodes_count: u32,
  s_blocks_count: u32,
  counts: bytes(0x18 - 8),
  s_log_block_size: u32,
  sizes: bytes(0x38 - 0x1c),
  s_magic: { type: u16, value: 0xef53 },
  state: bytes(0x68 - 0x3a),
  s_uuid: bytes(16),
  s_volume_name: text(16),
  rest: bytes(0x3fc - 0x88),
  s_checksum: checksum(u32, crc32c, 's_inodes_count', 'rest'),
});

const directory = mkdtempSync(join(tmpdir(), 'instar-ext4-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

it('an ext4 superblock that mke2fs made comes back byte for byte, and a changed one is taken by dumpe2fs', (context) => {
  requireJudge(context, MKE2FS);
  const image = join(directory, 'image');
  const uuid = '01234567-89ab-cdef-0123-456789abcdef';
  const words = ['-q', '-F', '-t', 'ext4', '-O', 'metadata_csum', '-L', 'before', '-U', uuid, image, '8M'];
  execFileSync(MKE2FS.program, words);
  const disk = readFileSync(image);
  const stored = disk.subarray(1024, 2048);
  const { decode, encode } = codec(Superblock);
  const value = decode(stored);
  expect(value.s_volume_name).toBe('before');
  expect(Buffer.from(value.s_uuid).toString('hex')).toBe(uuid.replaceAll('-', ''));
  expect(value.s_blocks_count * (1024 << value.s_log_block_size)).toBe(disk.length);
  expect(Buffer.from(encode(value)).equals(stored)).toBe(true);

  const damaged = Buffer.from(stored);
  damaged[0x70] = (damaged[0x70] ?? 0) ^ 1;
  expect(() => decode(damaged)).toThrow(/Superblock.s_checksum/);

  const shown = (): { status: number | null; stdout: string; stderr: string } =>
    spawnSync('/usr/sbin/dumpe2fs', ['-h', image], { encoding: 'utf8' });
  disk.set(encode({ ...value, s_volume_name: 'after', s_checksum: undefined }), 1024);
  writeFileSync(image, disk);
  expect(shown()).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^Filesystem volume name: +after$/m) as string,
  });
  disk.set(damaged, 1024);
  writeFileSync(image, disk);
  expect(shown().stderr).toContain('checksum');
});
