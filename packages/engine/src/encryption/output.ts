import { IMAGE_FORMAT } from '@instar/shared-abi';
import { write } from 'node:fs';
import { promisify } from 'node:util';
import { EngineError, fileError } from '../errors.js';
import { formatName } from '../format-names.js';
import type { ImageLayout } from '../output/layout.js';
import { newLuks1 } from './luks1.js';
import { newLuks2 } from './luks2.js';
import type { NewContainer } from './new-key.js';

/**
 * How an output is encrypted: as LUKS does it, with AES. A luks output needs it, a qcow2 output may have it. The defaults are
 * those of qemu-img.
 */
export interface OutputEncryption {
  /** Version of LUKS (default 1): 2 is what Linux makes today. A qcow2 output has 1. */
  readonly version?: 1 | 2 | undefined;
  /** What opens it: text (UTF-8) or bytes. It is in no dump and no message. */
  readonly passphrase: string | Uint8Array;
  /** Bits of the key of AES (default 256). */
  readonly keyBits?: 128 | 256 | undefined;
  /** How blocks are chained (default `xts`). */
  readonly mode?: 'xts' | 'cbc' | undefined;
  /** What the initialization vector of a sector is made of (default `plain64`). */
  readonly ivGenerator?: 'plain' | 'plain64' | 'essiv' | undefined;
  /** Hash that `essiv` makes its key with (default `sha256`). */
  readonly ivHash?: 'sha256' | undefined;
  /** Hash that the key is derived with (default `sha256`). */
  readonly hash?: 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512' | undefined;
  /** How long trying a passphrase takes on this machine (milliseconds, default 2000). */
  readonly iterTimeMs?: number | undefined;
}

/** A new key, with the header that hides it. */
export type EncryptedOutput = NewContainer & { readonly passphrase: Uint8Array };

const { LUKS, QCOW2 } = IMAGE_FORMAT.values;
const ITER_TIME_MS = 2000;
const DEFAULT_CLUSTER = 65536;
const writeAt = promisify(write);

/**
 * Refuses an encryption that an output cannot have, and one that lacks.
 * @param format number of the output's format
 * @throws EngineError `INVALID_OPTION`
 */
export function checkEncryption(encryption: OutputEncryption | undefined, format: number, layout: ImageLayout): void {
  if (encryption === undefined) {
    if (format === LUKS) throw new EngineError('INVALID_OPTION', 'encryption: a luks output needs a passphrase');
    return;
  }
  if (format !== LUKS && format !== QCOW2) {
    const what = `encryption: outputs of format ${formatName(format)} are not encrypted; luks and qcow2 are`;
    throw new EngineError('INVALID_OPTION', what);
  }
  if (encryption.version === 2 && format === QCOW2)
    throw new EngineError('INVALID_OPTION', 'encryption.version: a qcow2 image has LUKS 1 inside');
  if (layout.compress === true) throw new EngineError('INVALID_OPTION', 'compress and encryption exclude each other');
  if (encryption.passphrase.length === 0)
    throw new EngineError('INVALID_OPTION', 'encryption: the passphrase is empty');
}

/** Makes the key and the header of an output. */
export async function encryptOutput(given: OutputEncryption): Promise<EncryptedOutput> {
  const { passphrase: secret, keyBits = 256, mode = 'xts', ivGenerator = 'plain64', ivHash = 'sha256' } = given;
  const { hash = 'sha256', iterTimeMs = ITER_TIME_MS, version = 1 } = given;
  const passphrase = typeof secret === 'string' ? new TextEncoder().encode(secret) : secret;
  const make = version === 2 ? newLuks2 : newLuks1;
  return { ...(await make({ keyBits, mode, ivGenerator, ivHash, hash, iterTimeMs }, passphrase)), passphrase };
}

/**
 * Writes the header where the guest has left room for it: nothing that has seen an image has a say in it.
 * @param start where the output begins (byte offset)
 * @throws EngineError `WRITE_FAILED`, `NO_SPACE`
 */
export async function writeHeader(
  { header, length }: NewContainer,
  output: { readonly fd: number; readonly name: string; readonly start: bigint },
  format: number,
  { clusterSize = DEFAULT_CLUSTER }: ImageLayout,
): Promise<void> {
  const bytes = new Uint8Array(length);
  bytes.set(header);
  const place = Number(output.start) + (format === QCOW2 ? clusterSize : 0);
  try {
    for (let done = 0; done < length;) {
      const { bytesWritten } = await writeAt(output.fd, bytes, done, length - done, place + done);
      done += bytesWritten;
    }
  } catch (error) {
    throw fileError('WRITE_FAILED', output.name, 'cannot be written', error);
  }
}
