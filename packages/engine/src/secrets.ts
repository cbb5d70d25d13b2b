import { DEVICE_ROLE, region, SECRET_USE, SECRETS_MAX, SECRETS_SIZE, SecretsConfig } from '@instar/shared-abi';
import { EngineError } from './errors.js';

/** Memory that making a key may take where nothing else is said (bytes): what cryptsetup uses at most by default. */
export const DEFAULT_KEY_MEMORY = 1n << 30n;
/** What a guest needs for keys beside that (bytes). */
const OWN_MEMORY = 4n << 20n;

/** What a guest needs to read packed files with dictionaries of 128 MiB (bytes), which lie where keys do. */
const DICTIONARY_MEMORY = 144n << 20n;

/** What the VMM hands to a guest, outside of everything that is dumped. */
export interface GuestSecrets {
  readonly secrets: Uint8Array;
  readonly keyMemory: bigint;
}

/** A secret of an operation that is no passphrase of its images. */
export interface OwnSecret {
  readonly use: keyof typeof SECRET_USE.values | 'OUTPUT';
  readonly bytes: Uint8Array;
}

/**
 * Lays passphrases out for a guest.
 * @param keyMemory most memory that making a key may take (bytes)
 * @param own what the operation needs beside them, such as the key that its output is encrypted with
 * @throws EngineError `INVALID_OPTION` when there are too many, or they are too long
 */
export function layOutSecrets(
  passphrases: readonly (string | Uint8Array)[] = [],
  keyMemory: bigint | number = DEFAULT_KEY_MEMORY,
  own: readonly OwnSecret[] = [],
): GuestSecrets | undefined {
  const encoder = new TextEncoder();
  const { OPENS } = SECRET_USE.values;
  const inputs = passphrases.map((item) => ({
    role: 0,
    use: OPENS,
    bytes: typeof item === 'string' ? encoder.encode(item) : item,
  }));
  const others = own.map(({ use, bytes }) =>
    use === 'OUTPUT'
      ? { role: DEVICE_ROLE.values.OUTPUT, use: OPENS, bytes }
      : { role: 0, use: SECRET_USE.values[use], bytes },
  );
  const all = [...inputs, ...others];
  if (all.length === 0) return undefined;
  if (all.length > SECRETS_MAX) {
    throw new EngineError('INVALID_OPTION', `${all.length} passphrases are more than ${SECRETS_MAX}`);
  }
  let offset = SecretsConfig.size;
  const entries = all.map(({ role, use, bytes: { length } }) => {
    const entry = { role, length, offset, use };
    offset += length;
    return entry;
  });
  if (offset > SECRETS_SIZE) {
    const most = SECRETS_SIZE - SecretsConfig.size;
    throw new EngineError('INVALID_OPTION', `passphrases of ${offset} bytes are too long: at most ${most} fit`);
  }
  const memory = BigInt(keyMemory) + OWN_MEMORY;
  const least = BigInt(region('keys').size);
  const secrets = new Uint8Array(offset);
  secrets.set(
    SecretsConfig.encode({
      count: entries.length,
      memory_size: memory > least ? memory : least,
      entries: entries,
    }),
  );
  all.forEach(({ bytes }, index) => {
    secrets.set(bytes, entries[index]?.offset ?? 0);
  });
  return { secrets, keyMemory: memory };
}

/** The same with memory for the largest dictionaries; what is given where it has that. */
export function withDictionaryMemory(given: GuestSecrets | undefined): GuestSecrets {
  if (given !== undefined && given.keyMemory >= DICTIONARY_MEMORY) return given;
  const config = given === undefined ? SecretsConfig.zero() : SecretsConfig.decode(given.secrets);
  const bytes = new Uint8Array(given?.secrets.length ?? SecretsConfig.size);
  if (given !== undefined) bytes.set(given.secrets);
  bytes.set(SecretsConfig.encode({ ...config, memory_size: DICTIONARY_MEMORY }));
  return { secrets: bytes, keyMemory: DICTIONARY_MEMORY };
}
