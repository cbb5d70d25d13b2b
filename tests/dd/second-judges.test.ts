import { compare, dd } from '@instar/engine';
import { describe, expect, it } from 'vitest';

import { program } from '../support/command.js';
import { QEMU_IMG, requireJudge, type Judge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { workdir } from '../support/workdir.js';
import { mixed } from '../support/zoo.js';

// The readers of libyal share no code with QEMU: what both of them read alike, the format says.

const PYTHON = '/usr/bin/python3';

function library(module: string): Judge {
  const probe = ['-c', `import py${module}; print(py${module}.get_version())`];
  return { program: PYTHON, probe, package: `python3-lib${module}` };
}

/** Writes the disk inside an image to standard output. */
const READ = `
import sys
module, image, output = sys.argv[1:]
library = __import__("py" + module)
disk = library.handle() if module == "vmdk" else library.file()
disk.open(image)
if module == "vmdk":
    disk.open_extent_data_files()
left = disk.media_size
with open(output, "wb") as target:
    while left > 0:
        piece = disk.read(min(left, 1 << 20))
        if not piece:
            break
        target.write(piece)
        left -= len(piece)
`;

const MIB = 1 << 20;
/** Images by the module that reads them, the format as qemu-img names it, and options of creation. */
const IMAGES: readonly (readonly [module: string, format: string, options: string])[] = [
  ['vmdk', 'vmdk', 'subformat=monolithicSparse'],
  ['vmdk', 'vmdk', 'subformat=streamOptimized'],
  ['vmdk', 'vmdk', 'subformat=monolithicFlat'],
  ['vmdk', 'vmdk', 'zeroed_grain=on'],
  ['vmdk', 'vmdk', 'subformat=twoGbMaxExtentSparse'],
  ['vhdi', 'vpc', 'subformat=dynamic,force_size=on'],
  ['vhdi', 'vpc', 'subformat=fixed,force_size=on'],
  ['vhdi', 'vhdx', 'subformat=dynamic,block_size=1M'],
  ['vhdi', 'vhdx', 'subformat=fixed'],
  ['vhdi', 'vhdx', 'log_size=5M'],
  ['qcow', 'qcow2', 'compat=0.10'],
  ['qcow', 'qcow2', 'cluster_size=512'],
];

describe('a second judge', () => {
  it.for(IMAGES)('(lib%s) reads %s with %s as it is read here', async ([module, format, options], context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, library(module));
    const disk = mixed(3 * MIB, 9);
    const directory = workdir().write('disk.raw', disk).write('read.py', READ);
    const compress = format === 'qcow2' && options.startsWith('cluster') ? ['-c'] : [];
    const convert = qemuImg('convert', '-f', 'raw', '-O', format, ...compress, '-o', options, 'disk.raw', 'image');
    convert.in(directory).must();
    program(PYTHON, 'read.py', module, 'image', 'judged.raw').in(directory).must();
    const judged = directory.read('judged.raw');
    const [image, out] = [directory.file('image'), directory.file('out.raw')];
    await dd({ input: { path: image }, output: { path: out }, inputFormat: format, blockSize: MIB });
    expect(judged.length).toBeGreaterThanOrEqual(disk.length);
    expect(directory.read('out.raw').equals(judged)).toBe(true);
  });

  it.for(['vmdk', 'vpc', 'vhdx'])('reads what is written as %s', async (format, context) => {
    requireJudge(context, QEMU_IMG);
    const module = format === 'vmdk' ? 'vmdk' : 'vhdi';
    requireJudge(context, library(module));
    const directory = workdir()
      .write('disk.raw', mixed(3 * MIB, 10))
      .write('read.py', READ);
    const [raw, image] = [directory.file('disk.raw'), directory.file('image')];
    await dd({ input: { path: raw }, output: { path: image }, inputFormat: 'raw', outputFormat: format });
    program(PYTHON, 'read.py', module, 'image', 'judged.raw').in(directory).must();
    const same = await compare(raw, directory.file('judged.raw'), { firstFormat: 'raw', secondFormat: 'raw' });
    expect(same.identical).toBe(true);
  });
});
