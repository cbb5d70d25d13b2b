import type { Comparison, Description, FieldDescription, Type } from '../layout/types.js';
import { innerTypes, pathOf } from '../variable/parts.js';
import { numberText, pokeName, unsupported } from './poke-text.js';

// How a pickle says which earlier field another part asks.

interface Found {
  readonly text: string;
  readonly type: Type;
}

function membersOf(type: Type): readonly FieldDescription[] {
  if (type.kind === 'struct' || type.kind === 'integral') return type.fields;
  return type.kind === 'union' ? type.arms : [];
}

/** A field of a type, also of its anonymous members, which have names in a pickle. */
function member({ text, type }: Found, name: string): Found | undefined {
  for (const item of membersOf(type)) {
    const inner: Found = { text: `${text}.${pokeName(item.name)}`, type: item.type };
    const found = item.anonymous === true ? member(inner, name) : item.name === name ? inner : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The fields of a struct that were read before a part of it. */
export class PathScope {
  readonly #items: FieldDescription[] = [];

  add(item: FieldDescription): void {
    this.#items.push(item);
  }

  #first(name: string): Found | undefined {
    for (const item of [...this.#items].reverse()) {
      const own: Found = { text: pokeName(item.name), type: item.type };
      const found = item.anonymous === true ? member(own, name) : item.name === name ? own : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /**
   * What a path leads to from the innermost struct that has its first field.
   * @throws LayoutError `LAYOUT_UNSUPPORTED` where no struct has it, or a nearer field has its name in the pickle
   */
  static find(scopes: readonly PathScope[], path: string, owner: string): Found {
    const [name = '', ...rest] = path.split('.');
    const nearer: PathScope[] = [];
    for (const scope of [...scopes].reverse()) {
      const first = scope.#first(name);
      if (first === undefined) {
        nearer.push(scope);
        continue;
      }
      const word = first.text.split('.')[0];
      if (nearer.some((other) => other.#items.some((item) => pokeName(item.name) === word))) break;
      const found = rest.reduce<Found | undefined>((from, step) => from && member(from, step), first);
      if (found !== undefined) return found;
      break;
    }
    throw unsupported(owner, `found the path ${path}, which leads to no field that GNU poke reaches`);
  }
}

/** Whether the paths in a type lead to its own fields. */
export function isClosed(type: Type, around: readonly ReadonlySet<string>[] = []): boolean {
  if (type.kind === 'struct' && type.variable === true) {
    const own = new Set<string>();
    return type.fields.every((item) => {
      const isInside = isClosed(item.type, [...around, own]);
      for (const name of namesOf(item)) own.add(name);
      return isInside;
    });
  }
  if (type.kind !== 'variable') return true;
  const path = pathOf(type.part);
  const [first = ''] = typeof path === 'string' ? path.split('.') : [];
  if (typeof path === 'string' && !around.some((names) => names.has(first))) return false;
  return innerTypes(type.part).every((inner) => isClosed(inner, around));
}

function namesOf(item: FieldDescription): readonly string[] {
  return item.anonymous === true ? membersOf(item.type).flatMap(namesOf) : [item.name];
}

function isSigned(type: Description): boolean {
  if (type.kind === 'variable') return innerTypes(type.part).some(isSigned);
  if (type.kind === 'integral') return type.container.signed;
  return (type.kind === 'integer' || type.kind === 'word') && type.signed;
}

/** A comparison of integers as they are, whatever GNU poke promotes them to. */
export function comparedText(
  { text, type }: Found,
  { operator, number }: Pick<Comparison, 'operator' | 'number'>,
): string {
  if (operator === '&') return `((${text} as uint<64>) & ${numberText(BigInt.asUintN(64, number))}) != 0`;
  const [least, most] = isSigned(type) ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n];
  if (number < least) return operator === '!=' || operator.startsWith('>') ? '1' : '0';
  if (number > most) return operator === '!=' || operator.startsWith('<') ? '1' : '0';
  if (!isSigned(type)) return `${text} ${operator} ${numberText(number)}`;
  return `(${text} as int<64>) ${operator} (${numberText(number)} as int<64>)`;
}
