import { x86_64, type Target } from '../layout/target.js';
import type { Type } from '../layout/types.js';
import { makeCodec, type Codec, type CodecOptions, type Compiler } from './codec.js';
import { generateDecode, generateEncode, generator } from './generate.js';
import { mayGenerate } from './runtime.js';

const compiler: Compiler = {
  decode: (layout, slow, copy) => (mayGenerate() ? generateDecode(layout, slow, copy) : undefined),
  encode: (layout, slow) => (mayGenerate() ? generateEncode(layout, slow) : undefined),
  generator,
};

/** The codec of a type for a target, by default x86-64. Make it once, use it often: it is compiled after a few calls. */
export function codec<T>(type: Type<T>, target: Target = x86_64, options: CodecOptions = {}): Codec<T> {
  return makeCodec(type, target, options, compiler);
}
