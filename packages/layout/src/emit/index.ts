/** Writes descriptions in other languages, as documentation and as pictures. */
export { asciiEmitter } from './ascii.js';
export { cEmitter } from './c.js';
export { emit } from './emit.js';
export type { EmitTypesOptions } from './emit.js';
export { inOrder, isNamed } from './emitter.js';
export type { Emitter, EmitOptions, Interface, NamedConstant, NamedDescription } from './emitter.js';
export { hexpatEmitter } from './hexpat.js';
export { canonicalAbi, canonicalText, jsonEmitter } from './json.js';
export { jsonSchemaEmitter } from './json-schema.js';
export { ksyEmitter } from './ksy.js';
export { markdownEmitter } from './markdown.js';
export { pokeEmitter } from './poke.js';
export { pokeName } from './poke-text.js';
export { rustEmitter } from './rust.js';
export { svgEmitter } from './svg.js';
export { typescriptEmitter } from './typescript.js';
