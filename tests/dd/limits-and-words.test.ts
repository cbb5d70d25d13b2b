import { describe, expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { noise } from '../support/random.js';
import { workdir } from '../support/workdir.js';

const BYTES = noise(64 * 1024);

function dd(...tokens: readonly string[]): ReturnType<typeof run> {
  return run('dd', 'if=in.raw', 'of=out.raw', ...tokens);
}

function run(...words: readonly string[]): { status: number | null; stderr: string; out: Buffer | undefined } {
  const directory = workdir().write('in.raw', BYTES);
  const { status, stderr } = instar(...words)
    .in(directory)
    .run();
  return { status, stderr, out: directory.names().includes('out.raw') ? directory.read('out.raw') : undefined };
}

describe('limits on the command line', () => {
  it.each([
    ['--limit-virtual-size=65535', 'LIMIT'],
    ['--limit-output-size=63.9K', 'LIMIT'],
  ])('dd %s refuses, and makes no output', (limit) => {
    const { status, stderr, out } = dd(limit);
    expect([status, out]).toEqual([1, undefined]);
    expect(stderr).toMatch(
      /^instar: dd: (?:in|out)\.raw: [^\n]*65536 bytes, more than the \d+ that are allowed[^\n]*\n$/,
    );
  });

  it('dd within its limits copies', () => {
    const limits = ['--limit-virtual-size', '64K', '--limit-output-size', '64K', '--limit-time=1m', '--limit-cpu=30s'];
    const { status, stderr, out } = dd(...limits, '--limit-idle', '20s');
    expect([status, stderr, out?.equals(BYTES)]).toEqual([0, '', true]);
  });

  it('a stream that is longer than the output may be is no success', () => {
    const directory = workdir();
    const copy = instar('dd', 'if=-', 'of=out.raw', '--limit-output-size=64K');
    expect(copy.reading(BYTES).in(directory).run().status).toBe(0);
    directory.delete('out.raw');
    const longer = copy
      .reading(Buffer.concat([BYTES, Buffer.alloc(1)]))
      .in(directory)
      .run();
    expect(longer.status).toBe(1);
    expect(longer.stderr).toMatch(/more than the 65536 that are allowed/);
    expect(directory.names()).toEqual([]);
  });

  it('info refuses an image that claims more', () => {
    const { status, stderr } = run('info', '--limit-virtual-size=1K', 'in.raw');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^instar: info: in\.raw: has a virtual size of 65536 bytes, more than the 1024 /);
    expect(run('info', '--limit-virtual-size=1M', '--limit-time=1m', 'in.raw').status).toBe(0);
  });

  it.each([
    ['dd', 'if=in.raw', 'of=out.raw', '--limit-time=soon'],
    ['dd', 'if=in.raw', 'of=out.raw', '--limit-output-size=-1'],
    ['info', '--limit-cpu=0', 'in.raw'],
    ['info', '--limit-virtual-size=much', 'in.raw'],
  ])('%s %s %s %s is a usage error', (...words) => {
    const { status, stderr, out } = run(...words);
    expect([status, out]).toEqual([1, undefined]);
    expect(stderr).toMatch(/^instar: (?:dd|info): [^\n]*expected[^\n]*\n$/);
  });
});

describe('words of coreutils', () => {
  it.each([
    ['conv=fsync'],
    ['conv=fdatasync,sparse'],
    ['iflag=fullblock'],
    ['conv=notrunc', 'seek=0'],
    ['seek=0', 'conv=notrunc'],
  ])('%s %s is done anyway', (...tokens) => {
    const { status, stderr, out } = dd(...tokens);
    expect([status, stderr, out?.equals(BYTES)]).toEqual([0, '', true]);
  });

  it.each([
    ['conv=notrunc', /needs seek=/],
    ['conv=noerror,sync', /a copy that goes on after an error is not a copy/],
    ['oflag=direct', /page cache/],
    ['oflag=bogus', /unknown output flag 'bogus'/],
    ['iflag=direct', /page cache/],
    ['conv=ucase', /as they are/],
  ])('%s is refused with a reason', (token, reason) => {
    const { status, stderr, out } = dd(token);
    expect([status, out]).toEqual([1, undefined]);
    expect(stderr).toMatch(reason);
  });

  it.each([
    ['skip=3', 'count=3', 6],
    ['skip=9', 'count=4', 13],
  ])('%s %s leaves nothing, and says what was probably meant', (skip, count, meant) => {
    const { status, stderr, out } = dd('bs=1K', skip, count);
    expect([status, out?.length]).toEqual([0, 0]);
    expect(stderr).toMatch(/^instar: dd: warning: in\.raw: /);
    if (skip === 'skip=3') expect(stderr).toContain(`write count=${meant}`);
  });

  it('a part that is not empty is not worth a word', () => {
    expect(dd('bs=1K', 'skip=3', 'count=4').stderr).toBe('');
  });
});
