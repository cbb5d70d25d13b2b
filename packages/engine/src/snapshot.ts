import type { ValueOf } from '@instar/layout';
import { SNAPSHOT_CHOICE_FLAG, SnapshotChoice } from '@instar/shared-abi';
import { EngineError } from './errors.js';

/** Which internal snapshot is read in the place of an image: a text is an id or else a name; with both, both must fit. */
export type SnapshotSelector = string | { readonly id?: string | undefined; readonly name?: string | undefined };

const { BY_ID, BY_NAME, EITHER } = SNAPSHOT_CHOICE_FLAG.values;
const ID_BYTES = 128;
const NAME_BYTES = 256;
const encoder = new TextEncoder();

/** @throws EngineError `INVALID_OPTION` for what is longer than any id or name that is looked for */
function field(text: string, room: number, what: string): { readonly bytes: Uint8Array; readonly length: number } {
  const given = encoder.encode(text);
  if (given.length > room) {
    throw new EngineError('INVALID_OPTION', `snapshot ${what}: found ${given.length} bytes, expected at most ${room}`);
  }
  const bytes = new Uint8Array(room);
  bytes.set(given);
  return { bytes, length: given.length };
}

/**
 * The choice as the guest takes it.
 * @throws EngineError `INVALID_OPTION`
 */
export function snapshotChoice(selector: SnapshotSelector): ValueOf<typeof SnapshotChoice> {
  const { id, name } = typeof selector === 'string' ? { id: selector, name: undefined } : selector;
  const [idField, nameField] = [field(id ?? '', ID_BYTES, 'id'), field(name ?? '', NAME_BYTES, 'name')];
  const parts = (id === undefined ? 0 : BY_ID) | (name === undefined ? 0 : BY_NAME);
  return {
    ...SnapshotChoice.zero(),
    flags: typeof selector === 'string' ? EITHER : parts,
    id: idField.bytes,
    id_len: idField.length,
    name: nameField.bytes,
    name_len: nameField.length,
  };
}
