import { WRITABLE_FORMATS, type Sandbox } from '@instar/engine';
import { instar, program } from '../support/command.js';
import { openedBy, PASSPHRASE } from '../support/encrypted-images.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import type { Workdir } from '../support/workdir.js';
import { onlyOutput, untouched } from './dd-scenarios.js';
import { INPUTS, type InputKind } from './images.js';
import type { Scenario } from './scenario.js';

const OLD = noise(1_234_567, 24);
/** Plain bytes, bytes that are decoded, and bytes of two files. */
const READ_FROM: readonly InputKind[] = ['raw', 'zlib', 'chain'];
/** Formats that `qemu-img check` does not look at. */
const UNCHECKED = new Set(['raw', 'vpc', 'qcow', 'luks']);

/** The passphrase of outputs that have one. */
const OPENED = ['--object', `secret,id=sec0,data=${PASSPHRASE.replaceAll(',', ',,')}`];
/** What outputs of a format cannot do without. */
const NEEDED: Readonly<Record<string, readonly string[]>> = { luks: [...OPENED, '-o', 'iter-time=10'] };

/** Outputs that are written in another way than their format's usual one. */
const OTHERS: readonly { readonly format: string; readonly words: readonly string[] }[] = [
  // The guest encodes clusters.
  { format: 'qcow2', words: ['-c'] },
  { format: 'vmdk', words: ['-o', 'subformat=streamOptimized'] },
  // Only what differs is written.
  { format: 'qcow2', words: ['-B', '../in/base.qcow2', '-F', 'qcow2'] },
  { format: 'qcow2', words: ['-o', 'extended_l2=on,preallocation=metadata'] },
  { format: 'vhdx', words: ['-o', 'subformat=fixed'] },
  // Several files, the last of which names the others.
  { format: 'vmdk', words: ['-o', 'subformat=monolithicFlat'] },
  { format: 'vmdk', words: ['-o', 'subformat=twoGbMaxExtentSparse'] },
  { format: 'qcow2', words: ['-o', 'data_file=out-data'] },
  // The host writes a header of its own.
  { format: 'qcow2', words: [...OPENED, '-o', 'encrypt.format=luks,encrypt.iter-time=10'] },
  // The disk lies inside a file, around which the host writes.
  { format: 'ova', words: [] },
  // The output is read back.
  { format: 'qcow2', words: ['-c', '--checksum=sha256'] },
];

/** Names of the files beside an output. */
const EXTENTS: ReadonlyMap<string, readonly string[]> = new Map([
  ['-o,subformat=monolithicFlat', ['out-flat']],
  ['-o,subformat=twoGbMaxExtentSparse', ['out-s001']],
  ['-o,data_file=out-data', ['out-data']],
]);

/** Whether Android's own program unpacks an output to the disk. */
function unpacksToTheDisk(directory: Workdir, output: string): string | undefined {
  const { status, stderr } = program('simg2img', `${output}/out`, `${output}/unpacked`).in(directory).run();
  if (status !== 0) return `simg2img: ${stderr}`;
  const disk = directory.read('in/disk.raw');
  const unpacked = directory.read(`${output}/unpacked`);
  const same = unpacked.subarray(0, disk.length).equals(disk) && unpacked.length - disk.length < 4096;
  return same ? undefined : 'simg2img: not the disk';
}

/** Whether an output is whole, and holds the disk that was converted. */
function holdsTheDisk(
  directory: Workdir,
  output: string,
  format: string,
  encrypted: boolean,
  file = 'out',
): string | undefined {
  // QEMU looks for a data file in the directory in which it is started.
  const here = `${directory.path}/${output}`;
  if (format === 'simg') return unpacksToTheDisk(directory, output);
  if (format === 'ova') {
    const { status, stderr } = program('tar', '-xf', 'out', 'out-disk1.vmdk').in(here).run();
    if (status !== 0) return `tar: ${stderr}`;
    return holdsTheDisk(directory, output, 'vmdk', encrypted, 'out-disk1.vmdk');
  }
  if (!UNCHECKED.has(format)) {
    const image = encrypted ? openedBy(file, format) : ['-f', format, file];
    const { status, stdout, stderr } = qemuImg('check', '-q', ...image)
      .in(here)
      .run();
    if (status !== 0) return `qemu-img check: ${stdout}${stderr}`;
  }
  const images = encrypted
    ? [...openedBy(file, format), 'driver=raw,file.filename=../in/disk.raw']
    : ['-f', format, '-F', 'raw', file, '../in/disk.raw'];
  const compared = qemuImg('compare', ...images)
    .in(here)
    .run();
  return compared.status === 0 ? undefined : `qemu-img compare: ${compared.stdout}${compared.stderr}`;
}

/** convert to every format that is written, to new files and over existing ones. */
export function convertScenarios(sandbox: Sandbox): Scenario[] {
  const outputs = [...WRITABLE_FORMATS.map((format) => ({ format, words: NEEDED[format] ?? [] })), ...OTHERS];
  return outputs.flatMap(({ format, words }) =>
    READ_FROM.flatMap((input) =>
      [undefined, OLD].map((old): Scenario => ({
        name: `convert of ${input} to ${old === undefined ? 'new' : 'existing'} ${[format, ...words].join(' ')} (${sandbox})`,
        makesCallsAs: `convert of ${input} to ${[format, ...words].join(' ')}`,
        device: undefined,
        command: (output) =>
          instar('convert', `--sandbox=${sandbox}`, '-O', format, ...words, `in/${INPUTS[input]}`, `${output}/out`),
        prepare(directory, output) {
          if (old !== undefined) directory.write(`${output}/out`, old);
        },
        judgeSuccess: (directory, output) =>
          onlyOutput(directory, output, EXTENTS.get(words.join())) ??
          holdsTheDisk(directory, output, format, words.includes('--object')),
        judgeFailure: untouched(old),
      })),
    ),
  );
}
