import type { ImageInfo } from './session/look.js';

/** A key slot of an encrypted image. */
export interface LuksSlot {
  /** Whether it holds a key. */
  readonly active: boolean;
  readonly iterations: number;
  readonly stripes: number;
  /** Byte offset in the container. */
  readonly keyOffset: bigint;
}

/** What a LUKS header says. Text comes from the image: escape it before it is shown. */
export interface LuksDetails {
  readonly version: number;
  /** Cipher and length of its key, such as `aes-256`. */
  readonly cipher: string;
  readonly mode: string;
  readonly ivGenerator: string;
  /** Hash of the generator, where it has one. */
  readonly ivHash: string | undefined;
  readonly hash: string;
  readonly uuid: string;
  /** Byte offset of the encrypted disk in the container. */
  readonly payloadOffset: bigint;
  readonly masterKeyIterations: number;
  readonly slots: readonly LuksSlot[];
}

const decoder = new TextDecoder();

function padded(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** What the header of an encrypted image says; undefined for an image without one. */
export function luksDetails({ luks }: ImageInfo): LuksDetails | undefined {
  if (luks.version === 0) return undefined;
  const [ivGenerator = '', ivHash] = padded(luks.iv_generator).split(':');
  return {
    version: luks.version,
    cipher: padded(luks.cipher),
    mode: padded(luks.mode),
    ivGenerator,
    ivHash,
    hash: padded(luks.hash),
    uuid: padded(luks.uuid),
    payloadOffset: luks.payload_offset,
    masterKeyIterations: luks.master_key_iterations,
    slots: luks.slots.slice(0, luks.slot_count).map(({ iterations, stripes, key_offset: keyOffset }, number) => ({
      active: ((luks.active_slots >>> number) & 1) === 1,
      iterations,
      stripes,
      keyOffset,
    })),
  };
}
