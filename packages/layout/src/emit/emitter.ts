import type { Region } from '../layout/region.js';
import type { ConstantSet } from '../layout/constants.js';
import { LayoutError } from '../layout/errors.js';
import type { Target } from '../layout/target.js';
import type {
  Description,
  IntegralDescription,
  StructDescription,
  TaggedDescription,
  UnionDescription,
} from '../layout/types.js';
import { innerTypes } from '../variable/parts.js';

/** A description that has a name of its own. */
export type NamedDescription = StructDescription | IntegralDescription | UnionDescription | TaggedDescription;

/** A named number. */
export interface NamedConstant {
  readonly name: string;
  readonly value: number | bigint;
}

/** What an emitter writes down: a binary interface, or a few types of one. */
export interface Interface {
  /** What it is called, for instance `ABI 1.0`. */
  readonly title: string;
  /** Its version, where it has one. */
  readonly version?: string | undefined;
  /** Memory map, lowest address first; empty where there is none. */
  readonly regions: readonly Region[];
  readonly constants: readonly NamedConstant[];
  readonly sets: readonly ConstantSet[];
  readonly types: readonly NamedDescription[];
}

/** What else goes into a file. */
export interface EmitOptions {
  /** The target that layouts are resolved for. */
  readonly target: Target;
  /** SHA-256 of the interface's canonical JSON, where it has a version. */
  readonly fingerprint?: Uint8Array | undefined;
  /** Traits of this crate that the types of Rust derive besides; the crate that takes the file depends on it. */
  readonly derive?: 'zerocopy' | undefined;
}

/** Writes an interface in one language. */
export interface Emitter {
  /** Name of the language, as the command line spells it. */
  readonly name: string;
  /**
   * The text of one file.
   * @throws LayoutError `LAYOUT_UNSUPPORTED` for what the language cannot say.
   */
  emit(unit: Interface, options: EmitOptions): string;
}

/** The named types that a description uses directly. */
export function usedTypes(type: Description): NamedDescription[] {
  switch (type.kind) {
    case 'array':
      return isNamed(type.element) ? [type.element] : usedTypes(type.element);
    case 'struct':
    case 'integral':
      return type.fields.flatMap((item) => (isNamed(item.type) ? [item.type] : usedTypes(item.type)));
    case 'union':
    case 'tagged':
      return type.arms.flatMap((arm) => (isNamed(arm.type) ? [arm.type] : usedTypes(arm.type)));
    case 'variable':
      return innerTypes(type.part).flatMap((inner) => (isNamed(inner) ? [inner] : usedTypes(inner)));
    default:
      return [];
  }
}

export function isNamed(type: Description): type is NamedDescription {
  return type.kind === 'struct' || type.kind === 'integral' || type.kind === 'union' || type.kind === 'tagged';
}

/**
 * Types and all that they use, each behind what it uses.
 * @throws LayoutError `LAYOUT_NAME` when two different types have one name, `LAYOUT_CYCLE` when a type contains itself.
 */
export function inOrder(types: readonly NamedDescription[]): NamedDescription[] {
  const done = new Map<string, NamedDescription>();
  const visit = (type: NamedDescription, inside: readonly NamedDescription[]): void => {
    const known = done.get(type.name);
    if (known === type) return;
    if (known !== undefined) {
      throw new LayoutError('LAYOUT_NAME', 'found two different types of this name, expected one', {
        path: type.name,
        offset: 0,
      });
    }
    if (inside.includes(type)) {
      throw new LayoutError('LAYOUT_CYCLE', 'found a type inside itself, expected a finite size', {
        path: type.name,
        offset: 0,
      });
    }
    for (const used of usedTypes(type)) visit(used, [...inside, type]);
    done.set(type.name, type);
  };
  for (const type of types) visit(type, []);
  return [...done.values()];
}

/**
 * As {@link inOrder}, for languages whose types have a fixed size.
 * @throws LayoutError also `LAYOUT_UNSUPPORTED`, whose path is that of the first field without one
 */
export function fixedInOrder(types: readonly NamedDescription[]): NamedDescription[] {
  const all = inOrder(types);
  for (const type of all) {
    const parts = type.kind === 'struct' || type.kind === 'integral' ? type.fields : type.arms;
    const found = parts.find((part) => elementOf(part.type).kind === 'variable');
    if (found === undefined) continue;
    throw new LayoutError('LAYOUT_UNSUPPORTED', 'found a part without a fixed size, which only a codec reads', {
      path: `${type.name}.${found.name}`,
      offset: 0,
    });
  }
  return all;
}

function elementOf(type: Description): Description {
  return type.kind === 'array' ? elementOf(type.element) : type;
}

/** The sets that the integers of a type have. */
function setsIn(type: Description): readonly ConstantSet[] {
  switch (type.kind) {
    case 'integer':
      return type.set === undefined ? [] : [type.set];
    case 'bitField':
      return setsIn(type.container);
    case 'array':
      return isNamed(type.element) ? [] : setsIn(type.element);
    case 'struct':
    case 'integral':
      return type.fields.flatMap((item) => (isNamed(item.type) ? [] : setsIn(item.type)));
    case 'union':
    case 'tagged':
      return type.arms.flatMap((arm) => (isNamed(arm.type) ? [] : setsIn(arm.type)));
    case 'variable':
      return innerTypes(type.part).flatMap((inner) => (isNamed(inner) ? [] : setsIn(inner)));
    default:
      return [];
  }
}

/**
 * The sets of an interface, and those that its types use besides.
 * @throws LayoutError `LAYOUT_NAME` where two different ones have one name.
 */
export function allSets(unit: Interface): readonly ConstantSet[] {
  const found = new Map(unit.sets.map((set) => [set.name, set]));
  for (const set of inOrder(unit.types).flatMap(setsIn)) {
    const known = found.get(set.name);
    found.set(set.name, known ?? set);
    if (known === undefined || known === set || isSame(known, set)) continue;
    throw new LayoutError('LAYOUT_NAME', 'found two different sets of this name, expected one', {
      path: set.name,
      offset: 0,
    });
  }
  return [...found.values()];
}

/** An interface with every set that its types use; a version lists its own. */
export function withSets(unit: Interface): Interface {
  return unit.version === undefined ? { ...unit, sets: allSets(unit) } : unit;
}

function isSame(one: ConstantSet, other: ConstantSet): boolean {
  const names = Object.keys(one.values);
  return (
    one.kind === other.kind &&
    names.length === Object.keys(other.values).length &&
    names.every(
      (name) => (one.values as Record<string, number>)[name] === (other.values as Record<string, number>)[name],
    )
  );
}
