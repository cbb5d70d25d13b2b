import { createHash, pbkdf2, pbkdf2Sync, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { encryptSectors, keyBytes, type CipherChoice } from './sector-cipher.js';

/** How a container is made. */
export interface LuksParameters extends CipherChoice {
  /** Hash of key derivation and anti-forensic split, as LUKS names it. */
  readonly hash: string;
  /** How long making a key of the passphrase takes on this machine (milliseconds). */
  readonly iterTimeMs: number;
}

/** A new container, before its disk. */
export interface NewContainer {
  /** All that is in front of the disk; what follows `header` up to `length` is zeros. */
  readonly header: Uint8Array;
  /** Byte offset of the disk. */
  readonly length: number;
  /** Key that the disk is encrypted with. It is secret. */
  readonly key: Uint8Array;
  /** Its mode as LUKS names it. */
  readonly mode: string;
}

/** A new key, what hides it, and what tells whether it is right. */
export interface NewKey {
  readonly key: Uint8Array;
  /** The split key, encrypted with what the passphrase gives; whole sectors. */
  readonly material: Uint8Array;
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly digest: Uint8Array;
  readonly digestSalt: Uint8Array;
  readonly digestIterations: number;
}

export const STRIPES = 4000;
export const SECTOR = 512;
const SALT_BYTES = 32;
const SEED_BYTES = 64;
/** Fewest iterations that cryptsetup accepts for a new key. */
const LEAST_ITERATIONS = 1000;
const MOST_ITERATIONS = 0xffff_ffff;
/** The digest of the key, which is random, needs less than a passphrase does. */
const DIGEST_SHARE = 8;
/** Shortest measurement that says something (milliseconds). */
const MEASURED_MS = 10;

const derive = promisify(pbkdf2);

/**
 * Makes a key that a passphrase opens, with PBKDF2.
 * @param digestBytes bytes of the digest of the key
 */
export async function newKey(parameters: LuksParameters, passphrase: Uint8Array, digestBytes: number): Promise<NewKey> {
  const { hash } = parameters;
  const length = keyBytes(parameters);
  const key = randomBytes(length);
  const [salt, digestSalt] = [randomBytes(SALT_BYTES), randomBytes(SALT_BYTES)];
  const iterations = iterationsFor(parameters, length);
  const digestIterations = Math.max(LEAST_ITERATIONS, Math.floor(iterations / DIGEST_SHARE));
  const digest = await derive(key, digestSalt, digestIterations, digestBytes, hash);
  const slotKey = await derive(passphrase, salt, iterations, length, hash);
  const split = Buffer.alloc(Math.ceil((STRIPES * length) / SECTOR) * SECTOR);
  splitKey(key, hash).copy(split);
  const material = encryptSectors(parameters, slotKey, split);
  slotKey.fill(0);
  split.fill(0);
  return { key, material, salt, iterations, digest, digestSalt, digestIterations };
}

/**
 * Iterations of PBKDF2 that take the wanted time here.
 * @param length bytes of the key that is made
 */
export function iterationsFor(
  { hash, iterTimeMs }: Pick<LuksParameters, 'hash' | 'iterTimeMs'>,
  length: number,
): number {
  for (let iterations = 4096; ; iterations *= 2) {
    const started = performance.now();
    pbkdf2Sync('a passphrase', Buffer.alloc(SALT_BYTES), iterations, length, hash);
    const elapsed = performance.now() - started;
    if (elapsed < MEASURED_MS) continue;
    const wanted = Math.round((iterations / elapsed) * iterTimeMs);
    return Math.min(Math.max(wanted, LEAST_ITERATIONS), MOST_ITERATIONS);
  }
}

/** Random bytes, of which a guest makes others. */
export function newSeed(): Uint8Array {
  return randomBytes(SEED_BYTES);
}

/** Spreads a key over stripes of which every one is needed ("Anti-forensic splitter"). */
function splitKey(key: Uint8Array, hash: string): Buffer {
  const stripes: Uint8Array[] = [];
  let mixed = new Uint8Array(key.length);
  const digestBytes = createHash(hash).digest().length;
  const random = randomBytes((STRIPES - 1) * key.length);
  for (let stripe = 0; stripe < STRIPES - 1; stripe += 1) {
    const bytes = random.subarray(stripe * key.length, (stripe + 1) * key.length);
    stripes.push(bytes);
    mixed = diffuse(xor(mixed, bytes), hash, digestBytes);
  }
  return Buffer.concat([...stripes, xor(mixed, key)]);
}

function xor(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(first, (byte, index) => byte ^ (second[index] ?? 0));
}

/** Hashes a stripe in pieces as long as a digest, each with its number in front. */
function diffuse(bytes: Uint8Array, hash: string, size: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes.length);
  for (let at = 0, number = 0; at < bytes.length; number += 1) {
    const index = Buffer.alloc(4);
    index.writeUInt32BE(number);
    const digest = createHash(hash)
      .update(index)
      .update(bytes.subarray(at, at + size))
      .digest();
    out.set(digest.subarray(0, bytes.length - at), at);
    at += size;
  }
  return out;
}
