import type { ResolvedType } from '../layout/resolved.js';

/** Whether some bytes are no value of a type in Rust: a `bool` is 0 or 1. */
export function holdsBoolean(type: ResolvedType): boolean {
  switch (type.kind) {
    case 'boolean':
      return type.declaredBits === undefined;
    case 'array':
      return holdsBoolean(type.element);
    case 'struct':
      return type.source.packing !== 'bits' && type.fields.some((item) => holdsBoolean(item.type));
    default:
      return false;
  }
}

/**
 * The text of a type with the traits of the crate `zerocopy` (0.8) derived: padding is members here, so that all bytes are
 * of a value; what not all bytes are a value of can be tried only.
 */
export function withZerocopy(lines: readonly string[], onlyTried: boolean): string[] {
  const traits = [onlyTried ? 'TryFromBytes' : 'FromBytes', 'IntoBytes', 'KnownLayout', 'Immutable'];
  const derived = `#[derive(${traits.map((name) => `zerocopy::${name}`).join(', ')})]`;
  return lines.flatMap((line) => (line.startsWith('#[derive(Clone, Copy') ? [line, derived] : [line]));
}
