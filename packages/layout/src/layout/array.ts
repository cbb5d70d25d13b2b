import { variableList } from '../variable/describe.js';
import { fixedArray, type ArrayDescription, type Type, type Typed, type VariableDescription } from './types.js';

// Apart from the other types: a program whose arrays are all fixed does without the code of variable length.

/**
 * `count` elements of `element` without gaps. Fewer values are zero-filled on encoding, more refused.
 *
 * With the path of an earlier field as the count (`array(u16, 'header.count')`), as many as that says, which encoding
 * writes; without a count, as many as there are up to the end. Such a list stands in a struct without gaps.
 */
export function array<T>(element: Type<T>, count: number): ArrayDescription & Typed<readonly T[]>;
export function array<T>(element: Type<T>, count?: string): VariableDescription & Typed<readonly T[]>;
export function array<T>(element: Type<T>, count?: number | string): Type<readonly T[]> {
  const varies = element.kind === 'variable' || (element.kind === 'struct' && element.variable === true);
  return typeof count !== 'number' || varies ? variableList(element, count) : fixedArray(element, count);
}
