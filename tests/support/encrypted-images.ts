import { qemuImg } from './qemu-img.js';
import type { Workdir } from './workdir.js';

/** What opens the images that are made here. */
export const PASSPHRASE = 'correct horse, battery';
/** The same where a comma ends an option. */
const QUOTED = PASSPHRASE.replaceAll(',', ',,');
const SECRET = ['--object', `secret,id=sec0,data=${QUOTED}`] as const;

/** Options of qemu-img that open an encrypted image. */
export function openedBy(file: string, format: string): readonly string[] {
  const key = format === 'luks' ? 'key-secret' : 'encrypt.key-secret';
  return [...SECRET, '--image-opts', `driver=${format},file.filename=${file},${key}=sec0`];
}

/** Makes an encrypted image of a raw one, with these options of creation. */
export function encrypt(directory: Workdir, source: string, file: string, format: string, ...options: string[]): void {
  const key = format === 'luks' ? 'key-secret=sec0' : 'encrypt.key-secret=sec0';
  const given = [key, ...options].join(',');
  qemuImg('convert', '-q', '-f', 'raw', '-O', format, ...SECRET, '-o', given, source, file)
    .in(directory)
    .must();
}

/** Writes a raw image into one that is encrypted already. */
export function fill(directory: Workdir, source: string, file: string, format: string): void {
  const [object = '', secret = '', , target = ''] = openedBy(file, format);
  qemuImg('convert', '-q', '-n', '-f', 'raw', object, secret, '--target-image-opts', source, target)
    .in(directory)
    .must();
}

/** Where the LUKS header of an image begins (byte offset): at the beginning, or where an extension of a qcow2 header says. */
export function luksHeaderOf(image: Buffer): number {
  if (image.toString('latin1', 0, 4) === 'LUKS') return 0;
  const extension = image.indexOf(Buffer.from('0537be77', 'hex'));
  return Number(image.readBigUInt64BE(extension + 8));
}
