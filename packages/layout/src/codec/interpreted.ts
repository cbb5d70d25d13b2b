import { x86_64, type Target } from '../layout/target.js';
import type { Type } from '../layout/types.js';
import { makeCodec, type Codec } from './codec.js';

/**
 * The same as `codec`, without the compiler: for pages that must be small and decode little, or that may not make code
 * from strings anyway.
 */
export function interpretedCodec<T>(type: Type<T>, target: Target = x86_64): Codec<T> {
  return makeCodec(type, target, {}, undefined);
}
