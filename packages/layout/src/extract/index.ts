/** Asks real compilers how they lay types out. Node only: it starts them. */
export { ExtractError } from './errors.js';
export type { ExtractErrorCode } from './errors.js';
export { extract } from './extract.js';
export type { ExtractedField, ExtractedType, Extraction, ExtractOptions } from './extract.js';
export { extractRust } from './rust.js';
export type { ExtractRustOptions } from './rust.js';
export type { ExtractedConstant } from './constants.js';
export type { CompilerOptions } from './compiler.js';
export type { TargetName } from './targets.js';
export { extractFile } from './binary/from-file.js';
export type { ExtractFileOptions } from './binary/from-file.js';
