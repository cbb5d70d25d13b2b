import { EDIT_ACTION, EDIT_FLAG, IMAGE_FORMAT } from '@instar/shared-abi';
import { iterationsFor, newSeed } from '../encryption/new-key.js';
import { EngineError } from '../errors.js';
import type { OperationControl } from '../operation.js';
import type { OwnSecret } from '../secrets.js';
import type { ImageInfo } from '../session/look.js';
import { editImage, type EditOptions, type EditRequest } from './edit.js';

/** A change of the key slots of an image that LUKS encrypts. */
export interface KeySlotChange {
  /** `active`: one more passphrase opens the image. `inactive`: one or more open it no longer. */
  readonly state: 'active' | 'inactive';
  /** The passphrase that is to open it: text (UTF-8) or bytes. */
  readonly newPassphrase?: string | Uint8Array | undefined;
  /** The passphrase that is to open it no longer. */
  readonly oldPassphrase?: string | Uint8Array | undefined;
  /** Number of the slot (default: the first that is empty; those that the old passphrase opens). */
  readonly slot?: number | undefined;
  /** How long trying the new passphrase takes on this machine (milliseconds, default 2000). */
  readonly iterTimeMs?: number | undefined;
}

const { ANY_SLOT, FORCE } = EDIT_FLAG.values;
const { KEY_SLOT_EMPTY, KEY_SLOT_FILL, KEY_SLOT_WIPE } = EDIT_ACTION.values;
const ITER_TIME_MS = 2000;
/** Hashes that keys are derived with. */
const HASHES: readonly string[] = ['sha1', 'sha224', 'sha256', 'sha384', 'sha512'];

/** @throws EngineError `INVALID_OPTION` where the parts of a change do not belong together */
export function checkKeySlotChange({ state, newPassphrase, oldPassphrase, slot, iterTimeMs }: KeySlotChange): void {
  const refuse = (what: string): EngineError => new EngineError('INVALID_OPTION', `key slots: ${what}`);
  if (state === 'active') {
    if (newPassphrase === undefined) throw refuse('a slot becomes active with a new passphrase');
    if (newPassphrase.length === 0) throw refuse('the new passphrase is empty');
    if (oldPassphrase !== undefined) throw refuse('no old passphrase is given where a slot becomes active');
    return;
  }
  if (newPassphrase !== undefined) throw refuse('no new passphrase is given where slots become inactive');
  if (iterTimeMs !== undefined) throw refuse('no time of iterations is given where slots become inactive');
  if (slot === undefined && oldPassphrase === undefined) {
    throw refuse('slots become inactive by their number or by the old passphrase, which opens them');
  }
}

/** @throws EngineError `IMAGE_UNSUPPORTED_EDIT` where a qcow2 image has no key slots; of other formats the guest says that */
export function requireKeySlots({ format, luks, crypt_method: method }: ImageInfo, file: string): void {
  if (format !== IMAGE_FORMAT.values.QCOW2 || luks.version !== 0) return;
  const what =
    method === 0
      ? 'it is not encrypted, and has no key slots'
      : 'it is encrypted as versions before LUKS did it, which has no key slots';
  throw new EngineError('IMAGE_UNSUPPORTED_EDIT', `the image cannot be edited so: ${what}`, { file });
}

function seed(): OwnSecret {
  return { use: 'SEED', bytes: newSeed() };
}

function bytesOf(passphrase: string | Uint8Array): Uint8Array {
  return typeof passphrase === 'string' ? new TextEncoder().encode(passphrase) : passphrase;
}

/** What the guest needs for a change beside a passphrase that opens the image. */
export function secretsOf({ newPassphrase, oldPassphrase }: KeySlotChange): readonly OwnSecret[] {
  return [
    seed(),
    ...(newPassphrase === undefined ? [] : [{ use: 'NEW' as const, bytes: bytesOf(newPassphrase) }]),
    ...(oldPassphrase === undefined ? [] : [{ use: 'OLD' as const, bytes: bytesOf(oldPassphrase) }]),
  ];
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1').replace(/\0.*$/s, '');
}

/** What is asked of the guest. */
export function requestOf(
  { state, slot, iterTimeMs = ITER_TIME_MS }: KeySlotChange,
  { luks: { cipher, mode, hash } }: ImageInfo,
  force: boolean,
): EditRequest {
  const flags = (slot === undefined ? ANY_SLOT : 0) | (force ? FORCE : 0);
  const which = { number: slot ?? 0, flags };
  if (state === 'inactive') return { action: KEY_SLOT_EMPTY, ...which };
  // An image says what it likes: what is no hash is refused where the key is made.
  const name = HASHES.find((known) => known === text(hash)) ?? 'sha256';
  const keyBytes = text(cipher).endsWith('128') ? 16 : 32;
  const bytes = text(mode) === 'xts' ? 2 * keyBytes : keyBytes;
  return { action: KEY_SLOT_FILL, ...which, iterations: iterationsFor({ hash: name, iterTimeMs }, bytes) };
}

/**
 * Overwrites the stripes of slots that were emptied. No log is written: it would be a copy of them.
 * @param slots bit n stands for slot n
 * @throws EngineError; the slots are empty nevertheless
 */
export async function wipe(
  file: string,
  { format }: EditOptions,
  slots: number,
  control: OperationControl,
): Promise<void> {
  const quiet = { ...control, onProgress: undefined, onWarning: undefined };
  const request = { action: KEY_SLOT_WIPE, number: slots };
  try {
    await editImage(file, { format, undo: false }, quiet, () => request, [seed()]);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    const what = 'key slots are empty, but what they held was not overwritten (empty them again with force)';
    throw new EngineError(error.code, `${what}: ${error.reason}`, { file, cause: error });
  }
}

/** Numbers of the bits that are set. */
export function numbersOf(slots: number): readonly number[] {
  return Array.from({ length: 32 }, (_, number) => number).filter((number) => ((slots >>> number) & 1) === 1);
}
