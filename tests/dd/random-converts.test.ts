import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { instar } from '../support/command.js';
import { described } from '../support/described.js';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { RANDOM_FORMATS, makeRandomImage } from '../support/random-formats.js';
import { randomImage } from '../support/random-images.js';
import { Random } from '../support/random.js';
import { Workdir } from '../support/workdir.js';

/** Another seed makes other cases; INSTAR_CASES makes more of them for each output format, of which an ordinary run has one. */
const SEED = Number(process.env['INSTAR_SEED'] ?? 20_261_128);
const CASES = Number(process.env['INSTAR_CASES'] ?? 1);

type Choices = Readonly<Record<string, readonly [string, ...string[]]>>;

const SWITCH = ['on', 'off'] as const;

/** Values of each option of `-o`. Some exclude each other: then both programs refuse. */
const OPTIONS: Readonly<Record<string, Choices>> = {
  raw: { preallocation: ['off', 'falloc', 'full'] },
  qcow2: {
    compat: ['0.10', '1.1', 'v2', 'v3'],
    cluster_size: ['512', '4k', '65536', '256K', '2M', '4M', '1000'],
    refcount_bits: ['1', '2', '8', '16', '64', '3'],
    lazy_refcounts: SWITCH,
    extended_l2: SWITCH,
    preallocation: ['off', 'metadata', 'falloc', 'full'],
    compression_type: ['zlib', 'zstd'],
  },
  vmdk: {
    subformat: ['monolithicSparse', 'streamOptimized'],
    adapter_type: ['ide', 'buslogic', 'lsilogic'],
    compat6: SWITCH,
    hwversion: ['4', '7', '21'],
    toolsversion: ['1', '2147483647', '4294967295'],
    zeroed_grain: SWITCH,
  },
  vdi: { static: SWITCH },
  vpc: { subformat: ['dynamic', 'fixed', 'other'], force_size: SWITCH },
  vhdx: {
    subformat: ['dynamic', 'fixed'],
    block_size: ['0', '1M', '2M', '8M', '3M'],
    log_size: ['1M', '3000000', '64M', '0', '4G'],
    block_state_zero: SWITCH,
  },
  qed: {},
  parallels: {},
  qcow: {},
};

const CHECKED = new Set(['qcow2', 'vmdk', 'vdi', 'vhdx', 'qed', 'parallels']);

/** At most three options with values, as `-o` takes them. */
function optionsOf(random: Random, format: string): readonly string[] {
  const choices = Object.entries(OPTIONS[format] ?? {});
  const chosen = choices
    .filter(() => random.chance(3))
    .slice(0, 3)
    .map(([name, values]) => `${name}=${random.pick(values)}`);
  return chosen.length === 0 ? [] : ['-o', chosen.join(',')];
}

interface Input {
  readonly file: string;
  readonly format: string;
}

/** An image of any format, which may have backing files. */
function input(random: Random, directory: Workdir): Input {
  if (random.chance(2)) return randomImage(random, directory, 'input');
  const made = makeRandomImage(random, directory, random.pick(formats()), 0);
  return { file: made.file, format: made.format.name };
}

function formats(): readonly [(typeof RANDOM_FORMATS)[number], ...typeof RANDOM_FORMATS] {
  const [first, ...rest] = RANDOM_FORMATS;
  if (first === undefined) throw new Error('no formats');
  return [first, ...rest];
}

/** What both programs make of one command line; empty when it is the same. */
function differences(directory: Workdir, words: readonly string[], format: string, source?: Input): readonly string[] {
  const run = (output: string, ours: boolean): { readonly status: number | null; readonly stderr: string } => {
    const tokens = words.map((word) => (word === 'OUTPUT' ? output : word));
    const [name = '', ...rest] = tokens;
    return ours
      ? instar(name, ...(name === 'convert' ? ['--allow-path', '.'] : []), ...rest)
          .in(directory)
          .run()
      : qemuImg(...tokens)
          .in(directory)
          .run();
  };
  const theirs = run('theirs', false);
  const ours = run('ours', true);
  if (ours.status === 1 && theirs.status === 0 && words.includes('0')) {
    // An image that nobody opens is not made here, nor one whose table has 64 MiB for no block.
    if (format === 'vhdx') return [];
    const opened = qemuImg('info', '-f', format, 'theirs').in(directory).run();
    return opened.status === 0 ? [`refused, and theirs opens: ${ours.stderr}`] : [];
  }
  if (ours.status !== theirs.status)
    return [`ended with ${ours.status} and not ${theirs.status}: ${ours.stderr}${theirs.stderr}`];
  if (ours.status !== 0) return directory.names().includes('ours') ? ['left a partial file'] : [];
  const found: string[] = [];
  // qemu-img goes through an empty disk of 1 TiB block by block, or trips over itself.
  const same = words.includes('1T')
    ? undefined
    : qemuImg('compare', '-f', format, '-F', format, 'ours', 'theirs').in(directory).run();
  if (same !== undefined && same.status !== 0) found.push(`another content than theirs: ${same.stdout}${same.stderr}`);
  // Sizes may be rounded up, to tracks or sectors; what is more is zeros.
  const content =
    source === undefined
      ? undefined
      : qemuImg('compare', '-f', source.format, '-F', format, source.file, 'ours').in(directory).run();
  if (content !== undefined && content.status !== 0) found.push(`another content than the input: ${content.stdout}`);
  if (CHECKED.has(format)) {
    const checked = qemuImg('check', '-f', format, 'ours').in(directory).run();
    if (checked.status !== 0) found.push(`check: ${checked.stdout}${checked.stderr}`);
  }
  try {
    expect(described(directory, format, 'ours')).toEqual(described(directory, format, 'theirs'));
  } catch (error) {
    found.push(`described otherwise: ${error instanceof Error ? error.message : ''}`);
  }
  return found;
}

describe.each(Object.keys(OPTIONS))('random commands that write %s', (format) => {
  let directory: Workdir;

  beforeAll(() => {
    directory = new Workdir();
  });

  afterAll(() => {
    directory.remove();
  });

  it('convert as qemu-img does', (context) => {
    requireJudge(context, QEMU_IMG);
    const random = new Random(SEED);
    const wrong: string[] = [];
    for (let number = 0; number < CASES; number += 1) {
      const source = input(random, directory);
      const packed = format === 'qcow2' && random.chance(3) ? ['-c'] : [];
      const sparse = random.chance(6) ? ['-S', random.pick(['0', '4k', '64k'])] : [];
      const words = ['convert', ...packed, ...sparse, '-f', source.format, '-O', format];
      words.push(...optionsOf(random, format), source.file, 'OUTPUT');
      for (const difference of differences(directory, words, format, source))
        wrong.push(`${words.join(' ')} (seed ${SEED}, number ${number}): ${difference}`);
      for (const name of directory.names()) directory.delete(name);
    }
    expect(wrong).toEqual([]);
  });

  it('create as qemu-img does', (context) => {
    requireJudge(context, QEMU_IMG);
    const random = new Random(SEED + 1);
    const wrong: string[] = [];
    for (let number = 0; number < CASES; number += 1) {
      const options = optionsOf(random, format);
      // Disks that are laid out whole are small ones.
      const large = options.some((option) => /preallocation|static|fixed/.test(option)) ? [] : ['1G', '1T'];
      const size = random.pick(['0', '512', '1000', '1M', '3.5M', '100M', '8193k', '-1', '1Q', ...large]);
      const words = ['create', '-q', '-f', format, ...options, 'OUTPUT', size];
      for (const difference of differences(directory, words, format))
        wrong.push(`${words.join(' ')} (seed ${SEED}, number ${number}): ${difference}`);
      for (const name of directory.names()) directory.delete(name);
    }
    expect(wrong).toEqual([]);
  });
});
