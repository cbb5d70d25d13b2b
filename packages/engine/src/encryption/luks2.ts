import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { newKey, STRIPES, type LuksParameters, type NewContainer, type NewKey } from './new-key.js';
import { modeName } from './sector-cipher.js';

/** Bytes of each of the two headers, text included. */
const HEADER = 16384;
const BINARY = 4096;
const CHECKSUM_AT = 448;
const CHECKSUM_BYTES = 64;
const SALT_BYTES = 64;
/** Where the disk begins, as cryptsetup has it: room for 32 key slots. */
const PAYLOAD = 16 << 20;
/** What key material is aligned to. */
const ALIGNMENT = 4096;

/**
 * Makes a container of LUKS2 whose one key slot a passphrase opens (LUKS2 On-Disk Format Specification 1.1.3), laid out as
 * cryptsetup does it. Its key is made with PBKDF2: Argon2 is not a part of every Node.js.
 */
export async function newLuks2(parameters: LuksParameters, passphrase: Uint8Array): Promise<NewContainer> {
  const digestBytes = createHash(parameters.hash).digest().length;
  const made = await newKey(parameters, passphrase, digestBytes);
  const text = JSON.stringify(metadata(parameters, made));
  const uuid = randomUUID();
  const header = Buffer.alloc(2 * HEADER + made.material.length);
  header.set(copyOf('LUKS\xba\xbe', 0, uuid, text), 0);
  header.set(copyOf('SKUL\xba\xbe', HEADER, uuid, text), HEADER);
  header.set(made.material, 2 * HEADER);
  return { header, length: PAYLOAD, key: made.key, mode: modeName(parameters) };
}

/** The JSON area. Numbers of 64 bits are texts in it. */
function metadata(parameters: LuksParameters, made: NewKey): object {
  const { hash } = parameters;
  const encryption = `aes-${modeName(parameters)}`;
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const area = Math.ceil(made.material.length / ALIGNMENT) * ALIGNMENT;
  return {
    keyslots: {
      0: {
        type: 'luks2',
        key_size: made.key.length,
        af: { type: 'luks1', stripes: STRIPES, hash },
        area: { type: 'raw', offset: String(2 * HEADER), size: String(area), encryption, key_size: made.key.length },
        kdf: { type: 'pbkdf2', hash, iterations: made.iterations, salt: base64(made.salt) },
      },
    },
    tokens: {},
    segments: {
      0: { type: 'crypt', offset: String(PAYLOAD), size: 'dynamic', iv_tweak: '0', encryption, sector_size: 512 },
    },
    digests: {
      0: {
        type: 'pbkdf2',
        keyslots: ['0'],
        segments: ['0'],
        hash,
        iterations: made.digestIterations,
        salt: base64(made.digestSalt),
        digest: base64(made.digest),
      },
    },
    config: { json_size: String(HEADER - BINARY), keyslots_size: String(PAYLOAD - 2 * HEADER) },
  };
}

/** One of the two headers, with its checksum. */
function copyOf(magic: string, at: number, uuid: string, text: string): Uint8Array {
  const header = Buffer.alloc(HEADER);
  header.write(magic, 0, 'latin1');
  header.writeUInt16BE(2, 6);
  header.writeBigUInt64BE(BigInt(HEADER), 8);
  header.writeBigUInt64BE(1n, 16);
  header.write('sha256', 72, 'latin1');
  header.set(randomBytes(SALT_BYTES), 104);
  header.write(uuid, 168, 'latin1');
  header.writeBigUInt64BE(BigInt(at), 256);
  header.write(text, BINARY, 'latin1');
  const checksum = createHash('sha256').update(header).digest();
  header.set(checksum.subarray(0, CHECKSUM_BYTES), CHECKSUM_AT);
  return header;
}
