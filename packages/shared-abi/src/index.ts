/** The ABI between instar's host and its guests, the language it is written in, and its emitters. */
export * from './abi/index.js';
export { describeAbi } from './abi/description.js';
export { codec } from './codec/codec.js';
export type { Codec, Memory, Partly } from './codec/codec.js';
export type { ArrayView, View } from './codec/views.js';
export { inOrder } from './emit/emitter.js';
export type { Emitter, EmitOptions, Interface, NamedConstant, NamedDescription } from './emit/emitter.js';
export { canonicalAbi, canonicalText, jsonEmitter } from './emit/json.js';
export { markdownEmitter } from './emit/markdown.js';
export { rustEmitter } from './emit/rust.js';
export { AbiVersionError, assertAbi } from './versions/assert.js';
export { changelogText } from './versions/changelog.js';
export { diffInterfaces } from './versions/diff.js';
export type { Change, ChangeKind, ChangeLevel, InterfaceDiff } from './versions/diff.js';
export { FINGERPRINT, fingerprintHex } from './versions/fingerprint.js';
export { parseInterface } from './versions/parse.js';
export * from './layout/index.js';
