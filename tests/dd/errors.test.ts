import { symlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { noise } from '../support/random.js';
import { AT, PART, Qcow2Builder } from '../support/qcow2-builder.js';
import { workdir, type Workdir } from '../support/workdir.js';

interface ErrorRecord {
  readonly error: {
    readonly command: string;
    readonly code: string;
    readonly message: string;
    readonly file?: string;
    readonly token?: string;
    readonly location?: { readonly field: string; readonly offset: number; readonly value: number };
  };
}

/** Every kind of failure with the code that programs may rely on. */
const FAILURES: readonly (readonly [
  code: string,
  tokens: readonly string[],
  make?: (directory: Workdir) => unknown,
])[] = [
  ['UNKNOWN_OPERAND', ['if=in.raw', 'of=out', 'ibs=1']],
  ['MISSING_OPERAND', ['if=in.raw']],
  ['INVALID_SIZE', ['if=in.raw', 'of=out', 'bs=1kB']],
  ['INVALID_OPTION', ['if=in.raw', 'of=out', '-O', 'qcow2', 'seek=1']],
  ['UNSUPPORTED_FORMAT', ['if=in.raw', 'of=out', '-f', 'iso9660']],
  ['READ_FAILED', ['if=missing', 'of=out']],
  ['FILE_NOT_USABLE', ['if=/dev/zero', 'of=out']],
  ['SAME_FILE', ['if=in.raw', 'of=in.raw']],
  ['OUTPUT_EXISTS', ['if=in.raw', 'of=there', '--no-clobber']],
  ['WRITE_FAILED', ['if=in.raw', 'of=missing/out']],
  ['NO_SPACE', ['if=in.raw', 'of=out', 'isize=4E']],
  ['REFERENCE_MISSING', ['if=x', 'of=out'], (d) => d.write('x', new Qcow2Builder().backing('none', 'raw').bytes)],
  ['PATH_REFUSED', ['if=x', 'of=out'], (d) => d.write('x', new Qcow2Builder().backing('/etc/passwd', 'raw').bytes)],
  ['CHAIN_LOOP', ['if=x', 'of=out'], (d) => d.write('x', new Qcow2Builder().backing('x', 'qcow2').bytes)],
  ['IMAGE_NOT_THIS_FORMAT', ['-f', 'qcow2', 'if=in.raw', 'of=out']],
  [
    'IMAGE_BAD_HEADER',
    ['if=x', 'of=out'],
    (d) => d.write('x', Buffer.from('LUKS\xba\xbe\0\x01'.padEnd(600, '\u0001'), 'latin1')),
  ],
  ['IMAGE_AMBIGUOUS_FORMAT', ['if=x', 'of=out'], (d) => d.write('x', new Qcow2Builder().iso9660().bytes)],
  ['IMAGE_UNSUPPORTED_VERSION', ['if=x', 'of=out'], (d) => d.write('x', new Qcow2Builder().u32(AT.VERSION, 4).bytes)],
  ['IMAGE_UNKNOWN_FEATURE', ['if=x', 'of=out'], (d) => d.write('x', new Qcow2Builder().unknownFeature(9, 'f').bytes)],
  ['IMAGE_ENCRYPTED', ['if=x', 'of=out'], (d) => d.write('x', new Qcow2Builder().u32(AT.CRYPT_METHOD, 1).bytes)],
  ['IMAGE_BAD_CLUSTER_SIZE', ['if=x', 'of=out'], (d) => d.write('x', new Qcow2Builder().u32(AT.CLUSTER_BITS, 8).bytes)],
  ['IMAGE_BAD_L2_ENTRY', ['if=x', 'of=out'], (d) => d.write('x', new Qcow2Builder().l2(0, 512n).bytes)],
  ['IMAGE_DECOMPRESS', ['if=x', 'of=out'], (d) => d.write('x', new Qcow2Builder().compressed(noise(600), 0).bytes)],
  [
    'CHAIN_LOOP',
    ['if=x', 'of=out'],
    (d) => (symlinkSync('x', d.file('y')), d.write('x', new Qcow2Builder().backing('y', 'qcow2').bytes)),
  ],
];

describe('an error is one line for people, a record with a code for programs, and no file', () => {
  it.for(FAILURES)('%s: %j', ([code, tokens, make]) => {
    const directory = workdir().write('in.raw', noise(512)).write('there', 'before');
    make?.(directory);
    const before = directory.digests();

    const people = instar('dd', ...tokens)
      .in(directory)
      .run();
    expect([people.status, people.stdout]).toEqual([1, '']);
    expect(people.stderr).toMatch(/^instar: dd: [^\n]+\n$/);

    const programs = instar('dd', '--json', ...tokens)
      .in(directory)
      .run();
    expect([programs.status, programs.stderr]).toEqual([1, '']);
    const { error } = JSON.parse(programs.stdout) as ErrorRecord;
    expect(error).toMatchObject({ command: 'dd', code });
    const line = (text: string): string => text.replace(/\d+ free/, 'so much free');
    expect(line(people.stderr)).toBe(line(`instar: dd: ${error.message}\n`));
    expect(directory.digests()).toEqual(before);
  });

  it('a fault of an image tells file, field, offset, value and what was expected', () => {
    const directory = workdir().write('image.qcow2', new Qcow2Builder().l2(3, 0x200n).bytes);
    const people = instar('dd', 'if=image.qcow2', 'of=out').in(directory).run();
    const at = PART.L2_TABLE + 24;
    expect(people.stderr).toBe(
      `instar: dd: image.qcow2: an L2 table entry is not valid (host cluster offset at offset ${at} is 512, expected a multiple of 65536)\n`,
    );
    const programs = instar('dd', '--json', 'if=image.qcow2', 'of=out').in(directory).run();
    expect((JSON.parse(programs.stdout) as ErrorRecord).error).toMatchObject({
      code: 'IMAGE_BAD_L2_ENTRY',
      file: 'image.qcow2',
      location: { field: 'host cluster offset', offset: at, value: 512, expected: 'a multiple of 65536' },
    });
  });

  it('a mistake on the command line tells the token', () => {
    const finished = instar('dd', '--json', 'if=a', 'of=b', 'count=1x').in(workdir()).run();
    expect((JSON.parse(finished.stdout) as ErrorRecord).error).toMatchObject({ token: 'count=1x' });
  });

  it('usage errors come before any look at the files', () => {
    const finished = instar('dd', 'if=missing', 'of=out', 'bs=0').in(workdir()).run();
    expect(finished.stderr).toContain('the block size is 0');
  });

  it('a window that misses the fault is copied; the fault shows where it is read', () => {
    const directory = workdir().write('image.qcow2', new Qcow2Builder().l2(3, 0x200n).bytes);
    instar('dd', 'if=image.qcow2', 'of=out', 'bs=64k', 'count=2').in(directory).must();
    expect(directory.read('out').equals(Buffer.concat([Buffer.alloc(65_536, 0x11), Buffer.alloc(65_536, 0x22)]))).toBe(
      true,
    );
  });
});
