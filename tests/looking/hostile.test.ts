import { compare, dd, EngineError, map, measure, type Sandbox } from '@instar/engine';
import { describe, expect, it } from 'vitest';

import { AT, PART, Qcow2Builder } from '../support/qcow2-builder.js';
import { noise } from '../support/random.js';
import { workdir } from '../support/workdir.js';

/** Images that are refused, by what is wrong with them. */
const BENT: Readonly<Record<string, (builder: Qcow2Builder) => unknown>> = {
  'clusters of 2^40': (builder) => builder.u32(AT.CLUSTER_BITS, 40),
  'an L1 table behind everything': (builder) => builder.u64(AT.L1_OFFSET, 0xffff_ffff_ffff_0000n),
  'a size beyond 2^63': (builder) => builder.u64(AT.SIZE, 0xffff_ffff_ffff_fe00n),
  'an unknown incompatible feature': (builder) => builder.u64(AT.INCOMPATIBLE, 1n << 40n),
  'an unaligned L1 entry': (builder) => builder.u64(PART.L1_TABLE, 0x8000_0000_0000_0201n),
};

async function refusal(operation: Promise<unknown>): Promise<string> {
  try {
    await operation;
    return 'not refused';
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return `${error.code} ${error.message}`;
  }
}

async function all(extents: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of extents) continue;
}

describe.each(['kvm', 'process'] satisfies Sandbox[])('in the %s sandbox', (sandbox) => {
  it.for(Object.entries(BENT))('%s is refused alike by every operation', async ([, bend]) => {
    const builder = new Qcow2Builder();
    bend(builder);
    const directory = workdir().write('image', builder.bytes).write('other', noise(100_000));
    const [image, other, out] = [directory.file('image'), directory.file('other'), directory.file('out')];
    const expected = await refusal(
      dd({ input: { path: image }, output: { path: out }, inputFormat: 'qcow2' }, { sandbox }),
    );
    expect(expected).toMatch(/^IMAGE_[A-Z0-9_]+ /);
    expect(await refusal(all(map(image, { format: 'qcow2' }, { sandbox })))).toBe(expected);
    expect(await refusal(compare(image, other, { firstFormat: 'qcow2' }, { sandbox }))).toBe(expected);
    expect(await refusal(compare(other, image, { secondFormat: 'qcow2' }, { sandbox }))).toBe(expected);
    expect(await refusal(measure(image, { format: 'qcow2', target: { format: 'qcow2' } }, { sandbox }))).toBe(expected);
    expect(directory.names()).toEqual(['image', 'other']);
  });
});
