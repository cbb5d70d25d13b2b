// Command lines as people type them for qemu-img, right and wrong ones: the exit codes are those of qemu-img.
import { beforeAll, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { Workdir } from '../support/workdir.js';

let directory: Workdir;

beforeAll(() => {
  directory = new Workdir();
  directory.write('disk.raw', noise(200_704)).write('empty', '');
  instar('convert', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
  return () => {
    directory.remove();
  };
});

it.for([
  'compare -T none disk.qcow2 disk.raw',
  'compare -T writeback disk.qcow2 empty',
  'compare -f vmdk disk.raw disk.raw',
  'compare disk.raw',
  'compare disk.raw nosuch',
  'check -T off disk.qcow2',
  'check -T bogus disk.qcow2',
  'compare -T bogus disk.raw disk.raw',
  'compare -f bogus disk.raw disk.raw',
  'compare --bogus disk.raw disk.raw',
  'compare --object bogus disk.raw disk.raw',
  'compare --object secret,id=x disk.raw disk.raw',
  'compare --object secret,data=x disk.raw disk.raw',
  'compare --object secret,id=x,data=y,format=z disk.raw disk.raw',
  'compare --image-opts disk.raw disk.qcow2',
  'compare -f raw --image-opts driver=raw,file.filename=disk.raw driver=raw,file.filename=disk.raw',
  'check -f raw disk.qcow2',
  'check -f bogus disk.qcow2',
  'check -r all -f bogus disk.qcow2',
  'check disk.qcow2 disk.raw',
  'map disk.raw disk.qcow2',
  'map --output=bogus disk.raw',
  'measure',
  'measure --size 1X',
  'create out.raw',
  'create -f bogus out.raw 1M',
  'create nodir/out.raw 1M',
  'create out.raw 1M 2M',
  'convert disk.raw',
  'convert disk.raw nodir/out.raw',
  'convert disk.raw /dev/null',
  'convert -O bogus disk.raw out.raw',
  'convert -f qcow2 disk.raw out.raw',
  'convert -t bogus disk.raw out.raw',
  'convert -T bogus disk.raw out.raw',
  'convert -t none -T unsafe disk.raw out.raw',
  'convert -m 0 disk.raw out.raw',
  'convert -S 1 disk.raw out.raw',
  'convert -S 5000000000 disk.raw out.raw',
  'convert -S 64k disk.raw out.raw',
  'convert -O bogus -o cluster_size=64k disk.raw out.raw',
  'convert -O qcow2 -o cluster_size=x disk.raw out.qcow2',
  'convert -O qcow2 -o cluster_size=128k,nosuch=1 disk.raw out.qcow2',
  'create -f qcow2 -o cluster_size=128k new.qcow2 1M',
  'create -f qcow2 -o cluster_size=100k new.qcow2 1M',
  'create -f qcow2 -o help',
  'convert -c -O vdi disk.raw out.vdi',
  'convert -m 17 disk.raw out.raw',
  'convert -m 4 -W disk.raw out.raw',
  'convert disk.raw out.raw -O vdi',
])('%s ends as with qemu-img', (line, context) => {
  requireJudge(context, QEMU_IMG);
  const words = line.split(' ');
  const judged = qemuImg(...words)
    .in(directory)
    .run();
  const ours = instar(...words)
    .in(directory)
    .run();
  expect(ours.status, ours.stderr).toBe(judged.status);
});
