import { describe, expect, it } from 'vitest';

import { instar, program } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const SIZE = (3 << 20) + 512;
/** What Python's parser of XML finds in a description: the file, the disk and the hardware. */
const READER = `
import sys, xml.etree.ElementTree as tree
ovf = '{http://schemas.dmtf.org/ovf/envelope/1}'
rasd = '{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}'
root = tree.parse(sys.argv[1]).getroot()
for file in root.iter(ovf + 'File'): print(file.get(ovf + 'href'), file.get(ovf + 'size'))
for disk in root.iter(ovf + 'Disk'): print(disk.get(ovf + 'capacity'), disk.get(ovf + 'format').split('#')[1])
for item in root.iter(ovf + 'Item'):
  names = [child.tag for child in item]
  assert names == sorted(names), names
  print(*(item.findtext(rasd + name) for name in ('ResourceType', 'ResourceSubType', 'HostResource', 'Parent')))
`;

function withDisk(): Workdir {
  const disk = Buffer.alloc(SIZE);
  noise(1_000_000, 8).copy(disk, 600_001);
  return workdir().write('disk.raw', disk).write('reader.py', READER);
}

describe('convert -O ova', () => {
  it.for(['kvm', 'process'])('writes an archive that tar unpacks, with the disk inside (%s)', (sandbox, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisk();
    instar('convert', `--sandbox=${sandbox}`, '-f', 'raw', '-O', 'ova', 'disk.raw', 'my box.ova').in(directory).must();
    const members = program('tar', '-tf', 'my box.ova').in(directory).must().stdout;
    // The description comes first, and the manifest last.
    expect(members).toBe('my_box.ovf\nmy_box-disk1.vmdk\nmy_box.mf\n');
    program('tar', '-xf', 'my box.ova').in(directory).must();
    qemuImg('compare', '-f', 'vmdk', '-F', 'raw', 'my_box-disk1.vmdk', 'disk.raw').in(directory).must();
    qemuImg('check', '-f', 'vmdk', 'my_box-disk1.vmdk').in(directory).must();
    // In the words of coreutils for the same.
    const manifest = directory.read('my_box.mf').toString().replaceAll('SHA256(', 'SHA256 (').replaceAll(')=', ') =');
    directory.write('sums', Buffer.from(manifest));
    expect(program('sha256sum', '--check', '--strict', 'sums').in(directory).must().stdout).toBe(
      'my_box.ovf: OK\nmy_box-disk1.vmdk: OK\n',
    );
    const length = directory.read('my_box-disk1.vmdk').length;
    const described = program('python3', 'reader.py', 'my_box.ovf').in(directory).must().stdout;
    expect(described.split('\n')).toEqual([
      `my_box-disk1.vmdk ${length}`,
      `${SIZE} streamOptimized`,
      '3 None None None',
      '4 None None None',
      '6 lsilogic None None',
      '17 None ovf:/disk/vmdisk1 3',
      '',
    ]);
    // And it is read again.
    expect(instar('compare', 'my box.ova', 'disk.raw').in(directory).run().stdout).toBe('Images are identical.\n');
  });

  it('has the adapter that was asked for, in the disk and in the hardware', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = withDisk();
    instar('convert', '-f', 'raw', '-O', 'ova', '-o', 'adapter_type=ide', 'disk.raw', 'box.ova').in(directory).must();
    program('tar', '-xf', 'box.ova').in(directory).must();
    const described = program('python3', 'reader.py', 'box.ovf').in(directory).must().stdout;
    expect(described).toContain('\n5 PIIX4 None None\n');
    expect(directory.read('box-disk1.vmdk').toString('latin1')).toContain('ddb.adapterType = "ide"');
  });

  it.for([
    [['-O', 'ova', '-o', 'subformat=monolithicSparse', 'disk.raw', 'out.ova'], /-o subformat: no option of ova/],
    [['-O', 'ova', 'disk.raw', '-'], /an appliance begins with the length of its disk: it needs a file to write to/],
    [['-O', 'ova', '-n', 'disk.raw', 'out.ova'], /-n: an appliance is written as a whole/],
    [['-O', 'ova', '-B', 'disk.raw', '-F', 'raw', 'disk.raw', 'out.ova'], /no option of ova outputs/],
  ] as const)('refuses %j', ([words, expected]) => {
    const directory = withDisk();
    const { status, stderr } = instar('convert', '-f', 'raw', ...words)
      .in(directory)
      .run();
    expect(status).toBe(1);
    expect(stderr).toMatch(/^[^\n]+\n$/);
    expect(stderr).toMatch(expected);
    expect(directory.names()).toEqual(['disk.raw', 'reader.py']);
  });

  it('leaves an existing appliance as it was when it fails', () => {
    const directory = withDisk().write('out.ova', 'what was there');
    const limited = ['sh', '-c', 'ulimit -f 900; trap "" XFSZ; exec "$0" "$@"'];
    const { status } = instar('convert', '-f', 'raw', '-O', 'ova', 'disk.raw', 'out.ova')
      .under(...limited)
      .in(directory)
      .run();
    expect(status).toBe(1);
    expect(directory.read('out.ova').toString()).toBe('what was there');
    expect(directory.names()).toEqual(['disk.raw', 'out.ova', 'reader.py']);
  });
});
