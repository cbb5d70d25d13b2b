import { typeJson } from '../emit/json.js';
import { inOrder, type Interface, type NamedDescription } from '../emit/emitter.js';
import { resolve } from '../layout/resolve.js';
import { x86_64, type Endian, type Target } from '../layout/target.js';
import type { FieldDescription } from '../layout/types.js';

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
  const level = changes.some((item) => item.level === 'major') ? 'major' : changes.length > 0 ? 'minor' : 'none';
  return { level, changes };
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
  return pair(older.sets, newer.sets, 'set of constants', (before, after) => {
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
  return pair(inOrder(older.types), inOrder(newer.types), 'type', (before, after) => {
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

/** A field, slice or arm, with its place in bits. */
interface PlacedField {
  readonly name: string;
  readonly bit: number;
  readonly bits: number;
  readonly type: string;
  /** True where it must be zero: padding that a later version may use. */
  readonly padding: boolean;
  readonly value: number | bigint | undefined;
}

function placesOf(type: NamedDescription, target: Target): PlacedField[] {
  const resolved = resolve(type, target);
  const described: readonly (FieldDescription | { readonly name: string; readonly type: FieldDescription['type'] })[] =
    'fields' in type ? type.fields : type.arms;
  return described.map((item, index): PlacedField => {
    const value = 'value' in item ? item.value : undefined;
    const named = {
      name: `${type.name}.${item.name}`,
      type: JSON.stringify(typeJson(item.type)),
      value,
      padding: value !== undefined && BigInt(value) === 0n,
    };
    switch (resolved.kind) {
      case 'struct': {
        const place = resolved.fields[index];
        return { ...named, bit: place?.bit ?? 0, bits: place?.type.bits ?? 0 };
      }
      case 'integral': {
        const slice = resolved.fields[index];
        // Counted from the most significant bit, as it is described.
        return { ...named, bit: resolved.bits - (slice?.shift ?? 0) - (slice?.width ?? 0), bits: slice?.width ?? 0 };
      }
      case 'tagged': {
        const arm = resolved.arms[index];
        return { ...named, type: `${arm?.tag ?? ''}: ${named.type}`, bit: 0, bits: arm?.type.bits ?? 0 };
      }
      case 'union':
        return { ...named, bit: 0, bits: resolved.arms[index]?.type.bits ?? 0 };
    }
  });
}

const place = (bit: number): string => (bit % 8 === 0 ? `byte ${bit / 8}` : `bit ${bit}`);

function diffPlaces(before: readonly PlacedField[], after: readonly PlacedField[], isUnion: boolean): Change[] {
  const end = before.reduce((most, item) => Math.max(most, item.bit + item.bits), 0);
  const known = new Map(before.map((item) => [item.name, item]));
  const names = new Set(after.map((item) => item.name));
  const found: Change[] = [];
  for (const item of after) {
    const old = known.get(item.name);
    if (old !== undefined) found.push(...diffField(old, item));
    else found.push(isUnion ? change('added', item.name, 'is a new arm') : addedField(item, before, names, end));
  }
  for (const item of before) {
    if (names.has(item.name)) continue;
    const filled = item.padding && after.some((other) => !known.has(other.name) && isInside(other, item));
    if (!filled) found.push(change('removed', item.name, `was at ${place(item.bit)}`));
  }
  return found;
}

function isInside(inner: PlacedField, outer: PlacedField): boolean {
  return inner.bit >= outer.bit && inner.bit + inner.bits <= outer.bit + outer.bits;
}

function addedField(item: PlacedField, before: readonly PlacedField[], kept: ReadonlySet<string>, end: number): Change {
  const where = `at ${place(item.bit)}, ${item.bits % 8 === 0 ? `${item.bits / 8} bytes` : `${item.bits} bits`}`;
  if (before.some((old) => old.padding && !kept.has(old.name) && isInside(item, old))) {
    return change('filled', item.name, `is new in the place of padding, ${where}`);
  }
  if (item.bit >= end || before.every((old) => item.bit >= old.bit + old.bits || old.bit >= item.bit + item.bits)) {
    return change('appended', item.name, `is new ${where}`);
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
