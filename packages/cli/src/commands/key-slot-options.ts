import { EngineError, escapeText, type KeySlotChange } from '@instar/engine';
import type { ListedOption } from './option-list.js';

/** Options of key slots, as those of luks images are called; those of qcow2 images have a prefix. */
const NAMES: ReadonlySet<string> = new Set(['state', 'new-secret', 'old-secret', 'keyslot', 'iter-time']);
const PREFIX = 'encrypt.';

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', what);
}

/** Whether an option of amend is one of key slots, of whatever format. */
export function isOfKeySlots({ key }: ListedOption): boolean {
  return NAMES.has(key.startsWith(PREFIX) ? key.slice(PREFIX.length) : key);
}

function numberOf(name: string, text = ''): bigint {
  if (!/^-?(?:\d{1,19}|0x[\da-f]{1,15})$/i.test(text)) {
    throw invalid(`-o ${name}: found '${escapeText(text)}', expected a number`);
  }
  return text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
}

/**
 * What options of key slots ask for; undefined where there are none.
 * @param passphrase the passphrase of a secret by its id
 * @throws EngineError `INVALID_OPTION`
 */
export function keySlotsOf(
  options: readonly ListedOption[],
  format: string | undefined,
  passphrase: (id: string) => Uint8Array,
): KeySlotChange | undefined {
  if (options.length === 0) return undefined;
  const prefix = format === 'luks' ? '' : PREFIX;
  const given = new Map<string, string | undefined>();
  for (const { key, value } of options) {
    const name = key.slice(prefix.length);
    if (!key.startsWith(prefix) || !NAMES.has(name)) {
      const what =
        format === 'luks' ? "luks images have it without 'encrypt.'" : "qcow2 images have it with 'encrypt.'";
      throw invalid(`-o ${escapeText(key)}: no such option is amended; ${what} in front`);
    }
    given.set(name, value);
  }
  const state = given.get('state');
  if (state === undefined) throw invalid(`-o ${prefix}state is missing: active or inactive`);
  if (state !== 'active' && state !== 'inactive') {
    throw invalid(`-o ${prefix}state: found '${escapeText(state)}', expected active or inactive`);
  }
  const number = (name: string, bits: number): number | undefined =>
    given.has(name) ? Number(BigInt.asUintN(bits, numberOf(`${prefix}${name}`, given.get(name)))) : undefined;
  const secret = (name: string): Uint8Array | undefined =>
    given.has(name) ? passphrase(given.get(name) ?? '') : undefined;
  return {
    state,
    slot: number('keyslot', 32),
    iterTimeMs: number('iter-time', 32),
    newPassphrase: secret('new-secret'),
    oldPassphrase: secret('old-secret'),
  };
}
