import { resolve } from '../layout/resolve.js';
import type { Target } from '../layout/target.js';
import type { Type } from '../layout/types.js';
import { isVariable } from '../variable/describe.js';
import { innerTypes } from '../variable/parts.js';

// What is known of a place before anything is read: GNU poke counts from the start of a struct, and an alignment from the
// start of all, so that a struct with one must begin where both count alike.

/** A byte of which is known what is left when it is divided by a number; by 0: which byte it is. */
export type Position = readonly [modulus: number, rest: number];

const divisor = (one: number, other: number): number => (other === 0 ? one : divisor(other, one % other));

/** Whether a place is certainly a multiple of so many bytes. */
export function isMultiple([modulus, rest]: Position, of: number): boolean {
  return modulus % of === 0 && rest % of === 0;
}

function plus([modulus, rest]: Position, [other, more]: Position): Position {
  const both = divisor(modulus, other);
  return [both, both === 0 ? rest + more : (rest + more) % both];
}

/** The places of several ways, as one. */
function either(ways: readonly Position[]): Position {
  return ways.reduce(([modulus, rest], [other, more]): Position => {
    const both = divisor(divisor(modulus, other), Math.abs(rest - more));
    return [both, both === 0 ? rest : rest % both];
  });
}

/** The byte behind a value. */
export function behind(at: Position, type: Type, target: Target): Position {
  if (!isVariable(type)) {
    return type.kind === 'bitField' ? [1, 0] : plus(at, [0, Math.ceil(resolve(type, target).bits / 8)]);
  }
  if (type.kind === 'struct') return type.fields.reduce((place, item) => behind(place, item.type, target), at);
  if (type.kind !== 'variable') return [1, 0];
  const { part } = type;
  switch (part.form) {
    case 'list': {
      const [modulus, rest] = behind([0, 0], part.element, target);
      return typeof part.count === 'number' && modulus === 0
        ? plus(at, [0, rest * part.count])
        : anywhereIn(at, part.element, target);
    }
    case 'run':
    case 'sized':
    case 'processed':
      return typeof part.length === 'number' ? plus(at, [0, part.length]) : [1, 0];
    case 'optional':
      return either([at, behind(at, part.type, target)]);
    case 'variant':
      return either(part.arms.map((arm) => behind(at, arm.type, target)));
    case 'align': {
      if (at[0] === 0) return [0, Math.ceil(at[1] / part.to) * part.to];
      return isMultiple([at[0], 0], part.to) ? [at[0], (Math.ceil(at[1] / part.to) * part.to) % at[0]] : [part.to, 0];
    }
    case 'magic':
      return plus(at, [0, part.expected.length]);
    case 'digest':
      return plus(at, [0, part.digest.size]);
    case 'range':
    case 'checksum':
      return behind(at, part.type, target);
    case 'pointed':
    case 'lazy':
      return at;
  }
}

/** The places of the elements of a list. */
export function anywhereIn(at: Position, element: Type, target: Target): Position {
  const [modulus, rest] = behind([0, 0], element, target);
  return plus(at, [divisor(modulus, rest), 0]);
}

/** The number of bytes of which a struct must begin at a multiple. */
export function alignmentOf(type: Type): number {
  if (type.kind === 'struct' && type.variable === true) {
    return type.fields.reduce((all, item) => common(all, alignmentOf(item.type)), 1);
  }
  if (type.kind !== 'variable' || type.part.form === 'pointed') return 1;
  if (type.part.form === 'align') return type.part.to;
  return innerTypes(type.part).reduce((all, inner) => common(all, alignmentOf(inner)), 1);
}

function common(one: number, other: number): number {
  return (one / divisor(one, other)) * other;
}
