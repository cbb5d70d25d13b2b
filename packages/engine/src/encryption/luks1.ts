import { createHash, pbkdf2, pbkdf2Sync, randomBytes, randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { encryptSectors, keyBytes, modeName, type CipherChoice } from './sector-cipher.js';

/** How a container is made. */
export interface Luks1Parameters extends CipherChoice {
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

const derive = promisify(pbkdf2);

const SECTOR = 512;
const SLOTS = 8;
const STRIPES = 4000;
const SALT_BYTES = 32;
const DIGEST_BYTES = 20;
const ACTIVE = 0x00ac71f3;
const INACTIVE = 0x0000dead;
const PHDR_BYTES = 592;
const SLOTS_AT = 208;
const SLOT_BYTES = 48;
/** Sectors in front of the first key material, and what that is aligned to. */
const ALIGNMENT = 8;
/** Fewest iterations that cryptsetup accepts for a new key. */
const LEAST_ITERATIONS = 1000;
const MOST_ITERATIONS = 0xffff_ffff;
/** The digest of the key, which is random, needs less than a passphrase does. */
const DIGEST_SHARE = 8;
/** Shortest measurement that says something (milliseconds). */
const MEASURED_MS = 10;

/**
 * Makes a container of LUKS1 whose first key slot a passphrase opens (LUKS1 On-Disk Format Specification 1.2.3), laid out as
 * QEMU does it.
 */
export async function newLuks1(parameters: Luks1Parameters, passphrase: Uint8Array): Promise<NewContainer> {
  const { hash } = parameters;
  const length = keyBytes(parameters);
  const material = STRIPES * length;
  const stride = Math.ceil(Math.ceil(material / SECTOR) / ALIGNMENT) * ALIGNMENT;
  const payload = ALIGNMENT + SLOTS * stride;
  const key = randomBytes(length);
  const [salt, digestSalt] = [randomBytes(SALT_BYTES), randomBytes(SALT_BYTES)];
  const iterations = iterationsFor(parameters, length);
  const digestIterations = Math.max(LEAST_ITERATIONS, Math.floor(iterations / DIGEST_SHARE));
  const digest = await derive(key, digestSalt, digestIterations, DIGEST_BYTES, hash);
  const slotKey = await derive(passphrase, salt, iterations, length, hash);
  const split = Buffer.alloc(Math.ceil(material / SECTOR) * SECTOR);
  splitKey(key, hash).copy(split);

  const header = Buffer.alloc(ALIGNMENT * SECTOR + split.length);
  header.write('LUKS\xba\xbe\0\x01', 0, 'latin1');
  header.write('aes', 8, 'latin1');
  header.write(modeName(parameters), 40, 'latin1');
  header.write(hash, 72, 'latin1');
  header.writeUInt32BE(payload, 104);
  header.writeUInt32BE(length, 108);
  digest.copy(header, 112);
  header.set(digestSalt, 132);
  header.writeUInt32BE(digestIterations, 164);
  header.write(randomUUID(), 168, 'latin1');
  for (let slot = 0; slot < SLOTS; slot += 1) {
    const at = SLOTS_AT + slot * SLOT_BYTES;
    header.writeUInt32BE(slot === 0 ? ACTIVE : INACTIVE, at);
    if (slot === 0) {
      header.writeUInt32BE(iterations, at + 4);
      header.set(salt, at + 8);
    }
    header.writeUInt32BE(ALIGNMENT + slot * stride, at + 40);
    header.writeUInt32BE(STRIPES, at + 44);
  }
  header.fill(0, PHDR_BYTES, ALIGNMENT * SECTOR);
  header.set(encryptSectors(parameters, slotKey, split), ALIGNMENT * SECTOR);
  slotKey.fill(0);
  split.fill(0);
  return { header, length: payload * SECTOR, key, mode: modeName(parameters) };
}

/** Iterations that take the wanted time here. */
function iterationsFor({ hash, iterTimeMs }: Luks1Parameters, length: number): number {
  for (let iterations = 4096; ; iterations *= 2) {
    const started = performance.now();
    pbkdf2Sync('a passphrase', Buffer.alloc(SALT_BYTES), iterations, length, hash);
    const elapsed = performance.now() - started;
    if (elapsed < MEASURED_MS) continue;
    const wanted = Math.round((iterations / elapsed) * iterTimeMs);
    return Math.min(Math.max(wanted, LEAST_ITERATIONS), MOST_ITERATIONS);
  }
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
