import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { QEMU_IMG, requireJudge, type Judge } from '../../../../tests/support/judge.js';
import {
  alignedTo,
  array,
  arrayUntil,
  bitStruct,
  bytes,
  bytesOf,
  checksum,
  codec,
  magic,
  pointedTo,
  s390x,
  struct,
  text,
  textOf,
  u16,
  u32,
  u64,
  u8,
  uint,
} from '../../src/index.js';

const SFDISK: Judge = { program: '/usr/sbin/sfdisk', probe: ['--version'], package: 'fdisk' };
const MKFS_FAT: Judge = { program: '/usr/sbin/mkfs.fat', probe: ['--help'], package: 'dosfstools' };
const MKE2FS: Judge = { program: '/usr/sbin/mke2fs', probe: ['-V'], package: 'e2fsprogs' };

const directory = mkdtempSync(join(tmpdir(), 'instar-disks-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** An empty file of so many bytes. */
function disk(name: string, size: number): string {
  const path = join(directory, name);
  writeFileSync(path, '');
  truncateSync(path, size);
  return path;
}

// UEFI Specification 2.10, chapter 5.
const MbrPartition = struct(
  'MbrPartition',
  {
    status: u8,
    first: bytes(3),
    type: u8,
    last: bytes(3),
    start: u32,
    count: u32,
  },
  { packing: 'packed' },
);
const Entry = struct('Entry', {
  type: bytes(16),
  guid: bytes(16),
  first: u64,
  last: u64,
  attributes: u64,
  name: text(72, { encoding: 'utf16le' }),
});
const Gpt = struct('Gpt', {
  code: bytes(446),
  partitions: array(MbrPartition, 4),
  boot_magic: { type: u16, value: 0xaa55 },
  signature: magic(Buffer.from('EFI PART')),
  revision: u32,
  header_size: { type: u32, value: 92 },
  header_crc: checksum(u32, 'crc32', 'signature', 'entries_crc'),
  reserved: u32,
  current: u64,
  backup: u64,
  first: u64,
  last: u64,
  guid: bytes(16),
  entries_at: u64,
  entry_count: { type: u32, value: 128 },
  entry_size: { type: u32, value: 128 },
  entries_crc: checksum(u32, 'crc32', 'entries'),
  rest: bytes(420),
  entries: array(Entry, 128),
});

describe('a partition table that sfdisk made', () => {
  it('comes back byte for byte, and sfdisk takes one that was changed', (context) => {
    requireJudge(context, SFDISK);
    const image = disk('gpt', 64 << 20);
    const script = 'label: gpt\nsize=8MiB, name="first", type=linux\nsize=16MiB, name="zweite ß", type=uefi\n';
    execFileSync(SFDISK.program, ['-q', image], { input: script });
    const stored = readFileSync(image).subarray(0, 34 * 512);
    const gpt = codec(Gpt);
    for (let turn = 0; turn < 4; turn += 1) {
      expect(Buffer.from(gpt.encode(gpt.decode(stored))).equals(stored)).toBe(true);
    }
    const value = gpt.decode(stored);
    expect(value.entries.slice(0, 3).map(({ name }) => name)).toEqual(['first', 'zweite ß', '']);

    // Sums are worked out anew, that of the header over that of the entries.
    const entries = value.entries.map((entry, index) => (index === 1 ? { ...entry, name: 'renamed' } : entry));
    const changed = gpt.encode({ ...value, entries, header_crc: undefined, entries_crc: undefined });
    const whole = readFileSync(image);
    whole.set(changed, 0);
    writeFileSync(image, whole);
    const dump = spawnSync(SFDISK.program, ['-J', image], { encoding: 'utf8' });
    expect(dump.stderr).not.toMatch(/corrupt|primary GPT/i);
    const seen = JSON.parse(dump.stdout) as { partitiontable: { partitions: { name: string; start: number }[] } };
    expect(seen.partitiontable.partitions.map(({ name }) => name)).toEqual(['first', 'renamed']);
    expect(seen.partitiontable.partitions.map(({ start }) => BigInt(start))).toEqual(
      value.entries.slice(0, 2).map(({ first }) => first),
    );
    const damaged = Buffer.from(changed);
    damaged[1024 + 60] = (damaged[1024 + 60] ?? 0) ^ 1;
    expect(() => gpt.decode(damaged)).toThrow(expect.objectContaining({ path: 'Gpt.entries_crc' }));
  });
});

// Microsoft, "FAT: General Overview of On-Disk Format", 1.03.
const bootFields = {
  jump: bytes(3),
  oem: text(8, { encoding: 'latin1' }),
  sector_size: u16,
  sectors_per_cluster: u8,
  reserved_sectors: u16,
  tables: u8,
  root_entries: u16,
  small_count: u16,
  media: u8,
  small_table_size: u16,
  sectors_per_track: u16,
  heads: u16,
  hidden: u32,
  large_count: u32,
};
const idFields = {
  drive: u8,
  reserved: u8,
  extended: u8,
  serial: u32,
  label: text(11, { encoding: 'latin1' }),
  system: text(8, { encoding: 'latin1' }),
};
const packed = { packing: 'packed' } as const;
const Boot12 = struct(
  'Boot12',
  { ...bootFields, ...idFields, code: bytes(448), boot_magic: u16 },
  { ...packed, size: 512 },
);
const Boot32 = struct(
  'Boot32',
  {
    ...bootFields,
    table_size: u32,
    flags: u16,
    version: u16,
    root: u32,
    info_sector: u16,
    backup_sector: u16,
    unused: bytes(12),
    ...idFields,
    code: bytes(420),
    boot_magic: u16,
  },
  { ...packed, size: 512 },
);
const Info = struct('Info', {
  lead: { type: u32, value: 0x4161_5252 },
  reserved: bytes(480),
  signature: { type: u32, value: 0x6141_7272 },
  free: u32,
  next: u32,
  unused: bytes(12),
  trail: { type: u32, value: 0xaa55_0000 },
});
const DirectoryEntry = struct(
  'DirectoryEntry',
  {
    name: text(11, { encoding: 'latin1' }),
    attributes: u8,
    reserved: u8,
    tenths: u8,
    made_time: u16,
    made_date: u16,
    accessed: u16,
    cluster_high: u16,
    time: u16,
    date: u16,
    cluster_low: u16,
    size: u32,
  },
  { ...packed, size: 32 },
);
const MADE = { name: 'HELLO   TXT', attributes: 0x20, date: 0x5821, made_date: 0x5821, accessed: 0x5821 };

/** What fsck.fat finds, which changes nothing. */
function fsckFat(image: string): { readonly status: number | null; readonly stdout: string } {
  return spawnSync('/usr/sbin/fsck.fat', ['-n', image], { encoding: 'utf8' });
}

describe('a FAT that mkfs.fat made', () => {
  it('of 12 bits comes back byte for byte, and fsck.fat finds a file that was put into it', (context) => {
    requireJudge(context, MKFS_FAT);
    const image = disk('fat12', 1440 << 10);
    execFileSync(MKFS_FAT.program, ['-F', '12', '-n', 'LABEL', image]);
    const Table = bitStruct('Table', { entries: array(uint(12), 3072) }, { order: 'lsb' });
    const Fat12 = struct('Fat12', {
      boot: Boot12,
      tables: array(Table, 2),
      root: array(DirectoryEntry, 224),
      data: bytesOf(),
    });
    const stored = readFileSync(image);
    const fat = codec(Fat12);
    for (let turn = 0; turn < 4; turn += 1) {
      expect(Buffer.from(fat.encode(fat.decode(stored))).equals(stored)).toBe(true);
    }
    const value = fat.decode(stored);
    const { boot } = value;
    expect([boot.sector_size, boot.tables, boot.small_table_size, boot.root_entries]).toEqual([512, 2, 9, 224]);
    expect([boot.label.trim(), boot.system.trim()]).toEqual(['LABEL', 'FAT12']);

    // Three clusters of 512 bytes, one behind the other and back.
    const entries =
      value.tables[0]?.entries.map((entry, cluster) => ({ 5: 7, 7: 6, 6: 0xfff })[cluster] ?? entry) ?? [];
    const root = [...value.root];
    const free = root.findIndex(({ name }) => name === '');
    root[free] = { ...root[free], ...MADE, cluster_low: 5, size: 1200 } as (typeof root)[number];
    writeFileSync(image, fat.encode({ ...value, tables: [{ entries }, { entries }], root }));
    const found = fsckFat(image);
    expect(found.stdout).toMatch(/: 2 files, 3\/\d+ clusters/);
    expect(found.status).toBe(0);
    // The judge does see a chain that is too short.
    const short = entries.map((entry, cluster) => (cluster === 7 ? 0xfff : entry));
    writeFileSync(image, fat.encode({ ...value, tables: [{ entries: short }, { entries: short }], root }));
    expect(fsckFat(image).status).not.toBe(0);
  });

  it('of 32 bits comes back byte for byte, and fsck.fat finds a file that was put into it', (context) => {
    requireJudge(context, MKFS_FAT);
    const image = disk('fat32', 40 << 20);
    execFileSync(MKFS_FAT.program, ['-F', '32', '-s', '1', '-f', '2', '-R', '32', image]);
    const stored = readFileSync(image);
    const tableSize = codec(Boot32).decode(stored).table_size;
    const Fat32 = struct('Fat32', {
      boot: Boot32,
      info: Info,
      reserved: bytes(30 * 512),
      tables: array(array(u32, tableSize * 128), 2),
      root: array(DirectoryEntry, 16),
    });
    const fat = codec(Fat32);
    const head = stored.subarray(0, fat.size);
    for (let turn = 0; turn < 4; turn += 1) {
      expect(Buffer.from(fat.encode(fat.decode(head))).equals(head)).toBe(true);
    }
    const value = fat.decode(head);
    const table = value.tables[0]?.map((entry, cluster) => ({ 9: 12, 12: 0x0fff_ffff })[cluster] ?? entry) ?? [];
    const root = value.root.map((entry, index) =>
      index === 0 ? { ...entry, ...MADE, cluster_low: 9, size: 700 } : entry,
    );
    const info = { ...value.info, free: value.info.free - 2 };
    fat.encodeInto(stored, { ...value, info, tables: [table, table], root });
    writeFileSync(image, stored);
    const found = fsckFat(image);
    expect(found.stdout).toMatch(/: 1 files, 3\/\d+ clusters/);
    expect(found.status).toBe(0);
  });
});

// QEMU, docs/interop/qcow2.rst; big endian.
const Qcow2 = struct(
  'Qcow2',
  {
    magic: { type: u32, value: 0x5146_49fb },
    version: { type: u32, value: 3 },
    backing_at: u64,
    backing_size: u32,
    cluster_bits: u32,
    size: u64,
    crypt_method: u32,
    l1_size: u32,
    l1_table: u64,
    refcount_table: u64,
    refcount_clusters: u32,
    snapshot_count: u32,
    snapshots: u64,
    incompatible: u64,
    compatible: u64,
    autoclear: u64,
    refcount_order: u32,
    header_length: u32,
    compression: u8,
    unused: bytes(7),
    extensions: arrayUntil(
      struct('Extension', { type: u32, length: u32, data: bytesOf('length'), gap: alignedTo(8) }),
      ({ type }) => type === 0,
    ),
    backing: pointedTo('backing_at', textOf('backing_size')),
  },
  packed,
);

describe('a qcow2 header that qemu-img made', () => {
  it('comes back byte for byte with its extensions, and qemu-img takes one that was changed', (context) => {
    requireJudge(context, QEMU_IMG);
    const [base, image] = [disk('base.raw', 1 << 20), join(directory, 'overlay.qcow2')];
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', image]);
    const stored = readFileSync(image);
    const qcow2 = codec(Qcow2, s390x);
    const value = qcow2.decode(stored);
    const head = stored.subarray(0, Number(value.backing_at) + value.backing_size);
    for (let turn = 0; turn < 4; turn += 1) {
      expect(Buffer.from(qcow2.encode(qcow2.decode(head))).equals(head)).toBe(true);
    }
    expect(value.backing).toBe(base);
    // The backing file's format, the names of feature bits, the end.
    expect(value.extensions.map(({ type }) => type)).toEqual([0xe279_2aca, 0x6803_f857, 0]);
    expect(Buffer.from(value.extensions[0]?.data ?? []).toString()).toBe('raw');

    // Other places and lengths follow.
    const other = disk('another-base-with-a-longer-name.img', 1 << 20);
    const { backing_at: _at, backing_size: _size, extensions, ...rest } = value;
    const kept = extensions.filter(({ type }) => type !== 0x6803_f857);
    stored.fill(0, 112, 4096).set(qcow2.encode({ ...rest, extensions: kept, backing: other }), 0);
    writeFileSync(image, stored);
    const said = execFileSync('qemu-img', ['info', '--output=json', image], { encoding: 'utf8' });
    expect(JSON.parse(said)).toMatchObject({ 'backing-filename': other, 'backing-filename-format': 'raw' });
    expect(spawnSync('qemu-img', ['check', image]).status).toBe(0);
  });
});

// Linux, Documentation/filesystems/ext4/group_descr.rst; 64 bytes with the feature 64bit.
const Group = struct(
  'Group',
  {
    block_bitmap: u32,
    inode_bitmap: u32,
    inode_table: u32,
    free_blocks: u16,
    free_inodes: u16,
    directories: u16,
    flags: u16,
    exclude_bitmap: u32,
    block_bitmap_sum: u16,
    inode_bitmap_sum: u16,
    unused_inodes: u16,
    checksum: u16,
    high: bytes(32),
  },
  { size: 64 },
);

describe('group descriptors that mke2fs made', () => {
  it('come back byte for byte and say what dumpe2fs says', (context) => {
    requireJudge(context, MKE2FS);
    const image = disk('ext4', 64 << 20);
    execFileSync(MKE2FS.program, ['-q', '-F', '-t', 'ext4', '-b', '1024', '-O', '64bit,metadata_csum', image]);
    const stored = readFileSync(image).subarray(2048, 2048 + 8 * 64);
    const groups = codec(struct('Groups', { list: array(Group) }));
    const { list } = groups.decode(stored);
    for (let turn = 0; turn < 4; turn += 1) {
      expect(Buffer.from(groups.encode(groups.decode(stored))).equals(stored)).toBe(true);
    }
    const said = execFileSync('/usr/sbin/dumpe2fs', [image], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const pattern =
      /Group (\d+):[^]*?csum (0x[0-9a-f]+)[^]*?Block bitmap at (\d+)[^]*?Inode bitmap at (\d+)[^]*?Inode table at (\d+)[^]*?(\d+) free blocks, (\d+) free inodes, (\d+) directories/g;
    const rows = [...said.matchAll(pattern)].map((row) => row.slice(1).map(Number));
    expect(rows).toHaveLength(8);
    expect(
      list.map((group, index) => [
        index,
        group.checksum,
        group.block_bitmap,
        group.inode_bitmap,
        group.inode_table,
        group.free_blocks,
        group.free_inodes,
        group.directories,
      ]),
    ).toEqual(rows);
  });
});
