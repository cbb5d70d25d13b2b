import { createCipheriv, createHash } from 'node:crypto';

const SECTOR = 512;
const IV_BYTES = 16;

/** AES as LUKS uses it. */
export interface CipherChoice {
  /** Length of the key of AES in bits (default 256). */
  readonly keyBits: 128 | 256;
  readonly mode: 'xts' | 'cbc';
  readonly ivGenerator: 'plain' | 'plain64' | 'essiv';
  /** Hash of the key that encrypts what `essiv` makes of a number. */
  readonly ivHash: string;
}

/** Bytes of the key of a cipher: XTS has two. */
export function keyBytes({ keyBits, mode }: CipherChoice): number {
  return (keyBits / 8) * (mode === 'xts' ? 2 : 1);
}

/** Its mode as LUKS names it. */
export function modeName({ mode, ivGenerator, ivHash }: CipherChoice): string {
  return ivGenerator === 'essiv' ? `${mode}-essiv:${ivHash}` : `${mode}-${ivGenerator}`;
}

/** Encrypts whole sectors of 512 bytes, the first of which has number 0. */
export function encryptSectors(choice: CipherChoice, key: Uint8Array, plain: Uint8Array): Uint8Array {
  const name = `aes-${choice.keyBits}-${choice.mode}`;
  const parts = Array.from({ length: plain.length / SECTOR }, (_, number) => {
    const cipher = createCipheriv(name, key, initialVector(choice, key, number)).setAutoPadding(false);
    const sector = plain.subarray(number * SECTOR, (number + 1) * SECTOR);
    return Buffer.concat([cipher.update(sector), cipher.final()]);
  });
  return Buffer.concat(parts);
}

/** What the encryption of a sector begins with. */
function initialVector({ ivGenerator, ivHash }: CipherChoice, key: Uint8Array, number: number): Uint8Array {
  const iv = Buffer.alloc(IV_BYTES);
  iv.writeUInt32LE(number, 0);
  if (ivGenerator !== 'essiv') return iv;
  const essiv = createHash(ivHash).update(key).digest();
  return createCipheriv(`aes-${essiv.length * 8}-ecb`, essiv, null)
    .setAutoPadding(false)
    .update(iv);
}
