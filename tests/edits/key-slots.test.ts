// Key slots that are filled and emptied, beside qemu-img, and what cryptsetup opens afterwards.
import { amend } from '@instar/engine';
import { describe, expect, it } from 'vitest';
import { instar, program, ROOT, type CommandLine } from '../support/command.js';
import { luksHeaderOf } from '../support/encrypted-images.js';
import { QEMU_IMG, requireJudge, type Judge } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { workdir, type Workdir } from '../support/workdir.js';

const CRYPTSETUP: Judge = { program: 'cryptsetup', probe: ['--version'], package: 'cryptsetup-bin' };
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'] as const;
const FAST = 'iter-time=10';

/** `qemu-img` of this project. */
function ours(...words: readonly string[]): CommandLine {
  return program(process.execPath, `${ROOT}/packages/qemu-img/bin/qemu-img.js`, ...words);
}

function secrets(names: readonly string[]): readonly string[] {
  return names.flatMap((name) => ['--object', `secret,id=${name},file=${name}`]);
}

function opened(format: string, file: string, key: string): string {
  const prefix = format === 'luks' ? '' : 'encrypt.';
  return `driver=${format},${prefix}key-secret=${key},file.filename=${file}`;
}

/** Images that were made: qemu-img measures the machine for a second, whatever time is asked for. */
const made = new Map<string, Buffer>();

/** An encrypted image with content, which `a` opens. */
function encrypted(format: string, options = ''): Workdir {
  const directory = workdir();
  for (const key of KEYS) directory.write(key, `passphrase ${key}`);
  const known = made.get(`${format} ${options}`);
  if (known !== undefined) return directory.write('image', known);
  const prefix = format === 'luks' ? '' : 'encrypt.';
  const luks = format === 'luks' ? [] : ['encrypt.format=luks'];
  const chosen = options === '' ? [] : options.split(',').map((option) => prefix + option);
  const joined = [...luks, `${prefix}key-secret=a`, prefix + FAST, ...chosen].join();
  qemuImg('create', '-q', ...secrets(['a']), '-f', format, '-o', joined, 'image', '2M')
    .in(directory)
    .must();
  const written = ['--object', 'secret,id=a,file=a', '--image-opts', opened(format, 'image', 'a')];
  program('qemu-io', '-c', 'write -q -P 7 100k 300k', ...written)
    .in(directory)
    .must();
  made.set(`${format} ${options}`, directory.read('image'));
  return directory;
}

/** Which slots hold the key, and whether they are said to be made by iterations. */
function slotsOf(directory: Workdir, file: string): unknown {
  const text = qemuImg('info', '--output=json', file).in(directory).must().stdout;
  const {
    'format-specific': { data },
  } = JSON.parse(text) as {
    'format-specific': { data: Record<string, unknown> };
  };
  const luks = (data['encrypt'] ?? data) as { slots: readonly Record<string, unknown>[] };
  return luks.slots.map(({ active, stripes, 'key-offset': offset, iters }) => ({
    active,
    stripes,
    offset,
    iters: typeof iters,
  }));
}

/** Passphrases that qemu-img opens an image with. */
function openers(
  directory: Workdir,
  format: string,
  file: string,
  keys: readonly string[] = ['a', 'b', 'c'],
): readonly string[] {
  return keys.filter((key) => {
    const words = [...secrets([key]), '--image-opts', opened(format, file, key)];
    return !qemuImg('check', '-q', ...words)
      .in(directory)
      .run()
      .stderr.includes('nvalid password');
  });
}

type Step = readonly [options: string, ...flags: string[]];

const SEQUENCES: readonly (readonly Step[])[] = [
  [['state=active,new-secret=b,iter-time=1']],
  [['state=active,new-secret=b,keyslot=3,iter-time=20'], ['state=active,new-secret=c,iter-time=1']],
  [['state=active,new-secret=b,keyslot=0,iter-time=1']],
  [['state=active,new-secret=b,keyslot=0,iter-time=1', '--force']],
  [['state=active,new-secret=b,keyslot=8,iter-time=1']],
  [['state=active,new-secret=b,keyslot=-1,iter-time=1']],
  [['state=active']],
  [['state=active,new-secret=zz,iter-time=1']],
  [['state=active,new-secret=b,old-secret=a,iter-time=1']],
  [['state=active,new-secret=b,iter-time=0']],
  [['state=inactive']],
  [['state=inactive,old-secret=a']],
  [['state=inactive,old-secret=a', '--force']],
  [['state=inactive,keyslot=0']],
  [['state=inactive,keyslot=0', '--force']],
  [['state=inactive,keyslot=1']],
  [['state=inactive,keyslot=1', '--force']],
  [['state=inactive,keyslot=9']],
  [['state=inactive,keyslot=0,new-secret=b']],
  [['state=inactive,keyslot=0,iter-time=10']],
  [['state=inactive,keyslot=0,old-secret=b']],
  [['state=inactive,keyslot=1,old-secret=b']],
  [['state=inactive,old-secret=b']],
  [['state=active,new-secret=b,iter-time=1'], ['state=inactive,old-secret=a']],
  [['state=active,new-secret=b,iter-time=1'], ['state=inactive,keyslot=0,old-secret=a']],
  [['state=active,new-secret=a,iter-time=1'], ['state=inactive,old-secret=a'], ['state=inactive,keyslot=0']],
  [['state=foo']],
  [['new-secret=b']],
  [['keyslot=1']],
  [['keyslot=x,state=active,new-secret=b,iter-time=1']],
  [['iter-time=x,state=active,new-secret=b']],
  [
    ...['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].map((key): Step => [`state=active,new-secret=${key},iter-time=1`]),
    ['state=inactive,old-secret=e'],
    ['state=active,new-secret=i,iter-time=1'],
  ],
];

describe.for(['luks', 'qcow2'])('key slots of %s images', (format) => {
  it.for(SEQUENCES)('%j: as qemu-img', (steps, context) => {
    requireJudge(context, QEMU_IMG);
    const directory = encrypted(format);
    const prefix = format === 'luks' ? '' : 'encrypt.';
    directory.write('ours', directory.read('image')).write('theirs', directory.read('image'));
    const ends = [
      ['ours', ours],
      ['theirs', qemuImg],
    ] as const;
    for (const [options, ...flags] of steps) {
      const given = options.split(',').map((option) => prefix + option);
      const [mine, judged] = ends.map(([file, does]) => {
        const words = [
          'amend',
          ...flags,
          ...secrets(KEYS),
          '-o',
          given.join(),
          '--image-opts',
          opened(format, file, 'a'),
        ];
        const { status, stdout, stderr } = does(...words)
          .in(directory)
          .run();
        return { status, stdout, stderr };
      });
      expect(mine).toEqual(judged);
    }
    expect(slotsOf(directory, 'ours')).toEqual(slotsOf(directory, 'theirs'));
    const keys = KEYS.filter((key) => key === 'a' || JSON.stringify(steps).includes(`-secret=${key}`));
    const opening = openers(directory, format, 'theirs', keys);
    expect(openers(directory, format, 'ours', keys)).toEqual(opening);
    const [key] = opening;
    if (key === undefined) return;
    const image = opened(format, 'ours', key);
    qemuImg('compare', '-q', ...secrets(['a', key].filter((name, at, all) => all.indexOf(name) === at)))
      .with('--image-opts', image, opened(format, 'image', 'a'))
      .in(directory)
      .must();
    if (format === 'qcow2')
      qemuImg('check', '-q', ...secrets([key]), '--image-opts', image)
        .in(directory)
        .must();
    expect(directory.names().filter((name) => name.includes('undo'))).toEqual([]);
  });

  it.for(['', 'cipher-mode=cbc,ivgen-alg=essiv,hash-alg=sha1', 'cipher-alg=aes-128,hash-alg=sha512'])(
    'of %j hold the key for a passphrase, by its file and by bytes, and for it alone',
    async (options, context) => {
      requireJudge(context, QEMU_IMG);
      const directory = encrypted(format, options);
      const file = directory.file('image');
      const passphrases = [directory.read('a')];
      const filled = await amend(
        file,
        { keySlots: { state: 'active', newPassphrase: 'passphrase b', iterTimeMs: 10 } },
        { passphrases },
      );
      expect(filled).toMatchObject({ format, virtualSize: 2n << 20n, keySlots: [1] });
      expect(openers(directory, format, 'image')).toEqual(['a', 'b']);
      const emptied = await amend(
        file,
        { keySlots: { state: 'inactive', oldPassphrase: 'passphrase a' } },
        { passphrases: ['passphrase b'] },
      );
      expect(emptied.keySlots).toEqual([0]);
      expect(openers(directory, format, 'image')).toEqual(['b']);
    },
  );

  it('that are emptied hold nothing of what they held, and the key of the disk is in no file', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = encrypted(format);
    const before = directory.read('image');
    const at = luksHeaderOf(before) + 4096;
    const stripes = before.subarray(at, at + 64 * 4000);
    const prefix = format === 'luks' ? '' : 'encrypt.';
    const amended = (options: string): void => {
      const given = options.split(',').map((option) => prefix + option);
      instar('amend', ...secrets(['a', 'b']), '-o', given.join(), 'image')
        .in(directory)
        .must();
    };
    amended('state=active,new-secret=b,iter-time=10');
    expect(
      directory
        .read('image')
        .subarray(at, at + 64 * 4000)
        .equals(stripes),
    ).toBe(true);
    amended('state=inactive,old-secret=a');
    const left = directory.read('image').subarray(at, at + 64 * 4000);
    const kept = Array.from(left).filter((byte, index) => byte === stripes[index]).length;
    // Of bytes that have nothing to do with each other, one in 256 is equal.
    expect(kept / left.length).toBeLessThan(0.01);
    // Stripes of another slot are no noise that was had before.
    const other = directory.read('image').subarray(at + 64 * 4096, at + 64 * 8096);
    expect(other.equals(left)).toBe(false);
  });
});

describe('key slots', () => {
  it('of a luks image are opened by cryptsetup, which finds nothing wrong with it', (context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, CRYPTSETUP);
    const directory = encrypted('luks');
    const amended = (options: string): void => {
      instar('amend', ...secrets(['a', 'b']), '-o', options, 'image')
        .in(directory)
        .must();
    };
    const test = (key: string, slot: number): number | null =>
      program('cryptsetup', 'open', '--test-passphrase', '--key-slot', String(slot), '--key-file', key, 'image')
        .in(directory)
        .run().status;
    amended('state=active,new-secret=b,keyslot=5,iter-time=10');
    expect([test('a', 0), test('b', 5), test('a', 5), test('b', 0)]).toEqual([0, 0, 2, 2]);
    amended('state=inactive,old-secret=a');
    expect([test('b', 5), test('a', 5)]).toEqual([0, 2]);
    const dump = program('cryptsetup', 'luksDump', 'image').in(directory).must().stdout;
    expect(dump.match(/^Key Slot \d: ENABLED$/gm)).toEqual(['Key Slot 5: ENABLED']);
    program('cryptsetup', 'repair', '--batch-mode', 'image').in(directory).must();
  });

  it('of LUKS 2, of images that are not encrypted, and of those of older methods are refused', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = workdir().write('a', 'passphrase a').write('b', 'passphrase b');
    instar('create', '-q', '-f', 'luks', ...secrets(['a']), '-o', `key-secret=a,version=2,${FAST}`, 'two', '1M')
      .in(directory)
      .must();
    qemuImg('create', '-q', '-f', 'qcow2', 'plain', '1M').in(directory).must();
    const aes = ['-o', 'encrypt.format=aes,encrypt.key-secret=a'];
    qemuImg('create', '-q', '-f', 'qcow2', ...secrets(['a']), ...aes, 'aes', '1M')
      .in(directory)
      .must();
    qemuImg('create', '-q', '-f', 'vmdk', 'vmdk', '1M').in(directory).must();
    const before = directory.digests();
    for (const [file, options, what] of [
      ['two', 'state=active,new-secret=b,iter-time=1', /LUKS 2 are not changed here; cryptsetup does/],
      ['plain', 'encrypt.state=active,encrypt.new-secret=b', /it is not encrypted, and has no key slots/],
      ['aes', 'encrypt.state=active,encrypt.new-secret=b', /as versions before LUKS did it/],
      ['vmdk', 'encrypt.state=active,encrypt.new-secret=b', /not done to images of format vmdk/],
      ['plain', 'state=active,new-secret=b,iter-time=1', /qcow2 images have it with 'encrypt\.' in front/],
      ['two', 'encrypt.state=active,encrypt.new-secret=b', /luks images have it without 'encrypt\.'/],
    ] as const) {
      const refused = instar('amend', ...secrets(['a', 'b']), '-o', options, file)
        .in(directory)
        .run();
      expect(refused.stderr).toMatch(what);
      expect([refused.status, refused.stdout]).toEqual([1, '']);
    }
    expect(directory.digests()).toEqual(before);
    for (const [does, file] of [
      [ours, 'plain'],
      [qemuImg, 'plain'],
    ] as const) {
      const refused = does('amend', ...secrets(['b']), '-o', 'encrypt.state=active,encrypt.new-secret=b', file)
        .in(directory)
        .run();
      expect(refused.stderr).toBe("qemu-img: Can't amend encryption options - encryption not present\n");
    }
  });

  it('whose stripes lie over the disk, the header or each other are not written to', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = encrypted('luks');
    const good = directory.read('image');
    const payload = good.readUInt32BE(104);
    for (const sector of [0, 1, 9, payload - 1, payload, payload + 3, 0xffff_ffff]) {
      const bad = Buffer.from(good);
      // The second slot, which is empty.
      bad.writeUInt32BE(sector, 208 + 48 + 40);
      directory.write('image', bad);
      const refused = instar('amend', ...secrets(['a', 'b']), '-o', 'state=active,new-secret=b,iter-time=1', 'image')
        .in(directory)
        .run();
      expect(refused.stderr).toMatch(/key material offset/);
      expect(refused.status).toBe(1);
      expect(directory.read('image').equals(bad)).toBe(true);
    }
  });

  it('whose stripes begin within the first 4 KiB are not written to', (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = encrypted('luks');
    const bad = directory.read('image');
    // The first slot, one sector before its place, where no other is.
    bad.writeUInt32BE(7, 208 + 40);
    directory.write('image', bad);
    const words = [...secrets(['a', 'b']), '--force', '-o', 'state=active,new-secret=b,iter-time=1,keyslot=0'];
    const refused = instar('amend', ...words, 'image')
      .in(directory)
      .run();
    expect(refused.stderr).toMatch(/key material offset/);
    expect(refused.status).toBe(1);
    expect(directory.read('image').equals(bad)).toBe(true);
    const theirs = qemuImg(
      'amend',
      ...words.slice(0, -2),
      '--image-opts',
      opened('luks', 'image', 'a'),
      ...words.slice(-2),
    )
      .in(directory)
      .run();
    expect(theirs.stderr).toContain('Keyslot 0 is overlapping with the LUKS header');
  });

  it('are changed in one step with other options, and not at all where one of them cannot be', async (context) => {
    requireJudge(context, QEMU_IMG);
    const directory = encrypted('qcow2');
    const file = directory.file('image');
    const before = directory.read('image');
    const passphrases = ['passphrase a'];
    const keySlots = { state: 'active', newPassphrase: 'passphrase b', iterTimeMs: 10 } as const;
    await expect(amend(file, { keySlots, version: 2, refcountBits: 8 }, { passphrases })).rejects.toMatchObject({
      code: 'IMAGE_UNSUPPORTED_EDIT',
    });
    expect(directory.read('image').equals(before)).toBe(true);
    await expect(amend(file, { keySlots }, { passphrases: ['wrong'] })).rejects.toMatchObject({
      code: 'IMAGE_ENCRYPTED',
    });
    await expect(amend(file, { keySlots })).rejects.toMatchObject({ code: 'IMAGE_ENCRYPTED' });
    expect(directory.read('image').equals(before)).toBe(true);
    await amend(file, { keySlots, refcountBits: 64, size: 3n << 20n }, { passphrases });
    expect(openers(directory, 'qcow2', 'image')).toEqual(['a', 'b']);
    const text = qemuImg('info', '--output=json', 'image').in(directory).must().stdout;
    expect(JSON.parse(text)).toMatchObject({
      'virtual-size': 3 << 20,
      'format-specific': { data: { 'refcount-bits': 64 } },
    });
    const image = opened('qcow2', 'image', 'b');
    qemuImg('check', '-q', ...secrets(['b']), '--image-opts', image)
      .in(directory)
      .must();
  });
});
