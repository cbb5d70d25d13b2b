import type { FieldDescription, StructDescription, VariablePart } from '../layout/types.js';

/** A checksum or a digest. */
export type Sum = Extract<VariablePart, { readonly form: 'checksum' | 'digest' }>;

/** A field that is a sum over others of the same struct. */
export interface SumField {
  readonly item: FieldDescription;
  readonly part: Sum;
}

/** The sums of a struct; one that is over another comes behind that. */
export function sumsOf(type: StructDescription): readonly SumField[] {
  const left = type.fields.flatMap((item): SumField[] => {
    if (item.type.kind !== 'variable') return [];
    const { part } = item.type;
    return part.form === 'checksum' || part.form === 'digest' ? [{ item, part }] : [];
  });
  const placeOf = (name: string): number => type.fields.findIndex((item) => item.name === name);
  const covers = ({ part }: SumField, other: SumField): boolean => {
    const place = type.fields.indexOf(other.item);
    return placeOf(part.first) <= place && place <= placeOf(part.last);
  };
  const ordered: SumField[] = [];
  while (left.length > 0) {
    // Two that are over each other cannot both be right; they stay as they stand.
    const next = left.findIndex((sum) => left.every((other) => other === sum || !covers(sum, other)));
    ordered.push(...left.splice(Math.max(0, next), 1));
  }
  return ordered;
}
