// Packed disks whose dictionary is larger than what a guest has room for at first, and those with which none is ever given.
import { execFileSync } from 'node:child_process';
import { openImage } from '@instar/engine';
import { expect, it } from 'vitest';
import { instar } from '../support/command.js';
import { requireJudge, type Judge } from '../support/judge.js';
import { noise } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';

const MIB = 1 << 20;
/** Twice the same, further apart than a small dictionary reaches: whoever unpacks it needs all of a large one. */
const NOISE = noise(2 * MIB);
const DISK = Buffer.concat([NOISE, Buffer.alloc(44 * MIB), NOISE]);
const XZ: Judge = { program: 'xz', probe: ['--version'], package: 'xz-utils' };
const ZSTD: Judge = { program: 'zstd', probe: ['--version'], package: 'zstd' };

function packed(directory: Workdir, [program = '', ...options]: readonly string[]): void {
  directory.write('disk.raw', DISK);
  directory.write('packed', execFileSync(program, options, { input: DISK, maxBuffer: 256 * MIB }));
  // The second half stands in the dictionary.
  expect(directory.read('packed').length).toBeLessThan(NOISE.length * 1.2);
}

it.for([
  [XZ, ['xz', '-c0', '--lzma2=preset=0,dict=64MiB']],
  [XZ, ['xz', '-c0', '--lzma2=preset=0,dict=128MiB']],
  [ZSTD, ['zstd', '-qc', '--long=27']],
] as const)('is unpacked all the same: %j', ([judge, command], context) => {
  requireJudge(context, judge);
  const directory = workdir();
  packed(directory, command);
  for (const sandbox of ['kvm', 'process']) {
    instar('convert', '--sandbox', sandbox, 'packed', 'out.raw').in(directory).must();
    expect(directory.read('out.raw').equals(DISK)).toBe(true);
  }
  // As OpenStack calls it.
  const bounded = instar('dd', 'if=packed', 'of=window.raw', 'bs=1M', 'skip=44', 'count=48')
    .in(directory)
    .environment({ MALLOC_ARENA_MAX: '1' })
    .under('prlimit', '--as=1073741824');
  bounded.must();
  expect(directory.read('window.raw').equals(DISK.subarray(44 * MIB, 48 * MIB))).toBe(true);
});

it('stays in the guest from request to request', async (context) => {
  requireJudge(context, XZ);
  const directory = workdir();
  packed(directory, ['xz', '-c0', '--lzma2=preset=0,dict=64MiB']);
  await using image = await openImage(directory.file('packed'));
  for (const at of [0, 30 * MIB, MIB, 46 * MIB]) {
    const bytes = await image.read(at, MIB);
    expect(Buffer.from(bytes).equals(DISK.subarray(at, at + MIB)), String(at)).toBe(true);
  }
});

it.for([
  [XZ, ['xz', '-c0'], ['xz', '-c0', '--lzma2=preset=0,dict=64MiB']],
  [ZSTD, ['zstd', '-qc', '--stream-size=SIZE'], ['zstd', '-qc', '--long=27', '--stream-size=SIZE']],
] as const)('is no surprise behind a small one: %j', ([judge, small, large], context) => {
  requireJudge(context, judge);
  const directory = workdir();
  const first = noise(5 * MIB);
  const pack = ([program = '', ...options]: readonly string[], input: Buffer): Buffer => {
    const sized = options.map((option) => option.replace('SIZE', String(input.length)));
    return execFileSync(program, sized, { input, maxBuffer: 256 * MIB });
  };
  directory.write('packed', Buffer.concat([pack(small, first), pack(large, DISK)]));
  const whole = Buffer.concat([first, DISK]);
  for (const sandbox of ['kvm', 'process']) {
    // What went into a pipe cannot be taken back, and must not be written twice.
    const piped = [
      instar('dd', '--sandbox', sandbox, 'if=packed', 'of=-'),
      instar('convert', '--sandbox', sandbox, 'packed', '-'),
    ];
    for (const command of piped) expect(command.in(directory).must().stdoutBytes.equals(whole)).toBe(true);
    // A guest without room is no damaged image.
    instar('convert', '--sandbox', sandbox, '--salvage', 'packed', 'out.raw').in(directory).must();
    expect(directory.read('out.raw').equals(whole)).toBe(true);
  }
});

it.for([
  [XZ, ['xz', '-c0', '--lzma2=preset=0,dict=192MiB']],
  [ZSTD, ['zstd', '-qc', '--long=28', '--no-content-size']],
] as const)('is refused by name where it is larger: %j', ([judge, command], context) => {
  requireJudge(context, judge);
  const directory = workdir();
  packed(directory, command);
  const { status, stderr } = instar('convert', 'packed', 'out.raw').in(directory).run();
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /^instar: convert: packed: .*unpack it first \(.*expected a dictionary of at most 128 MiB\)\n$/,
  );
  expect(directory.names().sort()).toEqual(['disk.raw', 'packed']);
});
