import { dirname } from 'node:path';
import { instar, program } from '../support/command.js';
import { luksHeaderOf } from '../support/encrypted-images.js';
import { qemuImg } from '../support/qemu-img.js';
import { lines, noise } from '../support/random.js';
import type { Workdir } from '../support/workdir.js';
import { withoutFree, type EditCase } from './fixtures.js';

const KIB = 1024;
const ACTIVE = 0x00ac_71f3;
const SLOTS = 8;
const SLOT_BYTES = 48;
const STRIPES_BYTES = 64 * 4000;
const FAST = 'iter-time=10';

function withPassphrases(directory: Workdir): void {
  directory.write('a', 'the first').write('b', 'the second');
}

function secrets(here: string, ...names: readonly string[]): readonly string[] {
  return names.flatMap((name) => ['--object', `secret,id=${name},file=${here}/${name}`]);
}

function opened(format: string, file: string, key = 'a'): string {
  return `driver=${format},${format === 'luks' ? '' : 'encrypt.'}key-secret=${key},file.filename=${file}`;
}

/** The image with zeros for the stripes of slots that are empty, which are overwritten when they are; or for all that is random. */
function withoutStripes(image: Buffer, also: 'what is random' | 'nothing' = 'nothing'): Buffer {
  const copy = Buffer.from(image);
  const at = luksHeaderOf(image);
  for (let slot = 0; slot < SLOTS; slot += 1) {
    const entry = at + 208 + slot * SLOT_BYTES;
    if (also === 'nothing' && copy.readUInt32BE(entry) === ACTIVE) continue;
    copy.fill(0, entry + 4, entry + 40);
    const stripes = at + 512 * copy.readUInt32BE(entry + 40);
    copy.fill(0, stripes, stripes + STRIPES_BYTES);
  }
  return copy;
}

function isOpenedBy(directory: Workdir, format: string, key: string): boolean {
  const words = [...secrets(directory.path, key), '--image-opts', opened(format, 'image', key)];
  return !qemuImg('check', '-q', ...words)
    .in(directory)
    .run()
    .stderr.includes('nvalid password');
}

function keySlots(format: string, edit: 'fill' | 'empty'): EditCase {
  const prefix = format === 'luks' ? '' : 'encrypt.';
  const options = (text: string): string =>
    text
      .split(',')
      .map((option) => prefix + option)
      .join();
  return {
    name: `amend of an encrypted ${format}, ${edit} key slot`,
    prepare: (directory) => {
      withPassphrases(directory);
      const here = directory.path;
      const kind = format === 'luks' ? '' : 'encrypt.format=luks,';
      const chosen = `${kind}${options(`key-secret=a,${FAST}`)}`;
      qemuImg('create', '-q', '-f', format, ...secrets(here, 'a'), '-o', chosen, directory.file('image'), '1M').must();
      if (edit === 'fill') return;
      const added = [
        '-o',
        options(`state=active,new-secret=b,${FAST}`),
        '--image-opts',
        opened(format, directory.file('image')),
      ];
      qemuImg('amend', ...secrets(here, 'a', 'b'), ...added).must();
    },
    command: (image) => {
      const does = edit === 'fill' ? `state=active,new-secret=b,${FAST}` : 'state=inactive,old-secret=a';
      return instar('amend', ...secrets(dirname(image), 'a', 'b'), '-o', options(does), image);
    },
    ...(edit === 'empty' ? { unused: withoutStripes } : {}),
    differing: (image) => withoutStripes(image, 'what is random'),
    verify: (directory) => {
      const keys = ['a', 'b'].filter((key) => isOpenedBy(directory, format, key)).join();
      const expected = edit === 'fill' ? 'a,b' : 'b';
      return keys === expected ? undefined : `it is opened by ${keys}, not by ${expected}`;
    },
  };
}

/** An encrypted image over a raw one, both with data. */
function encryptedOverlay(directory: Workdir, overlay: string, kind: string): void {
  withPassphrases(directory);
  directory.write('below', Buffer.concat([noise(60 * KIB), Buffer.alloc(100 * KIB), lines(96 * KIB)]));
  const luks = kind === 'luks' ? `,encrypt.${FAST}` : '';
  const chosen = `cluster_size=4k,encrypt.format=${kind},encrypt.key-secret=a${luks}`;
  const words = ['-q', '-f', 'qcow2', '-b', 'below', '-F', 'raw', '-o', chosen, overlay];
  qemuImg('create', ...secrets(directory.path, 'a'), ...words)
    .in(directory)
    .must();
  const writes = ['write -q -P 3 50k 30k', 'write -q -z 90k 20k', 'write -q -P 4 200k 5k'];
  const image = ['--image-opts', opened('qcow2', overlay)];
  program('qemu-io', ...secrets(directory.path, 'a'), ...writes.flatMap((write) => ['-c', write]), ...image)
    .in(directory)
    .must();
}

function editOf(kind: string, name: string, words: (here: string, image: string) => readonly string[]): EditCase {
  return {
    name: `${name} of an encrypted (${kind}) image`,
    prepare: (directory) => {
      encryptedOverlay(directory, 'image', kind);
      directory.write('disk.raw', Buffer.concat([noise(150 * KIB, 3), Buffer.alloc(80 * KIB), lines(26 * KIB)]));
    },
    command: (image) => {
      const here = dirname(image);
      return instar(...words(here, image), ...secrets(here, 'a'));
    },
  };
}

/** Edits of encrypted images. */
export const ENCRYPTED_CASES: readonly EditCase[] = [
  keySlots('luks', 'fill'),
  keySlots('luks', 'empty'),
  keySlots('qcow2', 'fill'),
  keySlots('qcow2', 'empty'),
  editOf('luks', 'rebase', (_, image) => ['rebase', '-b', '', image]),
  editOf('aes', 'rebase', (_, image) => ['rebase', '-b', '', image]),
  editOf('luks', 'convert -n', (here, image) => [
    'convert',
    '-n',
    '-f',
    'raw',
    '-O',
    'qcow2',
    `${here}/disk.raw`,
    image,
  ]),
  editOf('luks', 'compat=0.10', (_, image) => ['amend', '-o', 'compat=0.10', image]),
  {
    name: 'commit into an encrypted image',
    prepare: (directory) => {
      encryptedOverlay(directory, 'image', 'luks');
      directory.write('content', Buffer.concat([Buffer.alloc(30 * KIB), noise(90 * KIB, 8), Buffer.alloc(136 * KIB)]));
      const words = ['-q', '-f', 'qcow2', '-o', 'cluster_size=4k', '-u', '-b', 'image', '-F', 'qcow2', 'above', '256k'];
      qemuImg('create', ...words)
        .in(directory)
        .must();
      const image = ['--image-opts', 'driver=qcow2,backing.encrypt.key-secret=a,file.filename=above'];
      program(
        'qemu-io',
        ...secrets(directory.path, 'a'),
        '-c',
        'write -q -P 6 40k 50k',
        '-c',
        'write -q -z 200k 20k',
        ...image,
      )
        .in(directory)
        .must();
    },
    command: (image) => instar('commit', '-d', ...secrets(dirname(image), 'a'), `${dirname(image)}/above`),
    unused: withoutFree,
  },
];
