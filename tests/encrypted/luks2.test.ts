import { createCipheriv, createHash } from 'node:crypto';
import { describe, expect, it, type TestContext } from 'vitest';

import { instar, program } from '../support/command.js';
import { judgeVersion, skipLoudly, type Judge } from '../support/judge.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { mixed } from '../support/zoo.js';

const CRYPTSETUP: Judge = { program: 'cryptsetup', probe: ['--version'], package: 'cryptsetup-bin' };
const PAYLOAD = 16 << 20;
const SIZE = 1 << 20;
const KEY = ['--passphrase-file', 'passphrase'] as const;

interface Variant {
  readonly format: readonly string[];
  readonly sector?: number;
  readonly bits?: number;
}

const VARIANTS: readonly Variant[] = [
  { format: ['--pbkdf', 'pbkdf2', '--hash', 'sha512', '--pbkdf-force-iterations', '1000'] },
  { format: ['--pbkdf', 'argon2i', '--pbkdf-memory', '4096', '--pbkdf-force-iterations', '4'], bits: 256 },
  {
    format: [
      '--pbkdf',
      'argon2id',
      '--pbkdf-memory',
      '65536',
      '--pbkdf-force-iterations',
      '4',
      '--pbkdf-parallel',
      '3',
    ],
    sector: 4096,
  },
];

/** cryptsetup decrypts through the kernel only: the disk is encrypted with OpenSSL, with the key that cryptsetup tells. */
function encrypted(directory: Workdir, context: TestContext, { format, sector = 512, bits = 512 }: Variant): Buffer {
  if (judgeVersion(CRYPTSETUP) === undefined) skipLoudly(context, 'cryptsetup is not installed (cryptsetup-bin)');
  directory.write('disk.luks', new Uint8Array(PAYLOAD + SIZE)).write('passphrase', 'trustno1\n');
  program('cryptsetup', 'luksFormat', '--type', 'luks2', '--batch-mode', '--key-file', 'passphrase')
    .with('--sector-size', String(sector), '--key-size', String(bits), ...format, 'disk.luks')
    .in(directory)
    .must();
  program('cryptsetup', 'luksDump', '--dump-volume-key', '--volume-key-file', 'key', '--key-file', 'passphrase')
    .with('--batch-mode', 'disk.luks')
    .in(directory)
    .must();
  const key = directory.read('key');
  directory.delete('key');
  const content = mixed(SIZE, sector);
  const image = directory.read('disk.luks');
  for (let at = 0; at < SIZE; at += sector) {
    // Initialization vectors count sectors of 512 bytes, however large those of the disk are.
    const iv = Buffer.alloc(16);
    iv.writeBigUInt64LE(BigInt(at / 512));
    const cipher = createCipheriv(bits === 512 ? 'aes-256-xts' : 'aes-128-xts', key, iv);
    cipher.update(content.subarray(at, at + sector)).copy(image, PAYLOAD + at);
  }
  directory.write('disk.luks', image);
  return content;
}

const QUICK = VARIANTS[0] ?? { format: [] };

/** Changes the text of both copies of the header, of the same length, and mends the checksums. */
function rewrite(directory: Workdir, change: (text: string) => string): void {
  const image = directory.read('disk.luks');
  for (const start of [0, 0x4000]) {
    const header = image.subarray(start, start + 0x4000);
    const text = header.subarray(4096).toString('latin1').replace(/\0+$/, '');
    header.fill(0, 4096).write(change(text), 4096, 'latin1');
    header.fill(0, 448, 512);
    createHash('sha256').update(header).digest().copy(header, 448);
  }
  directory.write('disk.luks', image);
}

describe('a LUKS2 container', () => {
  it.for(VARIANTS)('%j reads as what was encrypted', (variant, context) => {
    const directory = workdir();
    const content = encrypted(directory, context, variant);
    for (const sandbox of ['auto', 'process']) {
      instar('dd', `--sandbox=${sandbox}`, 'if=disk.luks', 'of=out.raw', 'bs=1M', ...KEY)
        .in(directory)
        .must();
      expect(directory.read('out.raw').equals(content), sandbox).toBe(true);
    }
    const window = instar('dd', 'if=disk.luks', 'of=-', 'bs=7', 'skip=1001', 'count=33333', ...KEY)
      .in(directory)
      .must();
    expect(window.stdoutBytes.equals(content.subarray(7 * 1001, 7 * 33_333))).toBe(true);
    directory.write('plain.raw', content);
    expect(
      instar('compare', 'disk.luks', 'plain.raw', ...KEY)
        .in(directory)
        .run().status,
    ).toBe(0);
  });

  it('says to a wrong passphrase what it says to none, and its parameters to anybody', (context) => {
    const directory = workdir();
    encrypted(directory, context, QUICK);
    directory.write('wrong', 'trustno1');
    const [none, wrong] = [[], ['--passphrase-file', 'wrong']].map((key) =>
      instar('dd', 'if=disk.luks', 'of=out.raw', ...key)
        .in(directory)
        .run(),
    );
    const line = 'instar: dd: disk.luks: the image is encrypted, and a passphrase that opens it is needed\n';
    expect(none).toMatchObject({ status: 1, stderr: line });
    expect(wrong).toMatchObject({ status: 1, stderr: line });
    const text = instar('info', 'disk.luks').in(directory).must().stdout;
    const uuid = program('cryptsetup', 'luksUUID', 'disk.luks').in(directory).must().stdout;
    expect(text).toContain(`uuid: ${uuid}`);
    expect(text).toContain(`payload offset: ${PAYLOAD}\n`);
    expect(text).toContain('cipher alg: aes-256\n');
    expect(text).toMatch(/\[0\]:\n *active: true\n *iters: 1000\n *key offset: 32768\n *stripes: 4000\n/);
  });

  it('is read by its second header where the first is damaged, and refused where both are', (context) => {
    const directory = workdir();
    const content = encrypted(directory, context, QUICK);
    const damage = (at: number): void => {
      const image = directory.read('disk.luks');
      image.fill(0x55, at, at + 100);
      directory.write('disk.luks', image);
    };
    damage(5000);
    instar('dd', 'if=disk.luks', 'of=out.raw', ...KEY)
      .in(directory)
      .must();
    expect(directory.read('out.raw').equals(content)).toBe(true);
    damage(0);
    instar('dd', '-f', 'luks', 'if=disk.luks', 'of=out.raw', ...KEY)
      .in(directory)
      .must();
    expect(directory.read('out.raw').equals(content)).toBe(true);
    damage(0x4000 + 5000);
    const refused = instar('info', '-f', 'luks', 'disk.luks').in(directory).run();
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toMatch(/^instar: info: disk\.luks: [^\n]+\n$/);
  });

  it('whose key takes more memory than is allowed is refused with what would help', (context) => {
    const directory = workdir();
    encrypted(directory, context, VARIANTS[2] ?? QUICK);
    const refused = instar('dd', 'if=disk.luks', 'of=out.raw', '--limit-key-memory', '32M', ...KEY)
      .in(directory)
      .run();
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(
      /^instar: dd: disk\.luks: making the key takes more memory than is allowed; --limit-key-memory raises that[^\n]+67108864[^\n]+\n$/,
    );
  });

  it.for<[name: string, change: (text: string) => string, says: RegExp]>([
    [
      'is being reencrypted',
      (text) => text.replace('"config":{', '"config":{"requirements":{"mandatory":["online-reencrypt-v2"]},'),
      /variant of the format is not supported: online-reencrypt-v2/,
    ],
    [
      'has another kind of segment',
      (text) => text.replace('"type":"crypt"', '"type":"linear"'),
      /not supported: linear/,
    ],
    [
      'has sectors of no size',
      (text) => text.replace('"sector_size":512', '"sector_size":0'),
      /descriptor is invalid: sector_size/,
    ],
    [
      'has a slot of other stripes',
      (text) => text.replace('"stripes":4000', '"stripes":4000000000'),
      /descriptor is invalid: stripes/,
    ],
    [
      'has a number that is none',
      (text) => text.replace('"offset":"16777216"', '"offset":"-1"'),
      /descriptor is invalid: offset of the segment/,
    ],
    ['has a text that ends early', (text) => text.slice(0, -20), /descriptor is invalid: EOF/],
    ['nests without an end', () => '['.repeat(9000), /descriptor is invalid/],
    [
      'lies behind the end of the file',
      (text) => text.replace('"offset":"16777216"', '"offset":"9223372036854775807"'),
      /segment offset at offset 4096 is 9223372036854775807/,
    ],
  ])('that %s is refused by name', ([, change, says], context) => {
    const directory = workdir();
    encrypted(directory, context, QUICK);
    rewrite(directory, change);
    for (const command of ['dd', 'info']) {
      const tokens = command === 'dd' ? ['if=disk.luks', 'of=out.raw', ...KEY] : ['disk.luks'];
      const refused = instar(command, ...tokens)
        .in(directory)
        .run();
      expect(refused).toMatchObject({ status: 1, stdout: '' });
      expect(refused.stderr).toMatch(says);
      expect(refused.stderr.trimEnd().split('\n')).toHaveLength(1);
    }
    expect(directory.names()).not.toContain('out.raw');
  });
});
