// The structures of disk images: their claims hold, other compilers lay them out alike, and images that qemu-img and
// cryptsetup made say through them what those programs say of the images.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, openSync, closeSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { requireJudge, type Judge } from '../../../tests/support/judge.js';
import * as disk from '../src/disk/index.js';
import { byteSize, codec, resolve, s390x, x86_64, type Codec, type Struct } from '@instar/layout';
import { cEmitter, rustEmitter } from '@instar/layout/emit';
import { ASKED, refusals, rustRefusals } from '../../layout/test/support/compilers.js';

const QEMU_IMG: Judge = { program: 'qemu-img', probe: ['--version'], package: 'qemu-utils' };
const HERE = ASKED.filter(({ target }) => target === x86_64);
const types = Object.values(disk);

const directory = mkdtempSync(join(tmpdir(), 'instar-disk-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** What lies at a place of a file, negative from its end. */
function read<T>(type: Struct<T>, file: string, at = 0): T {
  const bytes = Buffer.alloc(byteSize(resolve(type, x86_64)));
  const descriptor = openSync(file, 'r');
  readSync(descriptor, bytes, 0, bytes.length, at < 0 ? statSync(file).size + at : at);
  closeSync(descriptor);
  const value = codec(type).decode(bytes);
  expect(Buffer.from(codec(type).encode(value as Parameters<Codec<T>['encode']>[0])).equals(bytes), type.name).toBe(
    true,
  );
  return value;
}

function image(format: string, size: string, ...options: readonly string[]): string {
  const file = join(directory, `${format}${options.join('')}.img`);
  execFileSync(QEMU_IMG.program, ['create', '-q', '-f', format, ...options, file, size]);
  return file;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

describe('the structures of disk images', () => {
  it.each(types.map((type) => [type.name, type] as const))('%s is the same on every machine', (_, type) => {
    const [little, big] = [resolve(type, x86_64), resolve(type, s390x)];
    expect(byteSize(big)).toBe(byteSize(little));
    expect(big.fields.map(({ offset }) => offset)).toEqual(little.fields.map(({ offset }) => offset));
  });

  it('are laid out alike by C and Rust compilers', async (context) => {
    const unit = { title: 'disk', regions: [], constants: [], sets: [], types };
    for (const asked of HERE) expect(refusals(context, asked, cEmitter.emit(unit, { target: x86_64 }))).toBe('');
    expect(await rustRefusals(context, rustEmitter.emit(unit, { target: x86_64 }))).toBe('');
  });
});

describe('an image of qemu-img says through them what it was made with', () => {
  it('qcow2', (context) => {
    requireJudge(context, QEMU_IMG);
    const file = image(
      'qcow2',
      '300M',
      '-o',
      'cluster_size=128k,refcount_bits=32,lazy_refcounts=on,compression_type=zstd',
    );
    execFileSync(QEMU_IMG.program, ['snapshot', '-c', 'first', file]);
    execFileSync(QEMU_IMG.program, ['bitmap', '--add', '-g', '256k', file, 'changes']);
    const header = read(disk.Qcow2Header, file);
    expect(header).toMatchObject({
      magic: 0x514649fb,
      version: 3,
      cluster_bits: 17,
      size: 300n << 20n,
      refcount_order: 5,
      compatible_features: 1n,
      incompatible_features: 8n,
      compression_type: 1,
      nb_snapshots: 1,
    });
    expect(read(disk.Qcow2Snapshot, file, Number(header.snapshots_offset))).toMatchObject({
      id_str_size: 1,
      name_size: 5,
      extra_data_size: 24,
    });
    const extra = read(disk.Qcow2SnapshotExtra, file, Number(header.snapshots_offset) + 40);
    expect(extra.disk_size).toBe(300n << 20n);
    let at = header.header_length;
    let extension = read(disk.Qcow2Extension, file, at);
    while (extension.type !== 0x23852875) {
      expect(extension.type).not.toBe(0);
      at += 8 + Math.ceil(extension.length / 8) * 8;
      extension = read(disk.Qcow2Extension, file, at);
    }
    const bitmaps = read(disk.Qcow2BitmapsExtension, file, at + 8);
    expect(bitmaps.nb_bitmaps).toBe(1);
    expect(read(disk.Qcow2BitmapEntry, file, Number(bitmaps.bitmap_directory_offset))).toMatchObject({
      type: 1,
      granularity_bits: 18,
      name_size: 7,
    });
  });

  it('vdi, qed, parallels, qcow', (context) => {
    requireJudge(context, QEMU_IMG);
    const vdi = read(disk.VdiHeader, image('vdi', '30M'));
    expect(vdi).toMatchObject({
      signature: 0xbeda107f,
      disk_size: 30n << 20n,
      block_size: 1 << 20,
      blocks_in_image: 30,
    });
    const qed = read(disk.QedHeader, image('qed', '30M', '-o', 'cluster_size=128k,table_size=2'));
    expect(qed).toMatchObject({ cluster_size: 128 << 10, table_size: 2, image_size: 30n << 20n });
    const parallels = read(disk.ParallelsHeader, image('parallels', '30M'));
    expect(parallels).toMatchObject({ version: 2, tracks: 2048, nb_sectors: 61440n, bat_entries: 30 });
    const qcow = read(disk.QcowHeader, image('qcow', '30M'));
    expect(qcow).toMatchObject({ magic: 0x514649fb, version: 1, size: 30n << 20n, cluster_bits: 12, l2_bits: 9 });
  });

  it('vpc, at both ends', (context) => {
    requireJudge(context, QEMU_IMG);
    const file = image('vpc', '30M', '-o', 'force_size=on');
    for (const at of [0, -512]) {
      const footer = read(disk.VpcFooter, file, at);
      expect(footer).toMatchObject({ disk_type: 3, current_size: 30n << 20n, data_offset: 512n });
      expect(latin1(footer.cookie)).toBe('conectix');
    }
    const header = read(disk.VpcDynamicHeader, file, 512);
    expect(header).toMatchObject({ table_offset: 1536n, max_table_entries: 15, block_size: 2 << 20 });
  });

  it('vhdx: identifier, headers, regions, metadata', (context) => {
    requireJudge(context, QEMU_IMG);
    const file = image('vhdx', '30M', '-o', 'block_size=4M');
    expect(latin1(read(disk.VhdxFileIdentifier, file).Signature)).toBe('vhdxfile');
    const header = read(disk.VhdxHeader, file, 64 << 10);
    expect(header).toMatchObject({ Version: 1, LogVersion: 0, LogLength: 1 << 20 });
    const table = read(disk.VhdxRegionTable, file, 192 << 10);
    expect(table.EntryCount).toBe(2);
    const regions = [0, 1].map((number) => read(disk.VhdxRegionEntry, file, (192 << 10) + 16 + 32 * number));
    const metadata = regions.find(({ Guid }) => Buffer.from(Guid).toString('hex').startsWith('06a27c8b'));
    const start = Number(metadata?.FileOffset);
    const { EntryCount } = read(disk.VhdxMetadataTable, file, start);
    const items = Array.from({ length: EntryCount }, (_, number) =>
      read(disk.VhdxMetadataEntry, file, start + 32 + 32 * number),
    );
    // VirtualDiskSize, [MS-VHDX] 2.6.2.2.
    const size = items.find(({ ItemId }) => Buffer.from(ItemId).toString('hex').startsWith('2442a52f'));
    expect(size?.Length).toBe(8);
    const bytes = Buffer.alloc(8);
    const descriptor = openSync(file, 'r');
    readSync(descriptor, bytes, 0, 8, start + (size?.Offset ?? 0));
    closeSync(descriptor);
    expect(bytes.readBigUInt64LE()).toBe(30n << 20n);
  });

  it('vmdk, sparse and as a stream', (context) => {
    requireJudge(context, QEMU_IMG);
    const header = read(disk.VmdkSparseHeader, image('vmdk', '30M'));
    expect(header).toMatchObject({
      version: 1,
      capacity: 61440n,
      grainSize: 128n,
      numGTEsPerGT: 512,
      compressAlgorithm: 0,
    });
    const raw = join(directory, 'raw');
    execFileSync(QEMU_IMG.program, ['create', '-q', raw, '1M']);
    const stream = join(directory, 'stream.vmdk');
    execFileSync(QEMU_IMG.program, ['convert', '-O', 'vmdk', '-o', 'subformat=streamOptimized', raw, stream]);
    const packed = read(disk.VmdkSparseHeader, stream);
    expect(packed).toMatchObject({ compressAlgorithm: 1, flags: 0x30001 | 2 });
    expect(read(disk.VmdkMarker, stream, -512)).toMatchObject({ val: 0n, size: 0, type: 0 });
  });

  it('luks', (context) => {
    requireJudge(context, QEMU_IMG);
    const secret = ['--object', 'secret,id=s,data=words', '-o', 'key-secret=s,iter-time=10'];
    const header = read(disk.LuksHeader, image('luks', '1M', ...secret));
    expect(latin1(header.cipher_name).replace(/\0.*/s, '')).toBe('aes');
    expect(latin1(header.cipher_mode).replace(/\0.*/s, '')).toBe('xts-plain64');
    expect(header.key_slots.map(({ state }) => state)).toEqual([0x00ac71f3, ...Array<number>(7).fill(0xdead)]);
    expect(header.key_slots[0]?.stripes).toBe(4000);
  });
});
