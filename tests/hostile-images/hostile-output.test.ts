// A disk whose content is an image: copied as it is, it would make programs that guess formats open files of its choice.
import { expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';

/** A qcow2 image whose disk begins with another image, which has a backing file. */
function nested(...create: readonly string[]): Workdir {
  const directory = workdir().write('secret', 'the secret of somebody else'.padEnd(512));
  qemuImg('create', '-q', ...create)
    .in(directory)
    .must();
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', 'inner', 'disk.qcow2').in(directory).must();
  return directory;
}

it.for<[what: string, create: string[]]>([
  ['qcow2 image with a backing file', ['-f', 'qcow2', '-u', '-b', '/etc/shadow', '-F', 'raw', 'inner', '1M']],
  ['qcow2 image with a data file', ['-f', 'qcow2', '-o', 'data_file=secret', 'inner', '1M']],
  ['VMDK descriptor with an extent file', ['-f', 'vmdk', '-o', 'subformat=monolithicFlat', 'inner', '1M']],
  ['QED image with a backing file', ['-f', 'qed', '-u', '-b', '/etc/shadow', '-F', 'raw', 'inner', '1M']],
])('a raw output that begins like a %s is warned of', ([, create], context) => {
  requireJudge(context, QEMU_IMG);
  const directory = nested(...create);
  const copied = instar('dd', 'if=disk.qcow2', 'of=out.raw').in(directory).run();
  expect(copied.status).toBe(0);
  expect(copied.stderr).toMatch(/^instar: dd: warning: out\.raw: the copied disk begins like an image [^\n]+\n$/);
  const begin = directory.read('inner').subarray(0, 4096);
  expect(directory.read('out.raw').subarray(0, begin.length).equals(begin)).toBe(true);
  // Who says what the input is has been asked.
  expect(instar('dd', '-f', 'qcow2', 'if=disk.qcow2', 'of=out.raw').in(directory).must().stderr).toBe('');
});

it.for([
  ['qcow2 image without other files', ['-f', 'qcow2', 'inner', '1M']],
  ['VDI image', ['-f', 'vdi', 'inner', '1M']],
  ['VMDK image in one file', ['-f', 'vmdk', 'inner', '1M']],
  ['LUKS volume', ['-f', 'luks', '--object', 'secret,id=s,data=x', '-o', 'key-secret=s,iter-time=10', 'inner', '1M']],
] as const)('a raw output that begins like a %s is the disk of somebody', ([, create], context) => {
  requireJudge(context, QEMU_IMG);
  const directory = nested(...create);
  expect(instar('dd', 'if=disk.qcow2', 'of=out.raw').in(directory).must().stderr).toBe('');
  qemuImg('compare', '-q', '-f', 'qcow2', '-F', 'raw', 'disk.qcow2', 'out.raw').in(directory).must();
});

it.for<[what: string, inner: string, warned: boolean]>([
  ['VMDK', 'KDMV\u0009', true],
  ['QED', 'QED\0', true],
  ['VHDX', 'vhdxfile', true],
  ['VHD', 'conectix', true],
  ['Bochs', 'Bochs Virtual HD Image'.padEnd(32, '\0') + 'Redolog', false],
])(
  'a raw output that begins like a damaged %s image is warned of only if that could name files',
  ([, inner, warned], context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('inner', inner.padEnd(4096, '\0'));
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', 'inner', 'disk.qcow2').in(directory).must();
    const copied = instar('dd', 'if=disk.qcow2', 'of=out.raw').in(directory).must();
    expect(copied.stderr).toMatch(warned ? /^instar: dd: warning: out\.raw: [^\n]+\n$/ : /^$/);
  },
);
