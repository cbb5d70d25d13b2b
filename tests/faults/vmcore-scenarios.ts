import { writeDump, type MemoryImage } from '@instar/vmcore';
import { instar } from '../support/command.js';
import type { Workdir } from '../support/workdir.js';
import { machine, memoryContent, MEMORY_SIZE, withDumps } from '../vmcore-cli/dump-files.js';
import { sameBytes } from './dd-scenarios.js';
import type { Scenario } from './scenario.js';

const OLD = Buffer.from('dumps that were there before\n'.repeat(999));

/** A machine in which Windows runs, whose driver has left the header of a crash dump (QEMU, include/qemu/win_dump_defs.h). */
function windows(): MemoryImage {
  const descriptor = Buffer.alloc(8192, 'PAGE');
  descriptor.write('DU64', 4);
  descriptor.writeUInt32LE(15, 8);
  descriptor.writeUInt32LE(0x8664, 48);
  descriptor.writeUInt32LE(1, 52);
  descriptor.writeUInt32LE(1, 0x88);
  // Its memory begins at 1 MiB.
  descriptor.writeBigUInt64LE(256n, 0x88 + 16);
  descriptor.writeBigUInt64LE(BigInt(MEMORY_SIZE / 4096 - 4), 0x88 + 24);
  return { ...machine(), notes: [{ name: 'VMCOREINFO', type: 0, descriptor }] };
}

/** The writers of dumps: options, inputs, and the names of the outputs. */
const WRITERS: readonly (readonly [words: readonly string[], input: string, outputs: readonly string[]])[] = [
  [['convert', '--to', 'elf'], 'dump.kdump', ['out']],
  [['convert', '--to', 'kdump', '--compress', 'zlib'], 'dump.elf', ['out']],
  [['convert', '--to', 'kdump', '--compress', 'zstd', '--flatten'], 'dump.elf', ['out']],
  [['convert', '--to', 'elf', '--zstd'], 'dump.kdump', ['out']],
  [['filter', '--begin', '1M', '--length', '100K'], 'dump.elf', ['out']],
  [['split', '--compress', 'zlib'], 'dump.elf', ['out', 'out2', 'out3']],
  [['flatten'], 'dump.kdump', ['out']],
  [['unflatten'], 'dump.flat', ['out']],
  [['repair'], 'damaged.kdump', ['out']],
  [['convert', '--to', 'dmp'], 'windows.elf', ['out']],
  [['filter', '--begin', '1M', '--length', '100K', '--to', 'raw'], 'dump.kdump', ['out']],
  [['wrap', '--machine', 'x86_64'], 'memory.raw@0x100000', ['out']],
];

/** Where a kdump file, flattened or not, has its time (struct disk_dump_header, bytes 408 to 423). */
const TIMES = [408, 4096 + 16 + 408] as const;

/** A dump without the time at which it was written. */
function timeless(dump: Buffer): Buffer {
  const copy = Buffer.from(dump);
  const isHeader = (at: number): boolean => copy.subarray(at, at + 8).toString('latin1') === 'KDUMP   ';
  for (const at of TIMES) if (isHeader(at - 408)) copy.fill(0, at, at + 16);
  return copy;
}

/** Makes the inputs in `in/`, and what each writer makes of them undisturbed in `expected/`. */
export async function withDumpInputs(directory: Workdir): Promise<void> {
  directory.write('in/.keep', '').write('expected/.keep', '');
  await withDumps(directory, 'in/');
  instar('vmcore', 'flatten', 'in/dump.kdump', 'in/dump.flat').in(directory).must();
  await writeDump(windows(), { file: directory.file('in/windows.elf') }, { format: 'elf' });
  directory.write('in/memory.raw', memoryContent());
  // Its second bitmap is lost (struct disk_dump_header: sub_hdr_size and bitmap_blocks).
  const damaged = directory.read('in/dump.kdump');
  const [sub, bitmaps] = [damaged.readUInt32LE(432), damaged.readUInt32LE(436)];
  directory.write('in/damaged.kdump', damaged.fill(0, (1 + sub + bitmaps / 2) * 4096, (1 + sub + bitmaps) * 4096));
  for (const [index, [words, input, outputs]] of WRITERS.entries()) {
    const names = outputs.map((name) => `expected/${index}-${name}`);
    instar('vmcore', ...words, `in/${input}`, ...names)
      .in(directory)
      .must();
  }
}

/** Every writer to new files and over existing ones. Whether a writer is right is for tests/vmcore to say. */
export function vmcoreScenarios(): Scenario[] {
  return WRITERS.flatMap(([words, input, outputs], index) =>
    [false, true].map((replaces): Scenario => {
      /** What is wrong with an output that must be complete. */
      const incomplete = (directory: Workdir, output: string, name: string): string | undefined => {
        const wanted = timeless(directory.read(`expected/${index}-${name}`));
        return sameBytes(timeless(directory.read(`${output}/${name}`)), wanted, name);
      };
      const name = `vmcore ${words.join(' ')} to ${replaces ? 'existing' : 'new'} files`;
      return {
        name,
        makesCallsAs: name,
        device: undefined,
        command: (output) => instar('vmcore', ...words, `in/${input}`, ...outputs.map((name) => `${output}/${name}`)),
        prepare(directory, output) {
          if (replaces) for (const name of outputs) directory.write(`${output}/${name}`, OLD);
        },
        judgeSuccess(directory, output) {
          const found = directory.names(output);
          if (found.join() !== outputs.join()) return `the directory holds ${found.join(', ')}`;
          return outputs.map((name) => incomplete(directory, output, name)).find((problem) => problem !== undefined);
        },
        judgeFailure(directory, output) {
          const found = directory.names(output);
          const foreign = found.find((name) => !outputs.includes(name));
          if (foreign !== undefined) return `${foreign} is left`;
          if (replaces && found.length < outputs.length) return 'an old output is gone';
          // Parts of a split dump that were complete stay, as its documentation says, but never the last one.
          const changed = found.filter((name) => !(replaces && directory.read(`${output}/${name}`).equals(OLD)));
          if (changed.length === outputs.length) return 'the last output has changed';
          return changed.map((name) => incomplete(directory, output, name)).find((problem) => problem !== undefined);
        },
      };
    }),
  );
}
