// The structures of disk images are at hand on the command line: images of qemu-img, read by their names.
import { expect, it } from 'vitest';
import { instar, program } from '../support/command.js';
import { QEMU_IMG, requireJudge, type Judge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { workdir } from '../support/workdir.js';

const GCC: Judge = { program: 'gcc', probe: ['--version'], package: 'gcc' };

it('decodes the header of an image that qemu-img made, and a structure further on', (context) => {
  requireJudge(context, QEMU_IMG);
  const directory = workdir();
  qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=32k', 'disk.qcow2', '300M').in(directory).must();
  qemuImg('create', '-q', '-f', 'vhdx', 'disk.vhdx', '30M').in(directory).must();
  const decode = (type: string, place: string): string =>
    instar('abi', 'decode', '--json', '--from', 'disk-images', type, place).in(directory).must().stdout;
  expect(JSON.parse(decode('Qcow2Header', 'disk.qcow2'))).toMatchObject({
    value: { version: 3, cluster_bits: 15, size: 300 << 20 },
  });
  expect(JSON.parse(decode('VhdxHeader', 'disk.vhdx@64k'))).toMatchObject({
    value: { Version: 1, LogLength: 1 << 20 },
  });
  const page = instar('abi', 'inspect', '--html', '--from', 'disk-images', 'VhdxHeader', 'disk.vhdx@64k')
    .in(directory)
    .must().stdout;
  expect(page).toContain('LogLength');
});

it('lists them, and gives them to other languages', (context) => {
  requireJudge(context, GCC);
  const directory = workdir();
  const shown = instar('abi', 'show', '--from', 'disk-images').in(directory).must().stdout;
  expect(shown).toMatch(/VpcFooter +512 /);
  directory.write(
    'vpc.h',
    instar('abi', 'emit', '--from', 'disk-images', '--to', 'c', 'VpcDynamicHeader').in(directory).must().stdout,
  );
  program('gcc', '-std=c11', '-fsyntax-only', '-x', 'c', 'vpc.h').in(directory).must();
  const { status, stderr } = instar('abi', 'show', '--from', 'disk-images', 'VpcFoot').in(directory).run();
  expect([status, stderr]).toEqual([1, 'instar: abi: found no type VpcFoot; there is VpcFooter\n']);
});
