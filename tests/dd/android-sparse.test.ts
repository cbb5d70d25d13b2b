import { expect, it } from 'vitest';

import { instar, program } from '../support/command.js';
import { judgeVersion, skipLoudly, type Judge } from '../support/judge.js';
import { noise } from '../support/random.js';
import { workdir } from '../support/workdir.js';

const IMG2SIMG: Judge = { program: 'img2simg', probe: [], package: 'android-sdk-libsparse-utils' };

/** The programs of Android know no option that only says who they are. */
function isThere(): boolean {
  return judgeVersion({ ...IMG2SIMG, program: 'sh', probe: ['-c', 'command -v img2simg simg2img'] }) !== undefined;
}

it('an Android sparse image reads as the disk that it was made of, and as simg2img unpacks it', (context) => {
  if (!isThere()) skipLoudly(context, `img2simg is not installed (apt-get install ${IMG2SIMG.package})`);
  const disk = Buffer.alloc(9 << 20);
  noise(1_234_567, 4).copy(disk, 8192);
  disk.fill(Buffer.from([1, 2, 3, 4]), 3 << 20, 6 << 20);
  noise(100, 5).copy(disk, disk.length - 100);
  const directory = workdir().write('disk.raw', disk);
  program('img2simg', 'disk.raw', 'disk.simg').in(directory).must();
  program('simg2img', 'disk.simg', 'judged.raw').in(directory).must();
  for (const sandbox of ['auto', 'process']) {
    instar('dd', `--sandbox=${sandbox}`, 'if=disk.simg', 'of=out.raw', 'bs=1M').in(directory).must();
    expect(directory.read('out.raw').equals(disk), sandbox).toBe(true);
  }
  expect(directory.read('judged.raw').equals(disk)).toBe(true);
  const window = instar('dd', 'if=disk.simg', 'of=-', 'bs=4093', 'skip=700', 'count=1600').in(directory).must();
  expect(window.stdoutBytes.equals(disk.subarray(4093 * 700, 4093 * 1600))).toBe(true);
  expect(instar('compare', 'disk.simg', 'disk.raw').in(directory).run().stdout).toBe('Images are identical.\n');
  expect(instar('info', 'disk.simg').in(directory).must().stdout).toContain('file format: simg\nvirtual size: 9 MiB');
});
