/** The ABI between instar's host and its guests, the language it is written in, and its emitters. */
export * from './abi/index.js';
export { describeAbi } from './abi/description.js';
export type { AbiDescription, Emitter, StructDescription } from './emit/emitter.js';
export { canonicalAbi, canonicalText, jsonEmitter } from './emit/json.js';
export { markdownEmitter } from './emit/markdown.js';
export { rustEmitter } from './emit/rust.js';
export { FINGERPRINT, fingerprintHex } from './versions/fingerprint.js';
export { defineEnum, defineFlags, nameOf } from './layout/constants.js';
export type { ConstantSet } from './layout/constants.js';
export { LayoutError } from './layout/errors.js';
export type { LayoutErrorCode, LayoutErrorDetails } from './layout/errors.js';
export { defineStruct, field } from './layout/struct.js';
export type { FieldSpec, ResolvedField, StructType, StructValue } from './layout/struct.js';
export { array, bytes, i32, i64, u16, u32, u64, u8 } from './layout/types.js';
export type { ArrayType, BytesType, IntegerType, LayoutType, ValueOf } from './layout/types.js';
