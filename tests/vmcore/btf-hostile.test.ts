import { ExtractError, extractFile } from '@instar/layout/extract';
import { describe, expect, it } from 'vitest';
import { Random } from '../support/random.js';

/** Cases; 20,000 of them with the environment's INSTAR_KERNEL_CASES. */
const CASES = Number(process.env['INSTAR_KERNEL_CASES'] ?? 500);

/** Kinds of BTF (Linux, Documentation/bpf/btf.rst). */
const KIND = { int: 1, pointer: 2, array: 3, struct: 4, union: 5, enum: 6, typedef: 8, constant: 10 } as const;

/** BTF with one type of each kind, of which the last one is a structure of all others. */
function btf(): Buffer {
  const names: number[] = [0];
  const name = (text: string): number => {
    const at = names.length;
    names.push(...Buffer.from(`${text}\0`));
    return at;
  };
  const types: number[] = [];
  const type = (label: string, kind: number, count: number, size: number, ...more: readonly number[]): void => {
    types.push(label === '' ? 0 : name(label), (kind << 24) | count, size, ...more);
  };
  type('int', KIND.int, 0, 4, (1 << 24) | 32); // 1
  type('unsigned long', KIND.int, 0, 8, 64); // 2
  type('', KIND.pointer, 0, 8); // 3: to type 8
  type('', KIND.array, 0, 0, 1, 2, 4); // 4
  type('pid_t', KIND.typedef, 0, 6); // 5
  type('', KIND.constant, 0, 1); // 6
  type('state', KIND.enum, 2, 4, name('RUNNING'), 0, name('STOPPED'), 4); // 7
  const member = (label: string, of: number, bit: number): readonly number[] => [name(label), of, bit];
  type('list_head', KIND.struct, 2, 16, ...member('next', 3, 0), ...member('prev', 3, 64)); // 8
  type('', KIND.union, 2, 8, ...member('word', 2, 0), ...member('half', 1, 0)); // 9
  const members = [
    ...member('tasks', 8, 0),
    ...member('pid', 5, 128),
    ...member('state', 7, 160),
    ...member('comm', 4, 192),
    [0, 9, 320],
  ].flat();
  type('task', KIND.struct, members.length / 3, 48, ...members); // 10
  const header = Buffer.alloc(24);
  header.writeUInt16LE(0xeb9f, 0);
  header.writeUInt8(1, 2);
  [24, 0, 4 * types.length, 4 * types.length, names.length].forEach((value, index) => {
    header.writeUInt32LE(value, 4 + 4 * index);
  });
  return Buffer.concat([header, Buffer.from(Uint32Array.from(types).buffer), Buffer.from(names)]);
}

const ask = (bytes: Uint8Array): unknown => extractFile({ file: 'a dump', bytes, types: ['struct task'] }).types[0];

describe('BTF of a stranger', () => {
  it('is read where nobody has changed it', () => {
    expect(ask(btf())).toMatchObject({
      size: 48,
      fields: [{ name: 'tasks' }, {}, {}, { counts: [4] }, { name: null }],
    });
  });

  it('comes to a type or to a typed error, in little time and memory', () => {
    const random = new Random(1801);
    const whole = btf();
    const words = Math.floor(whole.length / 4);
    const ends = { read: 0, refused: 0 };
    const memory = process.memoryUsage().rss;
    let slowest = 0;
    for (let round = 0; round < CASES; round += 1) {
      const bytes = Buffer.from(whole);
      for (let change = 1 + random.below(3); change > 0; change -= 1) {
        const at = 4 * random.below(words);
        const any = random.bytes(4).readUInt32LE();
        // Other types, so that they lead in circles; counts and sizes that are far too large; anything at all.
        const evil = [random.below(12), 0, 0xffff_ffff, 0x7fff_ffff, (KIND.struct << 24) | 0xffff, any & 0xffff, any];
        bytes.writeUInt32LE(random.pick(evil as [number, ...number[]]) >>> 0, at);
      }
      const started = performance.now();
      try {
        ask(bytes.subarray(0, random.below(20) === 0 ? random.below(bytes.length) : bytes.length));
        ends.read += 1;
      } catch (error) {
        if (!(error instanceof ExtractError)) throw error;
        ends.refused += 1;
      }
      slowest = Math.max(slowest, performance.now() - started);
    }
    expect(slowest).toBeLessThan(5000);
    expect(process.memoryUsage().rss - memory).toBeLessThan(256 << 20);
    expect(Math.min(ends.read, ends.refused)).toBeGreaterThan(CASES / 20);
  });
});
