export { codec } from './codec.js';
export type { Codec, Memory, Partly } from './codec.js';
export type { ArrayView, View } from './views.js';
