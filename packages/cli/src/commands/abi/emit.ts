import type { Target } from '@instar/layout';
import {
  asciiEmitter,
  cEmitter,
  hexpatEmitter,
  jsonEmitter,
  jsonSchemaEmitter,
  ksyEmitter,
  markdownEmitter,
  pokeEmitter,
  rustEmitter,
  svgEmitter,
  typescriptEmitter,
  type Emitter,
} from '@instar/layout/emit';
import { escapeText } from '@instar/engine';
import { findTypes, usageError, type Source } from './source.js';

export const EMITTERS: readonly Emitter[] = [
  cEmitter,
  rustEmitter,
  pokeEmitter,
  typescriptEmitter,
  jsonEmitter,
  jsonSchemaEmitter,
  ksyEmitter,
  hexpatEmitter,
  markdownEmitter,
  svgEmitter,
  asciiEmitter,
];

/** What is written, and what the types derive in it. */
export interface Wanted {
  readonly language: string;
  readonly derive: string | undefined;
}

/** An interface in a language: all of it, or the types that were named and what they use. */
export function emit(source: Source, wanted: Wanted, names: readonly string[], target: Target): string {
  const { language, derive } = wanted;
  const emitter = EMITTERS.find((item) => item.name === language);
  if (emitter === undefined) {
    throw usageError(
      `found the language ${escapeText(language)}, expected ${EMITTERS.map((item) => item.name).join(', ')}`,
    );
  }
  if (derive !== undefined && derive !== 'zerocopy') {
    throw usageError(`found --derive ${escapeText(derive)}, expected zerocopy`);
  }
  if (derive !== undefined && emitter !== rustEmitter) throw usageError('--derive is for --to rust');
  const { unit, fingerprint } = source;
  if (names.length === 0) return emitter.emit(unit, { target, fingerprint, derive });
  const title = names.join(', ');
  return emitter.emit(
    { title, regions: [], constants: [], sets: [], types: findTypes(unit, names) },
    { target, derive },
  );
}
