import { map, compare, measure } from '@instar/engine';
import { describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import { workdir } from '../support/workdir.js';

describe('map', () => {
  it('gives extents that tile the disk, one after the other', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir();
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', 'many.qcow2', '8M').in(directory).must();
    const writes = Array.from({ length: 4000 }, (_, index) => `write -q -P 7 ${index * 2048} 512`);
    for (let at = 0; at < writes.length; at += 500)
      qemuIo('many.qcow2', ...writes.slice(at, at + 500))
        .in(directory)
        .must();
    let [next, data] = [0n, 0];
    for await (const extent of map(directory.file('many.qcow2'))) {
      expect(extent.start).toBe(next);
      next += extent.length;
      if (extent.data) data += 1;
    }
    expect([next, data]).toEqual([8n << 20n, 4000]);
  });

  it('closes everything where its reader stops early', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('disk.raw', noise(10_000));
    for await (const extent of map(directory.file('disk.raw'))) {
      expect(extent).toMatchObject({ start: 0n, data: true, offset: 0n });
      break;
    }
    directory.delete('disk.raw');
  });

  it('of an empty disk, or behind the end, is one extent of length 0', () => {
    const directory = workdir().write('empty.raw', new Uint8Array(0)).write('some.raw', noise(512));
    const empty = instar('map', '--output=json', '-f', 'raw', 'empty.raw').in(directory).must();
    expect(JSON.parse(empty.stdout)).toMatchObject([{ start: 0, length: 0, present: false }]);
    const behind = instar('map', '--json', '-f', 'raw', '-s', '1M', 'some.raw').in(directory).must();
    expect(JSON.parse(behind.stdout)).toMatchObject([{ start: 1_048_576, length: 0, data: false }]);
  });

  it('says in one line that compressed clusters have no place of their own', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('disk.raw', Buffer.alloc(200_000, 'text '));
    qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
    const finished = instar('map', 'disk.qcow2').in(directory).run();
    expect(finished.status).toBe(1);
    expect(finished.stderr).toMatch(/^instar: map: disk\.qcow2: has compressed clusters [^\n]+\n$/);
  });
});

describe('compare', () => {
  it('exits 2 where an image cannot be opened, 4 where one cannot be read, 1 for wrong usage', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('disk.raw', Buffer.alloc(200_000, 'text '));
    qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'disk.qcow2').in(directory).must();
    const image = directory.read('disk.qcow2');
    image.fill(0xff, 0x5_0000);
    directory.write('broken.qcow2', image);
    const compared = (...tokens: readonly string[]) =>
      instar('compare', ...tokens)
        .in(directory)
        .run();
    expect(compared('disk.raw', 'missing.raw').status).toBe(2);
    expect(compared('-f', 'qcow2', 'disk.raw', 'disk.raw').status).toBe(2);
    expect(compared('disk.raw', 'broken.qcow2').status).toBe(4);
    expect(compared('disk.raw').status).toBe(1);
    expect(compared('-q', 'disk.raw', 'disk.qcow2')).toMatchObject({ status: 0, stdout: '' });
  });

  it('warns of sizes that differ once the common part is the same, and --strict refuses them', () => {
    const directory = workdir().write('short.raw', noise(4096));
    directory.write('long.raw', Buffer.concat([noise(4096), Buffer.alloc(4096)]));
    const both = ['-f', 'raw', '-F', 'raw', 'short.raw', 'long.raw'];
    const finished = instar('compare', ...both)
      .in(directory)
      .run();
    expect(finished).toMatchObject({ status: 0, stdout: 'Warning: Image size mismatch!\nImages are identical.\n' });
    const strict = instar('compare', '-s', ...both)
      .in(directory)
      .run();
    expect(strict).toMatchObject({ status: 1, stdout: 'Strict mode: Image size mismatch!\n' });
  });
});

describe('calls from programs', () => {
  it('are refused where an option is wrong', async () => {
    const wrong = { code: 'INVALID_OPTION' };
    await expect(compare('a', 'b', { strict: 1 as unknown as boolean })).rejects.toMatchObject(wrong);
    await expect(measure('a', { target: { format: 'qcow2', clusterSize: 1000 } })).rejects.toMatchObject(wrong);
    await expect(map('a', { start: -1 }).next()).rejects.toMatchObject(wrong);
  });

  it('a size is measured without an image', () => {
    const finished = instar('measure', '-O', 'qcow2', '--size', '1G').run();
    expect(finished.stdout).toBe('required size: 393216\nfully allocated size: 1074135040\n');
    expect(instar('measure').run().status).toBe(1);
  });
});
