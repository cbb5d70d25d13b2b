import { instar } from '../support/command.js';
import type { Workdir } from '../support/workdir.js';
import { withDumps } from '../vmcore-cli/dump-files.js';
import { sameBytes } from './dd-scenarios.js';
import type { Scenario } from './scenario.js';

const OLD = Buffer.from('dumps that were there before\n'.repeat(999));

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

/** Makes `in/dump.elf`, `in/dump.kdump`, `in/dump.flat`, and what each writer makes of them undisturbed in `expected/`. */
export async function withDumpInputs(directory: Workdir): Promise<void> {
  directory.write('in/.keep', '').write('expected/.keep', '');
  await withDumps(directory, 'in/');
  instar('vmcore', 'flatten', 'in/dump.kdump', 'in/dump.flat').in(directory).must();
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
