import type { ExtractedField, ExtractedType } from '../../src/extract/index.js';
import { resolve, type ResolvedField, type ResolvedType, type Target } from '../../src/index.js';
import type { NamedDescription } from '../../src/emit/index.js';

/** A layout as lines of text, so that a difference reads well. */
export function computedLines(type: NamedDescription, target: Target): string[] {
  const resolved = resolve(type, target);
  const fields = resolved.kind === 'struct' ? resolved.fields : resolved.kind === 'union' ? resolved.arms : [];
  return [
    `size ${resolved.bits / 8} align ${resolved.align}`,
    ...fields.filter((item) => !item.unnamed).map((item) => `${item.name}: ${placeText(item)}`),
  ];
}

function placeText(item: ResolvedField): string {
  const { type } = item;
  const isBits = (type.kind === 'integer' || type.kind === 'boolean') && type.declaredBits !== undefined;
  return `bit ${item.bit} width ${type.bits}${isBits ? ' bit field' : ''} ${signText(type)}`;
}

function signText(type: ResolvedType): string {
  if (type.kind === 'array') return signText(type.element);
  return type.kind === 'integer' && type.pointer === undefined && type.signed ? 'signed' : '';
}

/** The same of what a compiler said. */
export function extractedLines(type: ExtractedType): string[] {
  const line = (field: ExtractedField): string =>
    `${field.name ?? ''}: bit ${field.bitOffset} width ${field.bitWidth}${field.bitField ? ' bit field' : ''} ${
      field.signed === true ? 'signed' : ''
    }`;
  return [`size ${type.size} align ${type.align}`, ...(type.fields ?? []).map(line)];
}
