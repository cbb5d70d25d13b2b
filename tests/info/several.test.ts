// Several images in one call: each is described as it is alone, and one that is refused keeps none of the others back.
import { renameSync } from 'node:fs';
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

  it('reads their names from its input, byte for byte', () => {
    const directory = images();
    const odd = Buffer.from([0x6f, 0xff, 0x0a, 0x64]);
    renameSync(directory.file('one.raw'), Buffer.concat([Buffer.from(`${directory.file('.')}/`), odd]));
    const zero = Buffer.from([0]);
    const names = Buffer.concat([odd, zero, Buffer.from('nothing'), zero, Buffer.from('two.qcow2')]);
    const finished = instar('info', '--json', '--stdin0').in(directory).reading(names).run();
    expect(finished.status).toBe(1);
    const [first, second, third] = finished.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(first).toMatchObject({ format: 'raw' });
    expect(second).toMatchObject({ error: { file: 'nothing', code: 'READ_FAILED' } });
    expect(third).toEqual(JSON.parse(instar('info', '--json', 'two.qcow2').in(directory).must().stdout));
  });

  it.each([
    [[], 'a\0\0b', /found a name of 0 bytes, expected names of 1 to 4096 bytes/],
    [[], 'a'.repeat(5000), /found a name of 5000 bytes/],
    [['two.qcow2'], '', /--stdin0: found operands, expected none; see instar info --help$/m],
  ])('refuses what is no list of names in one line: %j', (operands, input, message) => {
    const finished = instar('info', '--stdin0', ...operands)
      .in(images())
      .reading(Buffer.from(input))
      .run();
    expect(finished).toMatchObject({ status: 1 });
    expect(finished.stderr.trimEnd().split('\n').at(-1)).toMatch(message);
  });

  it('tells what is no list of names in one line of JSON as well, behind what came before it', () => {
    const finished = instar('info', '--json', '--stdin0')
      .in(images())
      .reading(Buffer.from('two.qcow2\0\0three.vdi'))
      .run();
    expect(finished).toMatchObject({ status: 1, stderr: '' });
    const lines = finished.stdout.trimEnd().split('\n');
    const [first, second] = lines.map((line) => JSON.parse(line) as unknown);
    expect(lines).toHaveLength(2);
    expect(first).toMatchObject({ filename: 'two.qcow2' });
    expect(second).toMatchObject({ error: { command: 'info', code: 'INVALID_OPTION' } });
  });

  it('shares no sandbox between them where that is asked for', () => {
    const directory = images();
    const files = ['two.qcow2', 'three.vdi'];
    const of = (kind: string) =>
      instar('info', `--isolation=${kind}`, ...files)
        .in(directory)
        .must().stdout;
    expect(of('fresh')).toBe(of('pooled'));
  });
});
