import { typeJson } from '../emit/json.js';
import { allSets, inOrder, isNamed, usedTypes, type Interface, type NamedDescription } from '../emit/emitter.js';
import { resolve } from '../layout/resolve.js';
import { layoutError } from '../layout/errors.js';
import { x86_64, type Endian, type Target } from '../layout/target.js';
import type { ResolvedType } from '../layout/resolved.js';
import type { Description, FieldDescription } from '../layout/types.js';

/** How far a change reaches: `minor` only adds, `major` breaks those who were built against the older one. */
export type ChangeLevel = 'none' | 'minor' | 'major';

/** What happened to one thing. */
export type ChangeKind =
  'added' | 'appended' | 'filled' | 'moved' | 'narrowed' | 'widened' | 'retyped' | 'changed' | 'removed';

/** One difference between two interfaces. */
export interface Change {
  readonly level: 'minor' | 'major';
  readonly kind: ChangeKind;
  /** What changed: `ConvertConfig.window_start`, `ConvertFlag.DD_WINDOW`, `PAGE_SIZE`, a region's name. */
  readonly path: string;
  /** A sentence without the path. */
  readonly text: string;
  /** Set where somebody declared that a major change breaks nobody; it counts as a minor one. */
  readonly compatible?: true;
}

/** All differences, in the order of the newer interface, what was removed last. */
export interface InterfaceDiff {
  readonly level: ChangeLevel;
  readonly changes: readonly Change[];
}

/** Numbers that say which version it is: they change with every release. */
const VERSION_CONSTANTS = new Set(['ABI_VERSION_MAJOR', 'ABI_VERSION_MINOR']);

const ADDITIONS = new Set<ChangeKind>(['added', 'appended', 'filled']);

function change(kind: ChangeKind, path: string, text: string): Change {
  return { level: ADDITIONS.has(kind) ? 'minor' : 'major', kind, path, text };
}

/**
 * What became of an interface: nothing, something was appended (minor), or something moved, narrowed, changed or went
 * (major). New fields behind the last one, new names, and fields in the place of padding that was always zero are
 * additions.
 */
export function diffInterfaces(older: Interface, newer: Interface, target: Target = x86_64): InterfaceDiff {
  const changes = [
    ...diffRegions(older, newer),
    ...diffConstants(older, newer),
    ...diffSets(older, newer),
    ...diffTypes(older, newer, target),
  ];
  return { level: levelOf(changes), changes };
}

/**
 * Differences of which the maintainers declare some to break nobody: a field that no one reads yet, a type that never left the
 * house. They count as minor, and stay in the list.
 * @param compatible paths of changes, or of what they lie in (`Header`, `Header.flags`)
 * @throws LayoutError `LAYOUT_NAME` for a path without a major change: a declaration that says nothing is forgotten there
 */
export function declareCompatible(found: InterfaceDiff, compatible: readonly string[]): InterfaceDiff {
  const covers = (path: string, { level, path: at }: Change): boolean =>
    level === 'major' && (at === path || at.startsWith(`${path}.`) || at.startsWith(`${path}[`));
  for (const path of compatible) {
    if (found.changes.some((item) => covers(path, item))) continue;
    throw layoutError('LAYOUT_NAME', 'found no major change there, expected one that is declared compatible', path, 0);
  }
  const changes = found.changes.map((item): Change => {
    if (!compatible.some((path) => covers(path, item))) return item;
    return { ...item, level: 'minor', compatible: true, text: `${item.text} (declared compatible)` };
  });
  return { level: levelOf(changes), changes };
}

function levelOf(changes: readonly Change[]): ChangeLevel {
  return changes.some((item) => item.level === 'major') ? 'major' : changes.length > 0 ? 'minor' : 'none';
}

/** Calls `both` for what has the same name on both sides, and reports the rest as added or removed. */
function pair<T extends { readonly name: string }>(
  older: readonly T[],
  newer: readonly T[],
  what: string,
  both: (before: T, after: T) => readonly Change[],
): Change[] {
  const before = new Map(older.map((item) => [item.name, item]));
  const names = new Set(newer.map((item) => item.name));
  return [
    ...newer.flatMap((after) => {
      const known = before.get(after.name);
      return known === undefined ? [change('added', after.name, `is a new ${what}`)] : both(known, after);
    }),
    ...older.filter((item) => !names.has(item.name)).map((item) => change('removed', item.name, `was a ${what}`)),
  ];
}

const hex = (value: number): string => `0x${value.toString(16)}`;

function diffRegions(older: Interface, newer: Interface): Change[] {
  return pair(older.regions, newer.regions, 'region', (before, after) => {
    const found: Change[] = [];
    if (before.start !== after.start)
      found.push(change('moved', after.name, `from ${hex(before.start)} to ${hex(after.start)}`));
    if (before.size !== after.size) {
      const kind = after.size < before.size ? 'narrowed' : 'widened';
      found.push(change(kind, after.name, `from ${before.size} to ${after.size} bytes`));
    }
    if (before.protection !== after.protection) {
      found.push(change('changed', after.name, `from ${before.protection} to ${after.protection}`));
    }
    return found;
  });
}

function diffConstants(older: Interface, newer: Interface): Change[] {
  const kept = (unit: Interface): Interface['constants'] =>
    unit.constants.filter((item) => !VERSION_CONSTANTS.has(item.name));
  return pair(kept(older), kept(newer), 'constant', (before, after) =>
    BigInt(before.value) === BigInt(after.value)
      ? []
      : [change('changed', after.name, `from ${before.value} to ${after.value}`)],
  );
}

function diffSets(older: Interface, newer: Interface): Change[] {
  const setsOf = (unit: Interface): Interface['sets'] => (unit.version === undefined ? allSets(unit) : unit.sets);
  return pair(setsOf(older), setsOf(newer), 'set of constants', (before, after) => {
    const found = pair(entries(before), entries(after), 'name', (one, other) =>
      one.value === other.value ? [] : [change('changed', other.name, `from ${one.value} to ${other.value}`)],
    );
    if (before.kind !== after.kind) found.push(change('retyped', after.name, `from ${before.kind} to ${after.kind}`));
    return found;
  });
}

function entries(set: Interface['sets'][number]): { readonly name: string; readonly value: number }[] {
  return Object.entries<number>(set.values).map(([name, value]) => ({ name: `${set.name}.${name}`, value }));
}

function diffTypes(older: Interface, newer: Interface, target: Target): Change[] {
  return pair(ownTypes(older), ownTypes(newer), 'type', (before, after) => {
    if (before.kind !== after.kind) return [change('retyped', after.name, `from ${before.kind} to ${after.kind}`)];
    const isUnion = 'arms' in after;
    const places = diffPlaces(placesOf(before, target), placesOf(after, target), isUnion);
    const [one, other] = [resolve(before, target), resolve(after, target)];
    const [from, to] = [one.bits, other.bits];
    if (to < from) places.push(change('narrowed', after.name, `from ${from / 8} to ${to / 8} bytes`));
    if (to > from && places.length === 0)
      places.push(change('widened', after.name, `from ${from / 8} to ${to / 8} bytes`));
    // What is added may need more alignment; nothing else may change it, since others have the type inside theirs.
    const isSaid = places.some((item) => item.level === 'major');
    if (!isSaid && (other.align < one.align || (other.align > one.align && places.length === 0))) {
      places.push(change('changed', after.name, `its alignment, from ${one.align} to ${other.align}`));
    }
    return [...places, ...diffWhole(before, after), ...diffOtherOrder(before, after, target, places)];
  });
}

/** Types that have a place of their own; those of anonymous members are parts of what is around them. */
function ownTypes(unit: Interface): NamedDescription[] {
  const types = inOrder(unit.types);
  const parts = new Set<Description>();
  const others = new Set<Description>();
  for (const type of types) {
    for (const item of type.kind === 'tagged' ? [] : fieldsOf(type)) {
      for (const used of isNamed(item.type) ? [item.type] : usedTypes(item.type)) {
        (item.anonymous === true ? parts : others).add(used);
      }
    }
  }
  return types.filter((type) => !parts.has(type) || others.has(type));
}

function fieldsOf(type: Exclude<NamedDescription, { readonly kind: 'tagged' }>): readonly FieldDescription[] {
  return type.kind === 'union' ? type.arms : type.fields;
}

/** What is said of a type as a whole. */
function diffWhole(before: NamedDescription, after: NamedDescription): Change[] {
  const found: Change[] = [];
  const compare = (kind: ChangeKind, what: string, from: string, to: string): void => {
    if (from !== to) found.push(change(kind, after.name, `${what}from ${from} to ${to}`));
  };
  if (before.kind === 'integral' && after.kind === 'integral') {
    compare('retyped', '', JSON.stringify(typeJson(before.container)), JSON.stringify(typeJson(after.container)));
  }
  if (before.kind === 'tagged' && after.kind === 'tagged') {
    compare('changed', 'the place of its tag, ', before.by.join('.'), after.by.join('.'));
  }
  if (before.kind === 'struct' && after.kind === 'struct') {
    // Files end where the tail begins.
    compare('changed', 'its tail, ', before.tail ?? 'none', after.tail ?? 'none');
  }
  return found;
}

/** Labels may put fields elsewhere in the byte order that the target does not have. */
function diffOtherOrder(
  before: NamedDescription,
  after: NamedDescription,
  target: Target,
  known: readonly Change[],
): Change[] {
  const isLabelled = (type: NamedDescription): boolean =>
    type.kind === 'struct' && type.fields.some((item) => typeof item.label === 'object');
  if (!isLabelled(before) && !isLabelled(after)) return [];
  const endian: Endian = target.endian === 'little' ? 'big' : 'little';
  const other: Target = { ...target, endian };
  const paths = new Set(known.map((item) => item.path));
  return diffPlaces(placesOf(before, other), placesOf(after, other), false)
    .filter((item) => !paths.has(item.path))
    .map((item) => ({ ...item, text: `${item.text} (${endian} endian)` }));
}

/** Names that C headers give to space that a later version may use. */
const RESERVED = /^_*(reserved|resv?d?|pad(ding)?|unused|spare|fill(er)?|mbz|rsvd?)_*\d*_*$/i;

/** A field, slice or arm, with its place in bits. */
interface PlacedField {
  readonly name: string;
  readonly bit: number;
  readonly bits: number;
  readonly type: string;
  /** True where it must be zero: padding that a later version may use. */
  readonly padding: boolean;
  readonly value: number | bigint | undefined;
  /** The anonymous union that it is in, where it is in one: fields that share one share its bytes. */
  readonly union: string | undefined;
}

function placesOf(type: NamedDescription, target: Target): PlacedField[] {
  return placesIn(type, resolve(type, target), type.name, 0, undefined);
}

/** @param path of the type that has the fields, those of its anonymous members among them */
function placesIn(
  type: NamedDescription,
  resolved: ResolvedType,
  path: string,
  base: number,
  around: string | undefined,
): PlacedField[] {
  const described: readonly (FieldDescription | { readonly name: string; readonly type: FieldDescription['type'] })[] =
    'fields' in type ? type.fields : type.arms;
  return described.flatMap((item, index): PlacedField[] => {
    const value = 'value' in item ? item.value : undefined;
    const named = {
      name: `${path}.${item.name}`,
      type: JSON.stringify(typeJson(item.type)),
      value,
      padding: value === undefined ? RESERVED.test(item.name) : BigInt(value) === 0n,
      union: around,
    };
    switch (resolved.kind) {
      case 'struct':
      case 'union': {
        const found = resolved.kind === 'struct' ? resolved.fields[index] : resolved.arms[index];
        if (found === undefined) return [];
        const bit = base + found.bit;
        if (found.anonymous === true && isNamed(item.type)) {
          const inner = item.type.kind === 'union' ? (around ?? item.type.name) : around;
          return placesIn(item.type, found.type, path, bit, inner);
        }
        return [{ ...named, bit, bits: found.type.bits }];
      }
      case 'integral': {
        const slice = resolved.fields[index];
        // Counted from the most significant bit, as it is described.
        return [{ ...named, bit: resolved.bits - (slice?.shift ?? 0) - (slice?.width ?? 0), bits: slice?.width ?? 0 }];
      }
      case 'tagged': {
        const arm = resolved.arms[index];
        return [{ ...named, type: `${arm?.tag ?? ''}: ${named.type}`, bit: 0, bits: arm?.type.bits ?? 0 }];
      }
      default:
        return [];
    }
  });
}

const place = (bit: number): string => (bit % 8 === 0 ? `byte ${bit / 8}` : `bit ${bit}`);

function diffPlaces(before: readonly PlacedField[], after: readonly PlacedField[], isUnion: boolean): Change[] {
  const end = before.reduce((most, item) => Math.max(most, item.bit + item.bits), 0);
  const known = new Map(before.map((item) => [item.name, item]));
  const names = new Map(after.map((item) => [item.name, item]));
  const found: Change[] = [];
  for (const item of after) {
    const old = known.get(item.name);
    if (old !== undefined) {
      // Reserved space that has become smaller: what took the rest says so.
      const isRest = old.padding && isInside(item, old) && item.bits < old.bits;
      if (!isRest || !after.some((other) => !known.has(other.name) && isInside(other, old))) {
        found.push(...diffField(old, item));
      }
    } else found.push(isUnion ? change('added', item.name, 'is a new arm') : addedField(item, before, names, end));
  }
  for (const item of before) {
    if (names.has(item.name)) continue;
    const filled = item.padding && after.some((other) => !known.has(other.name) && isInside(other, item));
    if (!filled) found.push(change('removed', item.name, `was at ${place(item.bit)}`));
  }
  return found;
}

function overlaps(one: PlacedField, other: PlacedField): boolean {
  return one.bit < other.bit + other.bits && other.bit < one.bit + one.bits;
}

function isInside(inner: PlacedField, outer: PlacedField): boolean {
  return inner.bit >= outer.bit && inner.bit + inner.bits <= outer.bit + outer.bits;
}

function addedField(
  item: PlacedField,
  before: readonly PlacedField[],
  kept: ReadonlyMap<string, PlacedField>,
  end: number,
): Change {
  const where = `at ${place(item.bit)}, ${item.bits % 8 === 0 ? `${item.bits / 8} bytes` : `${item.bits} bits`}`;
  const isFree = (old: PlacedField): boolean => {
    const rest = kept.get(old.name);
    return rest === undefined || (rest.bits < old.bits && isInside(rest, old) && !overlaps(rest, item));
  };
  if (before.some((old) => old.padding && isFree(old) && isInside(item, old))) {
    return change('filled', item.name, `is new in the place of padding, ${where}`);
  }
  const shared = before.filter((old) => overlaps(old, item));
  if (item.bit >= end || shared.length === 0) return change('appended', item.name, `is new ${where}`);
  // C code that knows the other arms of an anonymous union sees no difference.
  if (item.union !== undefined && shared.every((old) => kept.get(old.name)?.union === item.union)) {
    return change('added', item.name, `is a new arm ${where}`);
  }
  return change('retyped', item.name, `takes the place of another field, ${where}`);
}

function diffField(before: PlacedField, after: PlacedField): Change[] {
  const found: Change[] = [];
  if (before.bit !== after.bit)
    found.push(change('moved', after.name, `from ${place(before.bit)} to ${place(after.bit)}`));
  if (before.bits !== after.bits) {
    const kind = after.bits < before.bits ? 'narrowed' : 'widened';
    found.push(change(kind, after.name, `from ${before.bits} to ${after.bits} bits`));
  } else if (before.type !== after.type) {
    found.push(change('retyped', after.name, `from ${before.type} to ${after.type}`));
  }
  if (before.value !== after.value && String(before.value) !== String(after.value)) {
    // A field that had to be zero and now may be something else is a use of reserved bits.
    const kind = before.padding && after.value === undefined ? 'filled' : 'changed';
    found.push(
      change(
        kind,
        after.name,
        `its constant, from ${String(before.value ?? 'none')} to ${String(after.value ?? 'none')}`,
      ),
    );
  }
  return found;
}
