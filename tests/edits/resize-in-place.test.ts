// A disk that becomes larger where its table has room: no cluster is taken, and nothing but the header changes. So the refcounts need not
// be looked at first, which takes long in a large image.
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';

const HEADER_BYTES = 112;
const SIZE_AT = 24;
const L1_SIZE_AT = 36;
const L1_OFFSET_AT = 40;

function withImage(...options: readonly string[]): Workdir {
  const directory = workdir();
  qemuImg('create', '-q', '-f', 'qcow2', ...options, 'image', '1G')
    .in(directory)
    .must();
  qemuIo('image', 'write -q -P 7 0 300k', 'write -q -P 8 700M 300k').in(directory).must();
  return directory;
}

function resize(directory: Workdir, size: string): { status: number | null; stderr: string } {
  return instar('resize', '-q', 'image', size).in(directory).run();
}

/** Names the first data cluster as free, which it is not. */
function miscount(directory: Workdir): void {
  const bytes = directory.read('image');
  const l2 = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(L1_OFFSET_AT))) & 0xff_ffff_ffff_fe00n);
  const data = Number(bytes.readBigUInt64BE(l2) & 0xff_ffff_ffff_fe00n);
  const block = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))));
  bytes.writeUInt16BE(0, block + (2 * data) / 65536);
  directory.write('image', bytes);
}

describe('a disk that becomes larger', () => {
  it('changes nothing but the header where its table has room', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withImage();
    const before = directory.read('image');
    expect(resize(directory, '+10G')).toMatchObject({ status: 0, stderr: '' });
    const after = directory.read('image');
    expect(after.length).toBe(before.length);
    expect(after.subarray(HEADER_BYTES).equals(before.subarray(HEADER_BYTES))).toBe(true);
    expect(after.readBigUInt64BE(SIZE_AT)).toBe(11n << 30n);
    expect(after.readUInt32BE(L1_SIZE_AT)).toBe(22);
    qemuImg('check', 'image').in(directory).must();
    qemuIo(
      'image',
      'read -q -P 7 0 300k',
      'read -q -P 8 700M 300k',
      'read -q -P 0 1G 1G',
      'read -q -P 0 10G 1G',
      'write -q -P 9 10G 1M',
    )
      .in(directory)
      .must();
    qemuImg('check', 'image').in(directory).must();
  });

  it('gets another table where something stands behind the old one', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withImage();
    const before = directory.read('image');
    const table = Number(before.readBigUInt64BE(L1_OFFSET_AT));
    before.writeUInt8(1, table + 8 * before.readUInt32BE(L1_SIZE_AT) + 9);
    directory.write('image', before);
    expect(resize(directory, '+10G')).toMatchObject({ status: 0, stderr: '' });
    expect(Number(directory.read('image').readBigUInt64BE(L1_OFFSET_AT))).not.toBe(table);
    qemuImg('check', 'image').in(directory).must();
    qemuIo('image', 'read -q -P 7 0 300k', 'read -q -P 8 700M 300k', 'read -q -P 0 1G 1G', 'read -q -P 0 10G 1G')
      .in(directory)
      .must();
  });

  it('damages nothing of an image that contradicts itself: it takes no cluster, or is refused', (context) => {
    requireJudge(context, QEMU_IMG);
    const grown = withImage();
    miscount(grown);
    const before = grown.read('image');
    expect(resize(grown, '+10G').status).toBe(0);
    expect(grown.read('image').subarray(HEADER_BYTES).equals(before.subarray(HEADER_BYTES))).toBe(true);
    // A table of its own, zeros over what is below, and a bitmap take clusters.
    for (const [options, size] of [
      [[], '+8T'],
      [['-b', 'below', '-F', 'raw'], '+1G'],
    ] as const) {
      const refused = workdir();
      refused.write('below', Buffer.alloc(65536, 5));
      qemuImg('create', '-q', '-f', 'qcow2', ...options, 'image', '1G')
        .in(refused)
        .must();
      qemuIo('image', 'write -q -P 7 0 300k').in(refused).must();
      miscount(refused);
      const untouched = refused.read('image');
      expect(resize(refused, size)).toMatchObject({ status: 1 });
      expect(refused.read('image').equals(untouched)).toBe(true);
    }
    const withBitmap = withImage();
    qemuImg('bitmap', '--add', 'image', 'one').in(withBitmap).must();
    miscount(withBitmap);
    const untouched = withBitmap.read('image');
    expect(resize(withBitmap, '+10G').stderr).toContain('the metadata contradicts itself');
    expect(withBitmap.read('image').equals(untouched)).toBe(true);
  });
});
