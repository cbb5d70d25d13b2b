import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileSource, flatten, openDump, openStream, providedImage, unflatten, writeDump } from '../src/index.js';

const directory = mkdtempSync(join(tmpdir(), 'instar-streams-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const image = providedImage({
  machine: 'x86_64',
  ranges: [{ start: 0n, length: 8n << 20n }],
  read: (_address, target) => {
    target.fill(0xa5);
  },
});

const unhandled: unknown[] = [];
const note = (reason: unknown): void => {
  unhandled.push(reason);
};
beforeEach(() => {
  unhandled.length = 0;
  process.on('unhandledRejection', note);
});
afterEach(async () => {
  await new Promise((resolve) => setTimeout(resolve, 20));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
  expect(readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

/** Never says that it has taken anything. */
const stalled = (): Writable => new Writable({ write: () => undefined });

describe('a stream that a dump is written to', () => {
  it.each(['elf', 'kdump'] as const)('is given up when it stalls and the dump (%s) is cancelled', async (format) => {
    const controller = new AbortController();
    const stream = stalled();
    const writing = writeDump(image, { stream }, { format, signal: controller.signal });
    setTimeout(() => {
      controller.abort();
    }, 50);
    await expect(writing).rejects.toMatchObject({ code: 'ABORTED' });
    expect(stream.destroyed).toBe(true);
  });

  it('is given up when it stalls and flattening is cancelled', async () => {
    const file = join(directory, 'any');
    writeFileSync(file, Buffer.alloc(1 << 20, 'x'));
    const controller = new AbortController();
    const writing = flatten(file, { stream: stalled() }, { signal: controller.signal });
    setTimeout(() => {
      controller.abort();
    }, 50);
    await expect(writing).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('makes the dump fail when it is destroyed in the middle of a write', async () => {
    const stream = stalled();
    const writing = writeDump(image, { stream }, { format: 'elf' });
    setTimeout(() => {
      stream.destroy();
    }, 50);
    await expect(writing).rejects.toMatchObject({ code: 'WRITE_FAILED' });
  });

  it('makes the dump fail when its last bytes cannot be kept', async () => {
    const stream = new Writable({
      write(_chunk, _encoding, done) {
        done();
      },
      final(done) {
        done(new Error('no room'));
      },
    });
    await expect(writeDump(image, { stream }, { format: 'elf' })).rejects.toMatchObject({ code: 'WRITE_FAILED' });
  });
});

describe('a stream that is rearranged', () => {
  const output = join(directory, 'whole');

  it('is not touched when it is cancelled before it begins', async () => {
    const stream = Readable.from([Buffer.alloc(10)]);
    await expect(unflatten(stream, output, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' });
    expect(existsSync(output)).toBe(false);
  });

  it('is told apart from a failure of the program when it breaks', async () => {
    const stream = new Readable({
      read() {
        this.destroy(new Error('the line went dead'));
      },
    });
    await expect(unflatten(stream, output)).rejects.toMatchObject({ code: 'READ_FAILED' });
  });

  it('ends its generator, and listens to the signal no longer', async () => {
    let ended = false;
    async function* pieces(): AsyncGenerator<Uint8Array> {
      try {
        yield await Promise.resolve(Buffer.alloc(8192));
        yield Buffer.alloc(8192);
      } finally {
        ended = true;
      }
    }
    await expect(unflatten(pieces(), output)).rejects.toMatchObject({ code: 'NOT_A_DUMP' });
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(ended).toBe(true);
  });
});

describe('a file that was closed', () => {
  it('is not read: its descriptor may be that of another file', async () => {
    const file = join(directory, 'closed');
    writeFileSync(file, 'bytes');
    const source = await fileSource(file);
    await source.close();
    await expect(source.read(0n, new Uint8Array(4))).rejects.toMatchObject({ code: 'READ_FAILED' });
  });
});

describe('streams of the Web', () => {
  const memory = providedImage({
    machine: 'x86_64',
    ranges: [{ start: 0n, length: 3n << 20n }],
    read: (address, target) => {
      target.forEach((_, index) => {
        target[index] = Number((address + BigInt(index)) >> 8n) & 0xff;
      });
    },
  });
  const expected = Buffer.from(Uint8Array.from({ length: 3 << 20 }, (_, index) => index >> 8));

  it('take a dump, and give one', async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const [dump] = await Promise.all([
      openStream(readable),
      writeDump(memory, { stream: writable }, { format: 'kdump' }),
    ]);
    await using opened = dump;
    expect(Buffer.from(await opened.read(0n, 3 << 20)).equals(expected)).toBe(true);
  });

  it('give its memory, as those of Node.js do', async () => {
    const file = join(directory, 'memory.elf');
    await writeDump(memory, { file }, { format: 'elf' });
    {
      await using dump = await openDump(file);
      const whole = Buffer.from(await new Response(dump.createWebStream()).arrayBuffer());
      expect(whole.equals(expected)).toBe(true);
      const part = await new Response(dump.createWebStream({ start: 1_000_000, end: 2_500_000n })).arrayBuffer();
      expect(Buffer.from(part).equals(expected.subarray(1_000_000, 2_500_001))).toBe(true);
      const pieces: Buffer[] = [];
      for await (const piece of dump.createReadStream({ end: 4999 })) pieces.push(piece as Buffer);
      expect(Buffer.concat(pieces).equals(expected.subarray(0, 5000))).toBe(true);
      const beyond = dump.createReadStream({ start: 2n << 20n, end: 4n << 20n }).toArray();
      await expect(beyond).rejects.toMatchObject({ code: 'NO_MEMORY' });
      expect(() => dump.createReadStream({ start: 'x' as unknown as bigint })).toThrow(/range\.start/);
    }
    rmSync(file);
  });

  it('get bytes of their own, since they may keep them', async () => {
    const kept: Uint8Array[] = [];
    const writable = new WritableStream<Uint8Array>({
      write: (bytes) => {
        kept.push(bytes);
      },
    });
    await writeDump(memory, { stream: writable }, { format: 'kdump' });
    const file = join(directory, 'kept.kdump');
    writeFileSync(file, Buffer.concat(kept));
    {
      await using dump = await openDump(file);
      expect(Buffer.from(await dump.read(0n, 3 << 20)).equals(expected)).toBe(true);
    }
    rmSync(file);
  });

  it('that fail, or are cancelled, end the dump', async () => {
    const full = new WritableStream<Uint8Array>({
      write: () => {
        throw new Error('no room');
      },
    });
    await expect(writeDump(memory, { stream: full }, { format: 'kdump' })).rejects.toMatchObject({
      code: 'WRITE_FAILED',
    });
    const reasons: unknown[] = [];
    const slow = new WritableStream<Uint8Array>({
      write: async () => new Promise(() => undefined),
      abort: (reason) => {
        reasons.push(reason);
      },
    });
    const controller = new AbortController();
    setTimeout(() => {
      controller.abort();
    }, 50);
    const writing = writeDump(memory, { stream: slow }, { format: 'kdump', signal: controller.signal });
    await expect(writing).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('are refused where somebody else writes to them', async () => {
    const { writable } = new TransformStream<Uint8Array, Uint8Array>();
    writable.getWriter();
    await expect(writeDump(memory, { stream: writable }, { format: 'kdump' })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    });
  });
});
