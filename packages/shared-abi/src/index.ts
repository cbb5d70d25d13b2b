/**
 * The ABI between instar's host and its guests.
 *
 * Deprecated, here for one minor version: the language, emitters and comparisons, which moved to `@instar/layout`.
 */
export * from './abi/index.js';
export { describeAbi } from './abi/description.js';
export { AbiVersionError, assertAbi } from './versions/assert.js';
export { changelogText } from './versions/changelog.js';
export { FINGERPRINT, fingerprintHex } from './versions/fingerprint.js';
export * from '@instar/layout';
export * from '@instar/layout/emit';
export * from '@instar/layout/versions';
