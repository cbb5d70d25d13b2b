import { layoutError } from './errors.js';

// Strict and reserved keywords of Rust (Reference, "Keywords", edition 2024) and of C (C11 6.4.1, with C23's words and
// the macros of stdbool.h). Other languages have means of their own to write a name that they reserve.
const RESERVED = new Set(
  (
    'abstract alignas alignof as asm async auto await become bool box break case char const constexpr continue crate ' +
    'default do double dyn else enum extern false final float fn for gen goto if impl in inline int let long loop ' +
    'macro match mod move mut nullptr override priv pub ref register restrict return self Self short signed sizeof ' +
    'static static_assert struct super switch thread_local trait true try type typedef typeof typeof_unqual union ' +
    'unsafe unsigned unsized use virtual void volatile where while yield'
  ).split(' '),
);

/** Whether a name is an identifier, and no property that every object has. */
export function isIdentifier(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !(name in {});
}

/** Whether a name is an identifier, a keyword neither of Rust nor of C, and no property that every object has. */
export function isGoodName(name: string): boolean {
  return isIdentifier(name) && !/^_+$/.test(name) && !RESERVED.has(name);
}

/**
 * Refuses a name that C or Rust could not write.
 * @throws LayoutError `LAYOUT_NAME`.
 */
export function checkName(name: string, path: string): void {
  if (isGoodName(name)) return;
  throw layoutError(
    'LAYOUT_NAME',
    `found ${JSON.stringify(name)}, expected an identifier that is no keyword of C or Rust`,
    path,
    0,
    name,
    'an identifier that is no keyword of C or Rust',
  );
}
