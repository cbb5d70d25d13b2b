/** A value of JSON. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/**
 * A result as JSON: bigints are numbers where they are safe integers, else strings of decimal digits; bytes are
 * hexadecimal; what is undefined is left out, functions too.
 */
export function jsonOf(value: unknown): Json {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value !== 'object' || value === null) return null;
  if (value instanceof Uint8Array) return Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (Array.isArray(value)) return value.map(jsonOf);
  const fields = Object.entries(value).filter(([, field]) => field !== undefined && typeof field !== 'function');
  return Object.fromEntries(fields.map(([name, field]) => [name, jsonOf(field)]));
}

function toJSON(this: unknown): Json {
  return jsonOf(this);
}

/** Gives a result, and all objects in it, a `toJSON()` that `JSON.stringify` calls and no list of fields shows. */
export function withJson<T>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || !Object.isExtensible(value))
    return value;
  for (const field of Object.values(value)) withJson(field);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || Array.isArray(value)) {
    Object.defineProperty(value, 'toJSON', { value: toJSON, configurable: true, writable: true });
  }
  return value;
}
