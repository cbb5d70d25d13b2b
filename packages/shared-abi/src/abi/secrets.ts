import { deferStruct, defineEnum, field, fixedArray, named, u32, u64 } from '@instar/layout';
import { DEVICE_ROLE } from './codes.js';

/** "SECR", read as a big-endian word. */
export const SECRETS_MAGIC = 0x5345_4352;
/** Passphrases that a run may have. */
export const SECRETS_MAX = 8;
/** Bytes at the beginning of the region `keys` that the host fills; the guest's keys lie behind them. */
export const SECRETS_SIZE = 0x1_0000;

/** What a secret is for. Append-only. */
export const SECRET_USE = defineEnum('SecretUse', 'What a secret is for.', {
  OPENS: [0, 'it opens images; of the role OUTPUT, it is the key of the output'],
  NEW: [1, 'the passphrase that a key slot is filled for'],
  OLD: [2, 'the passphrase whose key slots are emptied'],
  SEED: [3, 'random bytes that salts and stripes are made of'],
});

/** One passphrase. */
export const SecretEntry = deferStruct('SecretEntry', 16, 'One passphrase.', () => ({
  role: field(
    named(u32, DEVICE_ROLE),
    0,
    'DeviceRole of the image whose chain it is for, 0 for any; OUTPUT: it is the key of the output',
  ),
  length: field(u32, 4, 'bytes'),
  offset: field(u32, 8, 'where its bytes lie (byte offset from the beginning of SecretsConfig)'),
  use: field(named(u32, SECRET_USE), 12, 'SecretUse'),
}));

/** What the region `keys` begins with, where there are passphrases; all zeros otherwise. Nothing of the region is dumped. */
export const SecretsConfig = deferStruct('SecretsConfig', 144, 'Passphrases of encrypted images.', () => ({
  magic: field(u32, 0, 'SECRETS_MAGIC', SECRETS_MAGIC),
  count: field(u32, 4, 'how many entries are used'),
  memory_size: field(u64, 8, 'bytes of guest memory that the region takes, at least what the memory map says'),
  entries: field(fixedArray(SecretEntry, SECRETS_MAX), 16, 'the passphrases'),
}));
