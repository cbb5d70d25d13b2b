// What the program that stands in for qemu-img says of command lines that are wrong, and of files that are not what they
// were said to be: word for word what qemu-img says, since callers look for it.
import { chmodSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { program } from '../support/command.js';
import { QEMU_IMG, judgeVersion, requireJudge, skipLoudly, skipWithoutRight } from '../support/judge.js';
import { qemuImg, qemuMajorVersion } from '../support/qemu-img.js';
import { workdir, Workdir } from '../support/workdir.js';
import { WRONG_OPTIONS } from './wrong-options.js';

const OURS = fileURLToPath(new URL('../../packages/qemu-img/bin/qemu-img.js', import.meta.url));

/** What is compared of an image. */
interface Told {
  readonly format: string;
  readonly 'virtual-size': number;
  readonly 'cluster-size'?: number;
  readonly 'format-specific'?: { readonly data?: { readonly bitmaps?: unknown } };
}

const LINES = [
  'check disk.raw',
  'check --output=json -f raw disk.raw',
  'check -f qcow2 disk.raw',
  'check missing',
  'info -f qcow2 disk.raw',
  'info missing',
  'map -f qcow2 disk.raw',
  'convert -f qcow2 disk.raw out',
  'convert disk.raw',
  'convert -m 17 disk.raw out',
  'convert -t sometimes disk.raw out',
  'convert -T never disk.raw out',
  'convert -c -O vdi disk.raw out',
  'convert -B disk.qcow2 -O vhdx disk.raw out',
  'convert -O qcow3 disk.raw out',
  'create -f raw out 5000',
  'create -f qcow2 out 700',
  'create -f vdi out 12z',
  'measure -O qcow2',
  'measure -O qcow2 --size -1',
  'measure -O qcow2 --size 8E',
  'measure -O qcow2 disk.raw disk.raw',
  'map -s -1 disk.raw',
  'map -l -1 disk.raw',
  'convert -S -1 disk.raw out',
  'convert -r -1 disk.raw out',
  'commit -r -1 over.qcow2',
  'resize',
  'resize disk.qcow2',
  'resize disk.qcow2 1000001',
  'resize disk.qcow2 512K',
  'resize disk.qcow2 0',
  'resize --preallocation=sometimes disk.qcow2 4M',
  'resize -f raw --preallocation=metadata disk.raw 4M',
  'resize --shrink --preallocation=full disk.qcow2 512K',
  'check -r all disk.vmdk',
  'bitmap --clear -b disk.raw disk.qcow2 b0',
  'bitmap --merge b1 -F qcow2 disk.qcow2 b0',
  'commit -r fast disk.qcow2',
  'snapshot -d gone disk.qcow2',
  'snapshot -a gone disk.qcow2',
  'snapshot -l -c new disk.qcow2',
  'snapshot -c new missing',
  'amend disk.qcow2',
  'amend -o cluster_size=4k disk.qcow2',
  'amend -o speed=1 disk.qcow2',
  'amend -o backing_file=x disk.qcow2',
  'amend -o refcount_bits=7 disk.qcow2',
  'amend -o lazy_refcounts=maybe disk.qcow2',
  'amend -f raw -o size=1M disk.raw',
  'bitmap disk.qcow2 b0',
  'bitmap --add disk.qcow2',
  'bitmap --add disk.qcow2 b0 b1',
  'bitmap --remove disk.qcow2 gone',
  'bitmap --merge gone --add disk.qcow2 b0',
  'bitmap --add -g 1000 disk.qcow2 b0',
  'bench -c 0 disk.qcow2',
  'bench -c x disk.qcow2',
  'bench -d 0 disk.qcow2',
  'bench -s 0 disk.qcow2',
  'bench -s x disk.qcow2',
  'bench -S 3G disk.qcow2',
  'bench -o -1 disk.qcow2',
  'bench -w --pattern=256 disk.qcow2',
  'bench --flush-interval=1 disk.qcow2',
  'bench -w --flush-interval=10 disk.qcow2',
  'bench -n disk.qcow2',
  'bench -t foo disk.qcow2',
  'bench -i foo disk.qcow2',
  'bench -c 3 -o 1G disk.qcow2',
  'bench missing',
  'rebase disk.qcow2',
  'rebase -b disk.qcow2 -F nonsense over.qcow2',
  'rebase -u -b disk.qcow2 -F nonsense over.qcow2',
  'rebase -u -b x disk.qcow2',
  'commit disk.qcow2',
  'check -r some disk.qcow2',
  'dd if=disk.raw',
  'dd of=out',
  'dd if=disk.raw of=out bs=0',
  'dd if=disk.raw of=out speed=1',
  'check',
  'check disk.qcow2 disk.qcow2',
  'check -f nonsense disk.qcow2',
  'check --output=xml disk.qcow2',
  'check -r all -f nonsense disk.qcow2',
  'info',
  'info disk.raw disk.raw',
  'info -f nonsense disk.raw',
  'map --output=xml disk.raw',
  'map disk.raw disk.raw',
  'snapshot -l disk.raw disk.raw',
  'rebase -u -b none disk.raw disk.raw',
  'commit',
  'commit -b none over.qcow2',
  'bench disk.raw disk.raw',
  'compare disk.raw',
  'amend -o compat=none disk.qcow2',
  'amend -o compat=0.10',
  'amend -o help',
  'amend -f raw -o help',
  'amend -t sometimes -o compat=0.10 disk.qcow2',
  'bitmap --clear -g 512 disk.qcow2 b0',
  'convert -m many disk.raw out',
  'convert -S 1000 disk.raw out',
  'convert -S some disk.raw out',
  'convert -f nonsense disk.raw out',
  'convert -O bochs disk.raw out',
  'convert -B disk.qcow2 -O qcow2 disk.raw out',
  'convert --target-is-zero disk.raw out',
  'convert -c -O qcow2 -o preallocation=full disk.raw out',
  'convert --bitmaps disk.qcow2 out',
  'convert --bitmaps -O qcow2 disk.raw out',
  'convert -l s1 disk.qcow2 disk.qcow2 out',
  // The format of what is changed is guessed, or said.
  'resize disk.raw 1M',
  'resize -f raw disk.raw 1M',
  'resize disk.qcow2 1M',
  'amend -o compat=1.1 disk.raw',
];

describe('the stand-in says word for word what qemu-img says', () => {
  let directory: Workdir;

  beforeAll(() => {
    directory = new Workdir();
    if (judgeVersion(QEMU_IMG) === undefined) return;
    qemuImg('create', '-q', '-f', 'raw', 'disk.raw', '1M').in(directory).must();
    for (const format of ['qcow2', 'vmdk', 'parallels']) {
      qemuImg('create', '-q', '-f', format, `disk.${format}`, '1M').in(directory).must();
    }
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'disk.qcow2', '-F', 'qcow2', 'over.qcow2').in(directory).must();
  });

  afterAll(() => {
    directory.remove();
  });

  it.for([...LINES, ...WRONG_OPTIONS])('%s', (line, context) => {
    requireJudge(context, QEMU_IMG);
    if (qemuMajorVersion() < 10) skipLoudly(context, 'sentences are those of qemu-img 10');
    const words = line.split(' ');
    const [theirs, ours] = [qemuImg(...words), program(process.execPath, OURS, ...words)].map((command) => {
      const { status, stdout, stderr } = command.in(directory).run();
      directory.delete('out');
      return { status, stdout, stderr };
    });
    // Both say whom to ask for help, by the names that they were called by.
    const stderr = theirs?.stderr.replace(/^Try '.*qemu-img /m, "Try 'qemu-img ").replace(/^\S*qemu-img /, 'qemu-img ');
    const asked = { ...theirs, stderr };
    expect(ours).toEqual(asked);
  });

  it.for([
    'create -f raw -o nocow=on out 1M',
    'create -f vmdk -o extent_size_hint=1M,nocow=on out 1M',
    'create -f qcow2 -o nocow=on,extent_size_hint=0 out 1M',
    'create -f qcow2 -o refcount_bits=0x20 out 1M',
    'create -f qcow2 -b a,b.raw -F raw -u out 1M',
    'create -f vhdx -o block_size=512k out 10M',
    'create -f vhdx -o block_size=300M out 10M',
    'convert -O vdi -o nocow=on disk.raw out',
    'convert -O qcow2 -o size=8M disk.raw out',
    'resize --image-opts driver=qcow2,file.filename=out +1M',
    'resize file:out 3M',
    'bitmap --image-opts --add driver=qcow2,file.filename=out b0',
    'bitmap --add out json:b0',
    'snapshot -q -l out',
  ])('does the same: %s', (line, context) => {
    requireJudge(context, QEMU_IMG);
    if (qemuMajorVersion() < 10) skipLoudly(context, 'sentences are those of qemu-img 10');
    const words = line.split(' ');
    const [theirs, ours] = [qemuImg(...words), program(process.execPath, OURS, ...words)].map((command) => {
      qemuImg('create', '-q', '-f', 'qcow2', 'out', '1M').in(directory).must();
      qemuImg('snapshot', '-c', 's1', 'out').in(directory).must();
      const { status, stdout, stderr } = command.in(directory).run();
      const told = JSON.parse(qemuImg('info', '--output=json', 'out').in(directory).must().stdout) as Told;
      const { format, 'virtual-size': size, 'cluster-size': cluster } = told;
      const bitmaps = told['format-specific']?.data?.bitmaps;
      directory.delete('out');
      const listed = stdout.replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'then');
      return { status, listed, stderr, format, size, cluster, bitmaps };
    });
    expect(theirs?.status).toBe(0);
    expect(ours).toEqual(theirs);
  });

  it('says that it is the undo log that cannot be made beside an image, of which qemu-img has none', (context) => {
    requireJudge(context, QEMU_IMG);
    const other = ['--reuid=65534', '--clear-groups'];
    const words = [OURS, 'snapshot', '-c', 's1', '--sandbox=process', 'disk.qcow2'];
    const isRoot = process.geteuid?.() === 0;
    if (isRoot && program('setpriv', ...other, process.execPath, OURS, '--version').run().status !== 0)
      skipWithoutRight(context, 'needs to become another user who may read this checkout');
    const place = workdir();
    qemuImg('create', '-q', '-f', 'qcow2', 'disk.qcow2', '1M').in(place).must();
    chmodSync(place.file('disk.qcow2'), 0o666);
    chmodSync(place.path, 0o555);
    const command = isRoot
      ? program('setpriv', ...other, process.execPath, ...words)
      : program(process.execPath, ...words);
    const { status, stderr } = command.in(place).run();
    chmodSync(place.path, 0o755);
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/^qemu-img: disk\.qcow2: its undo log "[^"]*" cannot be created: /),
    ]);
  });

  it('calls itself by its name in its help and where standard output fails', () => {
    const help = program(process.execPath, OURS, 'convert', '--help').must().stdout;
    expect(help).toMatch(/^Usage: qemu-img convert /);
    const full = program('sh', '-c', `"${process.execPath}" "${OURS}" --help >/dev/full`).run();
    expect([full.status, full.stderr]).toEqual([1, expect.stringMatching(/^qemu-img: standard output: /)]);
  });

  it.for([
    'convert -p disk.raw out',
    'rebase -p -u -b disk.raw -F raw over.qcow2',
    'commit -p over.qcow2',
    'compare -p disk.raw disk.qcow2',
  ])('shows to its end how far it is, on one line: %s', (line, context) => {
    requireJudge(context, QEMU_IMG);
    const words = line.split(' ');
    const shown = [qemuImg(...words), program(process.execPath, OURS, ...words)].map((command) => {
      qemuImg('create', '-q', '-f', 'qcow2', '-b', 'disk.qcow2', '-F', 'qcow2', 'over.qcow2').in(directory).must();
      const { stdout } = command.in(directory).must();
      directory.delete('out');
      // How often it is told in between is for each to say.
      return stdout.replace(/(?: {4}\(\d+\.\d\d\/100%\)\r)+(?= {4}\(100\.00)/, '');
    });
    expect(shown[1]).toBe(shown[0]);
  });

  it('creates an image whose backing file is named from its own directory on', (context) => {
    requireJudge(context, QEMU_IMG);
    mkdirSync(directory.file('lower'));
    qemuImg('create', '-q', '-f', 'qcow2', 'lower/beside.qcow2', '3M').in(directory).must();
    const words = ['create', '-f', 'qcow2', '-b', 'beside.qcow2', '-F', 'qcow2', 'lower/top.qcow2'];
    const [theirs, ours] = [qemuImg(...words), program(process.execPath, OURS, ...words)].map((command) => {
      const { status, stdout, stderr } = command.in(directory).run();
      return { status, stdout, stderr };
    });
    expect(theirs?.status).toBe(0);
    expect(ours).toEqual(theirs);
  });

  it('says of an edit that is not done that it is not, and not that the image could not be opened', (context) => {
    requireJudge(context, QEMU_IMG);
    const [theirs, ours] = [qemuImg, (...words: string[]) => program(process.execPath, OURS, ...words)].map((command) =>
      command('resize', '-f', 'parallels', 'disk.parallels', '2M').in(directory).run(),
    );
    expect(ours?.status).toBe(theirs?.status);
    for (const run of [ours, theirs]) expect(run?.stderr).not.toContain('Could not open');
    expect(ours?.stderr).toContain('not done to images of format parallels');
  });
});
