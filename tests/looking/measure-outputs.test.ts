// What measure says of every output is what convert then writes.
import { ftruncateSync, openSync, closeSync, statSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const MIB = 1 << 20;
const SIZE = 37 * MIB + 512;

/** Data in whole pages with holes between, and a page at the end. */
function sparse(directory: Workdir): void {
  const file = openSync(directory.file('disk.raw'), 'w');
  for (const [at, length] of [
    [0, 8192],
    [3 * MIB, 2 * MIB],
    [20 * MIB, 65_536],
    [SIZE - 512, 512],
  ] as const) {
    writeSync(file, noise(length, at + 1), 0, length, at);
  }
  ftruncateSync(file, SIZE);
  closeSync(file);
}

const OUTPUTS: readonly (readonly string[])[] = [
  ['raw'],
  ['qcow2'],
  ['qcow2', '-o', 'cluster_size=4k,refcount_bits=64,extended_l2=off'],
  ['qcow2', '-o', 'extended_l2=on'],
  ['vmdk'],
  ['vmdk', '-o', 'subformat=streamOptimized'],
  ['vdi'],
  ['vdi', '-o', 'static=on'],
  ['vpc'],
  ['vpc', '-o', 'force_size=on'],
  ['vpc', '-o', 'subformat=fixed'],
  ['vhdx'],
  ['vhdx', '-o', 'block_size=1M'],
  ['vhdx', '-o', 'log_size=9M'],
  ['vhdx', '-o', 'subformat=fixed'],
  ['parallels'],
  ['qed'],
  ['qcow'],
];

interface Measured {
  readonly required: number;
  readonly 'fully-allocated': number;
}

describe('measure says how long an output becomes', () => {
  it.for(['compat=0.10', 'compat=1.1'])(
    'with the keys of qemu-img for %s, which has bitmaps or not',
    (option, context) => {
      requireJudge(context, QEMU_IMG);
      const directory = workdir();
      qemuImg('create', '-q', '-f', 'qcow2', 'disk.qcow2', '3M').in(directory).must();
      const words = ['measure', '--output=json', '-O', 'qcow2', '-o', option, 'disk.qcow2'];
      const [ours, theirs] = [instar(...words), qemuImg(...words)].map(
        (command) => JSON.parse(command.in(directory).must().stdout) as object,
      );
      expect(ours).toEqual(theirs);
    },
  );

  it.for(OUTPUTS)('%s %s %s', ([format = '', ...options]) => {
    const directory = workdir();
    sparse(directory);
    const words = ['-f', 'raw', '-O', format, ...options];
    const measured = (...what: readonly string[]): Measured =>
      JSON.parse(
        instar('measure', '--output=json', '-O', format, ...options, ...what)
          .in(directory)
          .must().stdout,
      ) as Measured;
    const written = (input: string): number => {
      instar('convert', ...words, input, 'out')
        .in(directory)
        .must();
      return statSync(directory.file('out')).size;
    };
    const { required, 'fully-allocated': full } = measured('-f', 'raw', 'disk.raw');
    directory.write('full.raw', noise(SIZE, 77));
    // How long what is compressed becomes shows only then; of qcow2, qemu-img counts tables that data may need.
    const atMost = format === 'qcow2' || options.includes('subformat=streamOptimized');
    for (const [length, said] of [
      [written('disk.raw'), required],
      [written('full.raw'), full],
    ] as const) {
      if (atMost) expect(length).toBeLessThanOrEqual(said);
      else expect(length).toBe(said);
    }
    const empty = measured('--size', String(SIZE));
    expect(empty['fully-allocated']).toBe(full);
    instar('create', '-q', '-f', format, ...options, 'empty', String(SIZE))
      .in(directory)
      .must();
    const created = statSync(directory.file('empty')).size;
    if (format === 'qcow2') expect(created).toBeLessThanOrEqual(empty.required);
    else expect(created).toBe(empty.required);
  });
});
