// Several images in one call: each is described as it is alone, and one that is refused keeps none of the others back.
import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

function images(): Workdir {
  const directory = workdir().write('one.raw', noise(1536));
  instar('create', '-q', '-f', 'qcow2', 'two.qcow2', '1M').in(directory).must();
  instar('create', '-q', '-f', 'vdi', 'three.vdi', '1M').in(directory).must();
  return directory;
}

describe('info of several images', () => {
  it('is what it is of each, with a line between', () => {
    const directory = images();
    const files = ['one.raw', 'two.qcow2', 'three.vdi'];
    const alone = files.map((file) => instar('info', file).in(directory).must().stdout);
    expect(
      instar('info', ...files)
        .in(directory)
        .must().stdout,
    ).toBe(alone.join('\n'));
  });

  it('is one line of JSON for each, also of those that are refused, and fails then', () => {
    const directory = images();
    const finished = instar('info', '--json', 'one.raw', 'nothing', 'three.vdi').in(directory).run();
    expect(finished.status).toBe(1);
    const lines = finished.stdout.trimEnd().split('\n');
    const [first, second, third] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const alone = (file: string): unknown => JSON.parse(instar('info', '--json', file).in(directory).must().stdout);
    expect([first, third]).toEqual([alone('one.raw'), alone('three.vdi')]);
    expect(second).toMatchObject({ error: { file: 'nothing', code: 'READ_FAILED' } });
    expect(lines).toHaveLength(3);
  });

  it('says which one is not safe', () => {
    const directory = images();
    directory.write('odd.qcow2', directory.read('two.qcow2').subarray(0, 70_000));
    const finished = instar('info', '--require-safe', 'two.qcow2', 'odd.qcow2', 'one.raw').in(directory).run();
    expect(finished.status).toBe(3);
    expect(finished.stderr).toMatch(/^instar: info: odd\.qcow2: not safe \([^\n]+\)$/m);
    expect(finished.stdout).toContain('image: one.raw');
  });
});
