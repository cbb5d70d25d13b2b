import { type Dump, openDump, providedImage, splitDump, writeDump } from '@instar/vmcore';
import { beforeAll, describe, expect, it } from 'vitest';

import { requireJudge } from '../support/judge.js';
import { Workdir, workdir } from '../support/workdir.js';
import { readWithKdumpfile } from './judges/kdumpfile.js';
import {
  convertWithMakedumpfile,
  flattenWithMakedumpfile,
  rearrange,
  reassemble,
  splitWithMakedumpfile,
} from './judges/makedumpfile.js';
import { X86_64 } from './readers/machines.js';
import { LIBKDUMPFILE, MAKEDUMPFILE } from './tools.js';

const NAMES = Object.keys(X86_64.cpus[0] ?? {});
const ALL = X86_64.memory.ranges.map(({ start, length }) => ({ address: start, length: Number(length) }));

/** What all memory, registers and VMCOREINFO are, for a comparison in one go. */
const EXPECTED = {
  memory: ALL.map((place) => X86_64.memory.bytes(place)),
  cpus: X86_64.cpus,
  vmcoreinfo: X86_64.vmcoreinfo,
};

async function contentOf(dump: Dump): Promise<typeof EXPECTED> {
  const memory: Buffer[] = [];
  for (const { address, length } of ALL) {
    memory.push(Buffer.from(await dump.read(address, length, { excluded: 'zero' })));
  }
  const cpus = dump.cpus.map(({ registers }) =>
    Object.fromEntries(NAMES.map((name) => [name, registers[name] ?? -1n])),
  );
  await dump.close();
  return { memory, cpus, vmcoreinfo: dump.vmcoreinfo?.text };
}

/** Compares without printing megabytes. */
function expectSame(found: typeof EXPECTED): void {
  expect({ cpus: found.cpus, vmcoreinfo: found.vmcoreinfo }).toEqual({
    cpus: EXPECTED.cpus,
    vmcoreinfo: EXPECTED.vmcoreinfo,
  });
  expect(found.memory.map((bytes, index) => bytes.equals(EXPECTED.memory[index] ?? Buffer.alloc(0)))).toEqual(
    EXPECTED.memory.map(() => true),
  );
}

describe('what makedumpfile makes of our dumps', () => {
  let ours: Workdir;

  beforeAll(async () => {
    ours = new Workdir();
    const image = providedImage(X86_64.provider);
    await writeDump(image, { file: ours.file('elf') }, { format: 'elf' });
    for (const compression of ['none', 'zlib', 'lzo'] as const) {
      await writeDump(image, { file: ours.file(compression) }, { format: 'kdump', compression });
    }
    return () => {
      ours.remove();
    };
  });

  describe.each(['elf', 'none', 'zlib', 'lzo'])('from %s', (input) => {
    it.for(['-d 0', '-c -d 0', '-c -d 1', '-l -d 0', '-l -d 1'])('with %s is read', async (flags, context) => {
      requireJudge(context, MAKEDUMPFILE);
      const directory = workdir();
      convertWithMakedumpfile(ours.file(input), directory.file('result'), flags.split(' '));
      expectSame(await contentOf(await openDump(directory.file('result'))));
    });

    it('with -F is read, and after -R as well', async (context) => {
      requireJudge(context, MAKEDUMPFILE);
      const directory = workdir();
      flattenWithMakedumpfile(ours.file(input), directory.file('flattened'), ['-c', '-d', '1']);
      const dump = await openDump(directory.file('flattened'));
      expect(dump.files.map(({ flattened }) => flattened)).toEqual([true]);
      expectSame(await contentOf(dump));
      rearrange(directory.file('flattened'), directory.file('rearranged'));
      expectSame(await contentOf(await openDump(directory.file('rearranged'))));
    });

    it('with --split is read as one', async (context) => {
      requireJudge(context, MAKEDUMPFILE);
      const directory = workdir();
      const parts = ['1', '2', '3'].map((name) => directory.file(name));
      splitWithMakedumpfile(ours.file(input), parts, ['-c', '-d', '1']);
      expectSame(await contentOf(await openDump(parts)));
      reassemble(parts, directory.file('whole'));
      expectSame(await contentOf(await openDump(directory.file('whole'))));
    });
  });

  it.for(['none', 'zlib', 'lzo'] as const)('our split files in %s are put together', async (compression, context) => {
    requireJudge(context, MAKEDUMPFILE);
    const directory = workdir();
    const parts = ['1', '2', '3', '4'].map((name) => directory.file(name));
    await splitDump(providedImage(X86_64.provider), parts, { compression });
    expectSame(await contentOf(await openDump(parts)));
    reassemble(parts, directory.file('whole'));
    expectSame(await contentOf(await openDump(directory.file('whole'))));
  });

  it('our split files, put together, are read by libkdumpfile', async (context) => {
    requireJudge(context, MAKEDUMPFILE);
    requireJudge(context, LIBKDUMPFILE);
    const directory = workdir();
    const parts = ['1', '2'].map((name) => directory.file(name));
    await splitDump(providedImage(X86_64.provider), parts, {});
    reassemble(parts, directory.file('whole'));
    const { bytes, cpus, vmcoreinfo } = readWithKdumpfile(directory.file('whole'), ALL, NAMES);
    expectSame({ memory: (bytes ?? []).map((part) => part ?? Buffer.alloc(0)), cpus: cpus ?? [], vmcoreinfo });
  });
});
