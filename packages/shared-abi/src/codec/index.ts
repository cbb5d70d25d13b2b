export { codec } from './codec.js';
export type { Codec, CodecOptions, Partly } from './codec.js';
export { viewArrayOf, viewOf } from './in-place.js';
export type { Memory } from './memory.js';
export type { ArrayView, View } from './views.js';
