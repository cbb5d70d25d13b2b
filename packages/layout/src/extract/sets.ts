import type { ConstantSet } from '../layout/constants.js';
import type { CScalar } from './c-types.js';

/**
 * The named values of an enumeration, second names for a value among them. Values that a double cannot hold stay out: the
 * language's sets have none.
 */
export function setOf(type: CScalar, name: string): ConstantSet | undefined {
  const values = type.values.filter(([, value]) => Number.isSafeInteger(Number(value)));
  if (values.length === 0) return undefined;
  return {
    name,
    doc: '',
    kind: 'enum',
    values: Object.fromEntries(values.map(([key, value]) => [key, Number(value)])),
    docs: {},
    plainNames: true,
  };
}
