import type { ResolvedField, ResolvedType } from '../layout/resolved.js';

/** The fields that an anonymous member of a type gives to the struct around it: bits have no names in C, and give none. */
export function transparentParts(type: ResolvedType): readonly ResolvedField[] | undefined {
  if (type.kind === 'union') return type.arms;
  return type.kind === 'struct' && type.source.packing !== 'bits' ? type.fields : undefined;
}
