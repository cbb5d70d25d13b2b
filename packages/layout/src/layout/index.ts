/** The layout language: descriptions, and what they resolve to for a target. */
export { array } from './array.js';
export { defineEnum, defineFlags, nameOf } from './constants.js';
export type { ConstantSet } from './constants.js';
export { LayoutError } from './errors.js';
export type { LayoutErrorCode, LayoutErrorDetails } from './errors.js';
export { deferStruct, defineStruct } from './fixed-struct.js';
export type { FixedStruct } from './fixed-struct.js';
export { getField, manifest, setField } from './manifest.js';
export type { Manifest, StorageUnit } from './manifest.js';
export type { Protection, Region } from './region.js';
export { resolve } from './resolve.js';
export { byteSize } from './resolved.js';
export type {
  BitOrder,
  ResolvedArm,
  ResolvedArray,
  ResolvedBoolean,
  ResolvedBytes,
  ResolvedField,
  ResolvedFloat,
  ResolvedInteger,
  ResolvedIntegral,
  ResolvedNamed,
  ResolvedSlice,
  ResolvedStruct,
  ResolvedTagged,
  ResolvedType,
  ResolvedUnion,
} from './resolved.js';
export { anonymous, bitStruct, field, integral, struct, tagged, union } from './struct.js';
export type {
  AnonymousSpec,
  FieldSpec,
  Integral,
  Struct,
  StructOptions,
  StructValue,
  Tagged,
  TaggedValue,
  Union,
} from './struct.js';
export { indexOfPointer, pointerOfIndex } from './table-pointer.js';
export type { TablePlace } from './table-pointer.js';
export { headOf, headSize, loadHead, truncateTail } from './tail.js';
export { compareTargets } from './target-report.js';
export type { TargetDifference, TargetPlace } from './target-report.js';
export {
  TARGETS,
  aarch64,
  aarch64_be,
  arm,
  i386,
  mips,
  mips64,
  mips64el,
  mipsel,
  ppc,
  ppc64,
  ppc64le,
  riscv32,
  riscv64,
  s390x,
  windows_x64,
  x86_64,
} from './target.js';
export type { Endian, Target } from './target.js';
export {
  bitField,
  bool,
  bytes,
  f32,
  f64,
  fixedArray,
  float,
  i16,
  i32,
  i64,
  i8,
  int,
  iword,
  named,
  pointer,
  tablePointer,
  text,
  u16,
  u32,
  u64,
  u8,
  uint,
  unnamedBits,
  uword,
} from './types.js';
export {
  alignedTo,
  arrayUntil,
  bytesOf,
  bytesUntil,
  checksum,
  digestOf,
  lazyAt,
  magic,
  optional,
  pointedTo,
  processed,
  ranged,
  sized,
  textOf,
  textUntil,
  variant,
  when,
} from '../variable/describe.js';
export type { Condition, Variable, VariantValue } from '../variable/describe.js';
export { placesOf } from '../variable/places.js';
export type { Place, Placed } from '../variable/places.js';
export { sha256 } from '../variable/sha256.js';
export type { ChecksumName } from '../variable/checksums.js';
export type * from './types.js';
