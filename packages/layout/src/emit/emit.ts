import type { ConstantSet } from '../layout/constants.js';
import { x86_64, type Target } from '../layout/target.js';
import type { Emitter, EmitOptions, NamedConstant, NamedDescription } from './emitter.js';

/** What else may be said of types that are written down; nothing of it must be. */
export interface EmitTypesOptions {
  /** What the text calls itself; the name of the last type where there is none. */
  readonly title?: string;
  /** The target that layouts are resolved for; x86-64 where there is none. */
  readonly target?: Target;
  readonly constants?: readonly NamedConstant[];
  /** Sets of names beside those that the types use. */
  readonly sets?: readonly ConstantSet[];
  readonly derive?: EmitOptions['derive'];
}

/**
 * Types of one's own in another language: `emit(cEmitter, Header)`.
 * @param types one, or several; what they use need not be listed
 * @throws LayoutError `LAYOUT_UNSUPPORTED` for what the language cannot say
 */
export function emit(
  emitter: Emitter,
  types: NamedDescription | readonly NamedDescription[],
  { title, target = x86_64, constants = [], sets = [], derive }: EmitTypesOptions = {},
): string {
  const list = 'kind' in types ? [types] : types;
  const unit = { title: title ?? list.at(-1)?.name ?? 'types', regions: [], constants, sets, types: list };
  return emitter.emit(unit, { target, derive });
}
