import { randomUUID } from 'node:crypto';
import { newKey, SECTOR, STRIPES, type LuksParameters, type NewContainer } from './new-key.js';
import { modeName } from './sector-cipher.js';

const SLOTS = 8;
const DIGEST_BYTES = 20;
const ACTIVE = 0x00ac71f3;
const INACTIVE = 0x0000dead;
const SLOTS_AT = 208;
const SLOT_BYTES = 48;
/** Sectors in front of the first key material, and what that is aligned to. */
const ALIGNMENT = 8;

/**
 * Makes a container of LUKS1 whose first key slot a passphrase opens (LUKS1 On-Disk Format Specification 1.2.3), laid out as
 * QEMU does it.
 */
export async function newLuks1(parameters: LuksParameters, passphrase: Uint8Array): Promise<NewContainer> {
  const { hash } = parameters;
  const made = await newKey(parameters, passphrase, DIGEST_BYTES);
  const stride = Math.ceil(made.material.length / SECTOR / ALIGNMENT) * ALIGNMENT;
  const payload = ALIGNMENT + SLOTS * stride;

  const header = Buffer.alloc(ALIGNMENT * SECTOR + made.material.length);
  header.write('LUKS\xba\xbe\0\x01', 0, 'latin1');
  header.write('aes', 8, 'latin1');
  header.write(modeName(parameters), 40, 'latin1');
  header.write(hash, 72, 'latin1');
  header.writeUInt32BE(payload, 104);
  header.writeUInt32BE(made.key.length, 108);
  header.set(made.digest, 112);
  header.set(made.digestSalt, 132);
  header.writeUInt32BE(made.digestIterations, 164);
  header.write(randomUUID(), 168, 'latin1');
  for (let slot = 0; slot < SLOTS; slot += 1) {
    const at = SLOTS_AT + slot * SLOT_BYTES;
    header.writeUInt32BE(slot === 0 ? ACTIVE : INACTIVE, at);
    if (slot === 0) {
      header.writeUInt32BE(made.iterations, at + 4);
      header.set(made.salt, at + 8);
    }
    header.writeUInt32BE(ALIGNMENT + slot * stride, at + 40);
    header.writeUInt32BE(STRIPES, at + 44);
  }
  header.set(made.material, ALIGNMENT * SECTOR);
  return { header, length: payload * SECTOR, key: made.key, mode: modeName(parameters) };
}
