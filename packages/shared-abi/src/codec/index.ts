export { codec } from './codec.js';
export type { Codec, CodecOptions, Memory, Partly } from './codec.js';
export type { ArrayView, View } from './views.js';
