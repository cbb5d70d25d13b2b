/** The ABI between instar's host and its guests, the language it is written in, and its emitters. */
export * from './abi/index.js';
export { describeAbi } from './abi/description.js';
export {
  add,
  and,
  ArithmeticError,
  compare,
  divide,
  divideUp,
  modulo,
  multiply,
  negate,
  not,
  or,
  power,
  shiftLeft,
  shiftRight,
  subtract,
  xor,
} from './arithmetic/operators.js';
export { cast, fromInteger, operand, toInteger, toValue, typed } from './arithmetic/typed-integer.js';
export type { Operand, TypedInteger } from './arithmetic/typed-integer.js';
export { codec } from './codec/codec.js';
export type { Codec, Memory, Partly } from './codec/codec.js';
export type { ArrayView, View } from './codec/views.js';
export { cEmitter } from './emit/c.js';
export { inOrder } from './emit/emitter.js';
export type { Emitter, EmitOptions, Interface, NamedConstant, NamedDescription } from './emit/emitter.js';
export { asciiEmitter } from './emit/ascii.js';
export { svgEmitter } from './emit/svg.js';
export { canonicalAbi, canonicalText, jsonEmitter } from './emit/json.js';
export { markdownEmitter } from './emit/markdown.js';
export { pokeEmitter, pokeName } from './emit/poke.js';
export { rustEmitter } from './emit/rust.js';
export { AbiVersionError, assertAbi } from './versions/assert.js';
export { changelogText } from './versions/changelog.js';
export { diffInterfaces } from './versions/diff.js';
export type { Change, ChangeKind, ChangeLevel, InterfaceDiff } from './versions/diff.js';
export { FINGERPRINT, fingerprintHex } from './versions/fingerprint.js';
export { parseInterface } from './versions/parse.js';
export * from './layout/index.js';
export { getField, manifest, setField } from './layout/manifest.js';
export type { Manifest, StorageUnit } from './layout/manifest.js';
