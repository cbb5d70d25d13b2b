import { execFile } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { QEMU_IMG, judgeVersion, requireJudge } from '../../../tests/support/judge.js';
import { readSize } from './size.js';

/**
 * What qemu-img makes of a size: `map` reads its start offset with the parser that `bs=` has, and shows the value. Nothing
 * is written, and the device is made of nothing.
 */
function judge(text: string): Promise<bigint | 'refused'> {
  const device = 'driver=null-co,size=7E,read-zeroes=on';
  const args = ['map', '--output=json', '--image-opts', `--start-offset=${text}`, '--max-length=1', device];
  return new Promise((resolve, reject) => {
    execFile('qemu-img', args, (_, stdout, stderr) => {
      const start = /"start": (\d+)/.exec(stdout)?.[1];
      if (start !== undefined) resolve(BigInt(start));
      else if (stderr.includes('Invalid start offset')) resolve('refused');
      else reject(new Error(`qemu-img map --start-offset=${JSON.stringify(text)}: ${stdout}${stderr}`));
    });
  });
}

/** QEMU 8.1 mended its handling of fractions (`.5k` was an error before, rounding went through a double). */
function judgeReadsFractions(): boolean {
  const [, major = '0', minor = '0'] = /version (\d+)\.(\d+)/.exec(judgeVersion(QEMU_IMG) ?? '') ?? [];
  return Number(major) * 100 + Number(minor) >= 801;
}

async function expectAgreement(candidates: readonly string[]): Promise<void> {
  const AT_ONCE = 4;
  const fractions = judgeReadsFractions();
  const texts = candidates.filter((text) => !isOurs(text) && (fractions || !text.includes('.')));
  const disagreements: string[] = [];
  for (let first = 0; first < texts.length; first += AT_ONCE) {
    await Promise.all(
      texts.slice(first, first + AT_ONCE).map(async (text) => {
        const theirs = await judge(text);
        const reading = readSize(text);
        const ours = reading.ok ? reading.value : 'refused';
        if (ours !== theirs) disagreements.push(`${JSON.stringify(text)}: ours ${ours}, qemu-img's ${theirs}`);
      }),
    );
  }
  expect(disagreements).toEqual([]);
}

const BLANKS = fc.constantFrom('', '', '', ' ', '\t', ' \n', '\v\f\r');
const SIGN = fc.constantFrom('', '', '', '+', '+', '-');
const DIGITS = fc.oneof(
  fc.stringMatching(/^[0-9]{1,6}$/),
  fc.stringMatching(/^0{0,3}[0-9]{0,3}$/),
  fc.stringMatching(/^[0-9]{16,21}$/),
);
const FRACTION = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: fc.constantFrom('.', '.0', '.5', '.00048828125', '.25', '.9999999999999999999999') },
  { weight: 2, arbitrary: fc.stringMatching(/^\.[0-9]{1,25}$/) },
  { weight: 1, arbitrary: fc.stringMatching(/^\.0{0,25}[0-9]{1,5}$/) },
);
const SUFFIX = fc.constantFrom(...' B K M G T P E b k m g t p e kB KiB x e3 kk'.split(' '), '', '', ' ');
const WELL_MEANT = fc.tuple(BLANKS, SIGN, DIGITS, FRACTION, SUFFIX).map((parts) => parts.join(''));
const HEXADECIMAL = fc
  .tuple(BLANKS, SIGN, fc.constantFrom('0x', '0X', '00x'), fc.stringMatching(/^[0-9a-fA-F]{0,17}$/), FRACTION, SUFFIX)
  .map((parts) => parts.join(''));
const ANYTHING = fc.stringMatching(/^[-+ 0159.xXeEkKbB_,nai]{0,8}$/);

/** `-0` is accepted here by decision, and by qemu-img only where a distribution's patch reads plain integers. */
function isOurs(text: string): boolean {
  return /^[ \t\n\v\f\r]*-0+$/.test(text);
}

const CORNERS = [
  // Whole numbers and their limits
  ...'0 512 010 +0x5 -1 -1k -0k +-5 1b 1B 1e 1kB 1KiB 1_000 1e3 1e-5 8E 8191P 9223372036854775807'.split(' '),
  ...'9223372036854775808 18446744073709551615 18446744073709551616 99999999999999999999999'.split(' '),
  // Fractions
  ...'1. 1.k .5k 1.0 1.0B 1.5 1.5B .0 0. . .k +.5k -.5k -.0 -0.0 -0.5k 0.00048828125k 0.000488281249k'.split(' '),
  ...'0.0004k 0.1E 0.3P 0.7T 1.5e 1.5E .5E 6.999E 7.999999999999999E 7.9999999999999999E'.split(' '),
  // Fractions that a double turns into one, or cannot tell apart, or drops
  ...'1.99999999999999999999 0.99999999999999999999k 0.9999999999999999k 0.00000000000000000005E'.split(' '),
  ...'1.0000000000000000000000001 18446744073709551615.9999999999999999999999k'.split(' '),
  `1.${'0'.repeat(400)}1`,
  `0.${'0'.repeat(400)}1k`,
  `0.4${'9'.repeat(200)}k`,
  // Halfway between two doubles (1/2 + 2^-54 and 1/2 + 3 * 2^-54), just below, exactly, and just above
  '0.50000000000000005551115123125782702118158340454101562E',
  '0.500000000000000055511151231257827021181583404541015625E',
  '0.5000000000000000555111512312578270211815834045410156251E',
  '0.50000000000000016653345369377348106354475021362304687E',
  '0.500000000000000166533453693773481063544750213623046875E',
  '0.5000000000000001665334536937734810635447502136230468751E',
  // Hexadecimal
  ...'0x1B 0x1E 0x1k 0x1.8 0x 0x5. -0x0 00x5 0.0x5 .0x5 0x-5 0X1f'.split(' '),
  ...'0x7fffffffffffffff 0x8000000000000000 0x10000000000000000'.split(' '),
  // Words and blanks
  ...'nan inf nan. infinity. + -'.split(' '),
  ...['', ' ', '512 ', '+ 5', ' 5', '\t\n\v\f\r5', '0x '],
];

describe('sizes, judged by qemu-img', () => {
  it('agree on the corners', async (context) => {
    requireJudge(context, QEMU_IMG);
    await expectAgreement(CORNERS);
  });

  const seed = Number(process.env['INSTAR_SEED'] ?? 20_251);
  const numRuns = Number(process.env['INSTAR_SIZE_CASES'] ?? 600);
  it(
    `agree on ${numRuns} random ones (seed ${seed})`,
    async (context) => {
      requireJudge(context, QEMU_IMG);
      const texts = fc.oneof({ weight: 4, arbitrary: WELL_MEANT }, HEXADECIMAL, ANYTHING);
      await expectAgreement(fc.sample(texts, { seed, numRuns }));
    },
    30_000 + numRuns * 100,
  );
});
