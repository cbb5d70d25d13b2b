// Command lines of qemu-img as platforms and tools have them in their sources, through the program that stands in for it:
// the same exit codes, the same disks, and what callers look for in what is printed.
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { program } from '../support/command.js';
import { described } from '../support/described.js';
import { QEMU_IMG, judgeVersion, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { Workdir } from '../support/workdir.js';

const OURS = fileURLToPath(new URL('../../packages/qemu-img/bin/qemu-img.js', import.meta.url));
const MIB = 1 << 20;

/** What a caller does with what is printed. */
interface Expectation {
  /** Format of the file `out` that is written. */
  readonly writes?: string;
  /** JSON whose fields must all be there with the same values. */
  readonly json?: boolean;
  /** The same text, character by character. */
  readonly text?: boolean;
  /** An expression that the caller looks for in standard output. */
  readonly looksFor?: RegExp;
  /** An expression that the caller looks for in standard error. */
  readonly complains?: RegExp;
}

const writes = (format: string): Expectation => ({ writes: format });
const PROGRESS = /\((\d?\d?\d\.\d\d)\/100%\)/;

const LINES: readonly (readonly [caller: string, words: string, expected: Expectation])[] = [
  ['oslo.utils', 'info --force-share --output=json src.qcow2', { json: true }],
  ['nova', 'info --force-share --output=json -f qcow2 src.qcow2', { json: true }],
  ['nova', 'convert -t none -O raw -f qcow2 src.qcow2 out', writes('raw')],
  ['nova', 'convert -t writethrough -O qcow2 -f raw src.raw out', writes('qcow2')],
  ['nova', 'create -f qcow2 -o backing_file=src.raw,backing_fmt=raw out 1073741824', writes('qcow2')],
  ['nova', 'create -f raw out 1G', writes('raw')],
  ['glance', 'info -f raw --output=json src.raw', { json: true }],
  ['glance', 'info --output=json src.vmdk', { json: true }],
  ['glance', 'convert -f qcow2 -O raw src.qcow2 out', writes('raw')],
  ['cinder', 'convert -O raw -t none -f qcow2 src.qcow2 out', writes('raw')],
  ['cinder', 'convert -O qcow2 -t none -f raw -c -W src.raw out', writes('qcow2')],
  ['cinder', 'create -f qcow2 -o preallocation=falloc out 8M', writes('qcow2')],
  ['cinder', 'info -f qcow2 --force-share src.qcow2', { text: true }],
  ['ironic', 'convert -f qcow2 -O raw -t directsync -S 0 -W -m 8 src.qcow2 out', writes('raw')],
  ['manila, ec2-api', 'convert -O raw src.vmdk out', writes('raw')],
  ['vdsm', 'info --output json -U src.qcow2', { json: true }],
  ['vdsm', 'create -f qcow2 -o compat=1.1 out 10485760', writes('qcow2')],
  ['vdsm', 'create -f qcow2 -u -o compat=1.1 -b src.qcow2 -F qcow2 out 10485760', writes('qcow2')],
  [
    'vdsm',
    'convert -p -t none -T none -f raw src.raw -O qcow2 -o compat=1.1 out',
    { writes: 'qcow2', looksFor: PROGRESS },
  ],
  ['vdsm', 'check --output json -f qcow2 src.qcow2', { json: true }],
  ['vdsm', 'map --output json src.qcow2', { json: true }],
  ['vdsm', 'measure --output json -f qcow2 -O qcow2 src.qcow2', { json: true }],
  ['vdsm', 'compare -p -f raw -F qcow2 src.raw src.qcow2', { looksFor: /^Images are identical\.$/m }],
  ['ovirt-imageio', 'convert -f qcow2 -O qcow2 -c -o compression_type=zstd src.qcow2 out', writes('qcow2')],
  ['proxmox', 'create -f qcow2 -o preallocation=metadata out 32768K', writes('qcow2')],
  ['proxmox', 'create -f raw -o preallocation=off out 32768K', writes('raw')],
  ['proxmox', 'create -F qcow2 -b src.qcow2 -f qcow2 out', writes('qcow2')],
  ['proxmox', 'info -f qcow2 --output=json src.qcow2', { json: true }],
  ['proxmox', 'convert -p -T none -f qcow2 -O raw src.qcow2 out', { writes: 'raw', looksFor: PROGRESS }],
  ['proxmox', 'measure -O qcow2 --size 1G --output=json', { json: true }],
  ['kubevirt cdi', 'info --output=json src.qcow2', { json: true }],
  ['kubevirt cdi', 'convert -t writeback -p -O raw src.qcow2 out', { writes: 'raw', looksFor: PROGRESS }],
  ['kubevirt cdi', 'create -f raw out 4194304', writes('raw')],
  ['kubevirt', 'create -f qcow2 -b src.raw -F raw out', writes('qcow2')],
  ['incus', 'convert -f qcow2 -O raw -t writeback src.qcow2 out', writes('raw')],
  ['incus', 'info -f qcow2 --output=json src.qcow2', { json: true }],
  ['libguestfs', '--help', { looksFor: /\binfo\b.*-U\b/ }],
  ['libguestfs', 'info -U --output json ./src.qcow2', { json: true }],
  ['libguestfs', 'create -f qcow2 -o preallocation=off,compat=1.1 out 64M', writes('qcow2')],
  ['libguestfs', 'create -f qcow2 -b src.raw -o backing_fmt=raw out', writes('qcow2')],
  ['virt-sparsify', 'convert -f qcow2 -O qcow2 src.qcow2 out', writes('qcow2')],
  ['virt-v2v', 'measure -f qcow2 -O raw --output=json src.qcow2', { json: true }],
  ['cloudstack', '--help', { looksFor: /--target-is-zero/ }],
  ['cloudstack', '--version', { looksFor: /version (\d+)\.(\d+)\.(\d+)/ }],
  ['cloudstack', 'info -U --image-opts driver=qcow2,file.filename=src.qcow2', { text: true }],
  ['cloudstack', 'convert -O qcow2 -U --image-opts driver=qcow2,file.filename=src.qcow2 out', writes('qcow2')],
  ['opennebula', 'create -o backing_fmt=raw -b src.raw -f qcow2 out 8388608', writes('qcow2')],
  ['opennebula', 'convert -q -m 4 -O qcow2 src.raw out', writes('qcow2')],
  ['packer', 'create -f qcow2 out 40960M', writes('qcow2')],
  ['packer', 'convert -c -O qcow2 src.qcow2 out', writes('qcow2')],
  ['packer', 'create -f qcow2 -b src.qcow2 -F qcow2 out 40960M', writes('qcow2')],
  ['vagrant-mutate', 'convert -p -S 16k -o compat=1.1 -O qcow2 src.vmdk out', writes('qcow2')],
  ['vagrant-libvirt', 'info --output=json src.qcow2', { json: true }],
  ['lima', 'info --output=json --force-share src.qcow2', { json: true }],
  ['lima', 'create -f qcow2 -F qcow2 -b src.qcow2 out 107374182400', writes('qcow2')],
  ['lima', 'convert -O raw src.qcow2 out', writes('raw')],
  ['Azure', 'convert -f raw -o subformat=fixed,force_size -O vpc src.raw out', writes('vpc')],
  ['Azure', 'info -f raw --output json src.raw', { json: true }],
  ['AWS', 'convert -f qcow2 -O vmdk -o subformat=streamOptimized src.qcow2 out', writes('vmdk')],
  ['Google Cloud', 'convert -f vmdk -O raw -S 512 src.vmdk out', writes('raw')],
  ['Alibaba Cloud', 'convert -f raw -O vpc -o subformat=dynamic src.raw out', writes('vpc')],
  ['Oracle Cloud', 'convert -f vmdk -O qcow2 src.vmdk out', writes('qcow2')],
  ['Hyper-V', 'convert -f qcow2 -O vhdx -o subformat=dynamic src.qcow2 out', writes('vhdx')],
  ['VirtualBox', 'convert -O vdi src.raw out', writes('vdi')],
  ['osbuild', 'convert -O vmdk -c -o subformat=streamOptimized src.raw out', writes('vmdk')],
  ['osbuild', 'convert -O qcow2 -c -o compat=0.10 src.raw out', writes('qcow2')],
  ['diskimage-builder', 'convert -c -f raw -O qcow2 -o cluster_size=2M src.raw out', writes('qcow2')],
  ['kiwi', 'convert -f raw -O vmdk -o adapter_type=lsilogic src.raw out', writes('vmdk')],
  ['yocto', 'convert -O vpc -o subformat=fixed src.raw out', writes('vpc')],
  ['a script', 'convert -fraw -Oqcow2 -pqc src.raw out', writes('qcow2')],
  ['a script', 'info --outp=json --backing src.qcow2', { json: true }],
  ['a script', 'dd if=src.qcow2 of=out bs=64k count=3', writes('raw')],
  ['anybody', 'info none.qcow2', { complains: /Could not open 'none\.qcow2'.*No such file or directory/ }],
  ['anybody', 'convert -O qcow2 none.raw out', { complains: /Could not open 'none\.raw'.*No such file or directory/ }],
  ['anybody', 'convert -O nonsense src.raw out', { complains: /Unknown file format 'nonsense'/ }],
  ['anybody', 'create -f qcow2 -b none -F raw out', { complains: /Could not open 'none'.*No such file or directory/ }],
  ['anybody', 'info --output=json file:src.qcow2', { json: true }],
  ['anybody', 'convert -O raw src.raw nothing:x', { complains: /Unknown protocol/ }],
  ['anybody', 'dd if=src.raw of=nothing:x bs=1M', { complains: /Unknown protocol/ }],
  ['anybody', 'dd -f raw -O raw if=file:src.raw of=out bs=1M', writes('raw')],
  ['anybody', 'nonsense', { complains: /not found: nonsense\nTry 'qemu-img --help' for more info/ }],
  ['anybody', 'info', { complains: /Try 'qemu-img info --help'|filename/ }],
  ['anybody', 'convert --nonsense src.raw out', { complains: /--nonsense/ }],
];

describe('command lines that platforms use', () => {
  let directory: Workdir;

  beforeAll(() => {
    directory = new Workdir();
    if (judgeVersion(QEMU_IMG) === undefined) return;
    directory.write('src.raw', Buffer.concat([noise(MIB, 3), Buffer.alloc(2 * MIB), noise(70_144, 4)]));
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-c', 'src.raw', 'src.qcow2').in(directory).must();
    qemuIo('src.qcow2', 'write -q -z 2M 64k').in(directory).must();
    qemuImg('convert', '-f', 'raw', '-O', 'vmdk', 'src.raw', 'src.vmdk').in(directory).must();
  });

  afterAll(() => {
    directory.remove();
  });

  it('are at least sixty', () => {
    expect(new Set(LINES.map(([, words]) => words)).size).toBeGreaterThanOrEqual(60);
  });

  it.for(LINES)('%s: qemu-img %s', ([, line, expected], context) => {
    requireJudge(context, QEMU_IMG);
    const words = line.split(' ');
    const run = (name: string, file: string): { status: number | null; stdout: string; stderr: string } => {
      const own = words.map((word) => (word === 'out' ? file : word === 'of=out' ? `of=${file}` : word));
      const { status, stdout, stderr } = program(name, ...own)
        .in(directory)
        .run();
      return { status, stdout: stdout.replaceAll(file, 'out'), stderr };
    };
    const [ours, theirs] = [run(OURS, 'ours.img'), run('qemu-img', 'theirs.img')];
    try {
      expect(ours.status, ours.stderr).toBe(theirs.status);
      if (expected.json === true) expect(JSON.parse(ours.stdout)).toMatchObject(JSON.parse(theirs.stdout) as object);
      if (expected.text === true || words[0] === 'create') expect(ours.stdout).toBe(theirs.stdout);
      if (expected.looksFor !== undefined) expect(ours.stdout).toMatch(expected.looksFor);
      if (expected.complains !== undefined) expect(ours.stderr).toMatch(expected.complains);
      else expect(ours.stderr).toBe('');
      if (expected.writes === undefined) return;
      const { writes: format } = expected;
      qemuImg('compare', '-f', format, '-F', format, 'ours.img', 'theirs.img').in(directory).must();
      expect(described(directory, format, 'ours.img')).toEqual(described(directory, format, 'theirs.img'));
    } finally {
      for (const file of ['ours.img', 'theirs.img']) rmSync(directory.file(file), { force: true });
    }
  });

  it('run where the address space is limited, as OpenStack starts them', (context) => {
    requireJudge(context, QEMU_IMG);
    const limited = (...words: readonly string[]): string =>
      program('prlimit', '--as=1073741824', '--cpu=30', OURS, ...words)
        .in(directory)
        .must().stdout;
    expect(JSON.parse(limited('info', '--force-share', '--output=json', 'src.qcow2'))).toMatchObject({
      format: 'qcow2',
    });
    limited('convert', '-O', 'raw', '-f', 'qcow2', 'src.qcow2', 'limited.raw');
    qemuImg('compare', '-f', 'qcow2', '-F', 'raw', 'src.qcow2', 'limited.raw').in(directory).must();
  });

  it('open what an image names elsewhere where the environment allows it', (context) => {
    requireJudge(context, QEMU_IMG);
    const elsewhere = new Workdir();
    try {
      elsewhere.write('base.raw', noise(MIB, 9));
      qemuImg('create', '-q', '-f', 'qcow2', '-b', elsewhere.file('base.raw'), '-F', 'raw', 'over.qcow2')
        .in(directory)
        .must();
      const convert = program(OURS, 'convert', '-O', 'raw', 'over.qcow2', 'over.raw').in(directory);
      const refused = convert.run();
      expect(refused.status).toBe(1);
      expect(refused.stderr).toMatch(/^qemu-img: Could not open 'over\.qcow2': [^\n]+\n$/);
      convert.environment({ INSTAR_ALLOW_PATH: `/nowhere:${elsewhere.path}` }).must();
      expect(directory.read('over.raw').equals(elsewhere.read('base.raw'))).toBe(true);
    } finally {
      elsewhere.remove();
    }
  });
});
