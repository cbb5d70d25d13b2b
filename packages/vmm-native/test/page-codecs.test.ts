import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { deflateSync, inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { requireJudge, type Judge } from '../../../tests/support/judge.js';
import {
  BadPageError,
  VmmError,
  ZstdEncoder,
  compressPages,
  decompressPage,
  decompressPages,
  type PageCodec,
} from '../src/index.js';

const PAGE_SIZE = 4096;
const CODECS: readonly PageCodec[] = ['zlib', 'lzo', 'snappy', 'zstd'];

const ZSTD: Judge = { program: 'zstd', probe: ['--version'], package: 'zstd' };
const LIBLZO2: Judge = {
  program: '/usr/bin/python3',
  probe: ['-c', 'import ctypes; ctypes.CDLL("liblzo2.so.2"); print("liblzo2")'],
  package: 'python3 liblzo2-2',
};
/** Pages in, pages out through liblzo2: `compress` or `decompress` in argv[1], sizes in argv[2..]. */
const LIBLZO2_PROGRAM = `
import ctypes, sys
lzo = ctypes.CDLL("liblzo2.so.2")
data = sys.stdin.buffer.read()
at = 0
for size in map(int, sys.argv[2:]):
    source = data[at:at + size]
    at += size
    room = ctypes.create_string_buffer(8192)
    used = ctypes.c_size_t(8192 if sys.argv[1] == "compress" else 4096)
    if sys.argv[1] == "compress":
        work = ctypes.create_string_buffer(1 << 20)
        status = lzo.lzo1x_1_compress(source, ctypes.c_size_t(size), room, ctypes.byref(used), work)
        sys.stdout.buffer.write(used.value.to_bytes(4, "little"))
    else:
        status = lzo.lzo1x_decompress_safe(source, ctypes.c_size_t(size), room, ctypes.byref(used), None)
        assert used.value == 4096
    assert status == 0, status
    sys.stdout.buffer.write(room.raw[:used.value])
`;

function page(kind: number): Buffer {
  const kinds = [
    () => Buffer.alloc(PAGE_SIZE),
    () => Buffer.alloc(PAGE_SIZE, 'a line of text, again and again\n'),
    () => Buffer.from(Uint32Array.from({ length: PAGE_SIZE / 4 }, (_, index) => 0x7f00_0000 + index * 16).buffer),
    () => randomBytes(PAGE_SIZE),
    () => Buffer.concat([randomBytes(1024), Buffer.alloc(2048), randomBytes(1024)]),
    () => Buffer.alloc(PAGE_SIZE, randomBytes(300)),
  ];
  return (kinds[kind % kinds.length] ?? kinds[0])?.() ?? Buffer.alloc(PAGE_SIZE);
}

const PAGES = Buffer.concat(Array.from({ length: 200 }, (_, index) => page(index)));

interface Stored {
  readonly original: Buffer;
  readonly bytes: Buffer;
}

async function store(codec: PageCodec | 'none'): Promise<{ output: Buffer; sizes: Uint32Array; stored: Stored[] }> {
  const sizes = new Uint32Array(PAGES.length / PAGE_SIZE);
  const output = Buffer.alloc(PAGES.length);
  const used = await compressPages(PAGES, output, sizes, { pageSize: PAGE_SIZE, codec });
  expect(used).toBe(sizes.reduce((sum, size) => sum + size, 0));
  const stored: Stored[] = [];
  let at = 0;
  sizes.forEach((size, index) => {
    const original = PAGES.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE);
    const bytes = output.subarray(at, at + size);
    if (size === PAGE_SIZE) expect(bytes.equals(original)).toBe(true);
    if (size > 0 && size < PAGE_SIZE) stored.push({ original, bytes });
    else if (size === 0) expect(original.every((byte) => byte === 0)).toBe(true);
    at += size;
  });
  return { output: output.subarray(0, used), sizes, stored };
}

function refusal(action: () => void): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('page codecs', () => {
  it.each(CODECS)('come back from %s, page by page and many at once', async (codec) => {
    const { output, sizes, stored } = await store(codec);
    expect(stored.length).toBeGreaterThan(90);
    for (const { original, bytes } of stored.slice(0, 20)) {
      const back = Buffer.alloc(PAGE_SIZE);
      decompressPage(codec, bytes, back);
      expect(back.equals(original)).toBe(true);
    }
    const offsets: number[] = [];
    let at = 0;
    for (const size of sizes) {
      offsets.push(at);
      at += size;
    }
    const kept = [...sizes.keys()].filter((index) => sizes[index] !== 0);
    const back = Buffer.alloc(kept.length * PAGE_SIZE);
    await decompressPages(
      output,
      Uint32Array.from(kept, (index) => offsets[index] ?? 0),
      Uint32Array.from(kept, (index) => sizes[index] ?? 0),
      Uint8Array.from(kept, (index) => (sizes[index] === PAGE_SIZE ? 0 : CODECS.indexOf(codec) + 1)),
      back,
      { pageSize: PAGE_SIZE, threads: 3 },
    );
    const expected = kept.map((index) => PAGES.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE));
    expect(back.equals(Buffer.concat(expected))).toBe(true);
  });

  it('stores without a codec all but pages of zeros', async () => {
    const { sizes } = await store('none');
    expect(new Set(sizes)).toEqual(new Set([0, PAGE_SIZE]));
  });

  it('writes zlib that zlib reads, and reads what zlib writes', async () => {
    for (const { original, bytes } of (await store('zlib')).stored) {
      expect(inflateSync(bytes).equals(original)).toBe(true);
      const back = Buffer.alloc(PAGE_SIZE);
      decompressPage('zlib', deflateSync(original, { level: 1 }), back);
      expect(back.equals(original)).toBe(true);
    }
  });

  it('writes LZO that liblzo2 reads, and reads what liblzo2 writes', async (context) => {
    requireJudge(context, LIBLZO2);
    const { stored } = await store('lzo');
    const liblzo2 = (mode: string, parts: readonly Buffer[]) =>
      execFileSync('/usr/bin/python3', ['-c', LIBLZO2_PROGRAM, mode, ...parts.map((part) => String(part.length))], {
        input: Buffer.concat(parts),
        maxBuffer: 1 << 24,
      });
    const originals = stored.map(({ original }) => original);
    const judged = liblzo2(
      'decompress',
      stored.map(({ bytes }) => bytes),
    );
    expect(judged.equals(Buffer.concat(originals))).toBe(true);

    const packed = liblzo2('compress', originals);
    let at = 0;
    for (const original of originals) {
      const size = packed.readUInt32LE(at);
      const back = Buffer.alloc(PAGE_SIZE);
      decompressPage('lzo', packed.subarray(at + 4, at + 4 + size), back);
      expect(back.equals(original)).toBe(true);
      at += 4 + size;
    }
  });

  it('writes zstd frames that zstd reads, and reads what zstd writes', async (context) => {
    requireJudge(context, ZSTD);
    const { stored } = await store('zstd');
    // Frames may follow each other.
    const all = execFileSync('zstd', ['-dc'], { input: Buffer.concat(stored.map(({ bytes }) => bytes)) });
    expect(all.equals(Buffer.concat(stored.map(({ original }) => original)))).toBe(true);
    for (const { original } of stored.slice(0, 5)) {
      const back = Buffer.alloc(PAGE_SIZE);
      decompressPage('zstd', execFileSync('zstd', ['-c', '-19'], { input: original }), back);
      expect(back.equals(original)).toBe(true);
    }
  });

  it('writes a stream of any number of pieces as one zstd frame', async (context) => {
    requireJudge(context, ZSTD);
    const encoder = new ZstdEncoder();
    const pieces = [PAGES.subarray(0, 1), PAGES.subarray(1, 300_000), PAGES.subarray(300_000)];
    const ready = await Promise.all([...pieces.map((piece) => encoder.compress(piece)), encoder.finish()]);
    const frame = Buffer.concat(ready);
    expect(execFileSync('zstd', ['-dc'], { input: frame, maxBuffer: 1 << 24 }).equals(PAGES)).toBe(true);
    await expect(encoder.finish()).rejects.toMatchObject({ code: 'BAD_ARGUMENT' });
    expect((await new ZstdEncoder(-5).finish()).length).toBeGreaterThan(0);
  });

  it.each(CODECS)('names the first page that is not one page of %s', async (codec) => {
    const { stored } = await store(codec);
    const good = stored[0]?.bytes ?? Buffer.alloc(0);
    const number = CODECS.indexOf(codec) + 1;
    const run = (sizes: readonly number[], output = Buffer.alloc(sizes.length * PAGE_SIZE)) =>
      decompressPages(
        good,
        new Uint32Array(sizes.length),
        Uint32Array.from(sizes),
        new Uint8Array(sizes.length).fill(number),
        output,
        { pageSize: PAGE_SIZE },
      );
    await run([good.length, good.length]);
    const failed = await run([good.length, good.length - 2, good.length + 1]).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(BadPageError);
    expect(failed).toMatchObject({ code: 'BAD_PAGE', page: 1, message: expect.stringContaining('page 1: ') as string });
    await expect(run([good.length + 1])).rejects.toMatchObject({ code: 'BAD_PAGE', page: 0 });

    const tooSmall = refusal(() => {
      decompressPage(codec, good, Buffer.alloc(PAGE_SIZE / 2));
    });
    expect(tooSmall).toBeInstanceOf(BadPageError);
    expect(
      refusal(() => {
        decompressPage(codec, good, Buffer.alloc(PAGE_SIZE * 2));
      }),
    ).toBeInstanceOf(BadPageError);
    expect(
      refusal(() => {
        decompressPage(codec, randomBytes(100), Buffer.alloc(PAGE_SIZE));
      }),
    ).toBeInstanceOf(VmmError);
  });

  it('refuses lengths that contradict each other', async () => {
    const refused = { code: 'BAD_ARGUMENT' };
    const pages = new Uint8Array(PAGE_SIZE);
    const room = new Uint8Array(PAGE_SIZE);
    const one = new Uint32Array(1);
    const options = { pageSize: PAGE_SIZE, codec: 'zlib' } as const;
    await expect(compressPages(pages, room.subarray(1), one, options)).rejects.toMatchObject(refused);
    await expect(compressPages(pages, room, new Uint32Array(2), options)).rejects.toMatchObject(refused);
    await expect(compressPages(pages, pages, one, options)).rejects.toMatchObject(refused);
    await expect(compressPages(pages, room, one, { ...options, pageSize: 1000 })).rejects.toMatchObject(refused);
    const codec = 'lz4' as PageCodec;
    await expect(compressPages(pages, room, one, { ...options, codec })).rejects.toMatchObject(refused);
    await expect(
      decompressPages(pages, one, new Uint32Array(2), new Uint8Array(1), room, { pageSize: PAGE_SIZE }),
    ).rejects.toMatchObject(refused);
  });

  it('handles no pages at all', async () => {
    const none = new Uint8Array(0);
    const used = await compressPages(none, none, new Uint32Array(0), { pageSize: PAGE_SIZE, codec: 'zstd' });
    expect(used).toBe(0);
  });
});
