export { codec } from './compiled.js';
export type { Codec, CodecOptions, Partly } from './codec.js';
export { interpretedCodec } from './interpreted.js';
export { viewArrayOf, viewOf } from './in-place.js';
export type { Memory } from './memory.js';
export type { ArrayView, View } from './views.js';
