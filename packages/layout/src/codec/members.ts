import type { ResolvedType } from '../layout/resolved.js';

/** A field of a struct, of an integral struct, or an arm of a union. */
export interface Member {
  readonly name: string;
  readonly type?: ResolvedType;
  readonly value?: number | bigint | undefined;
  readonly unnamed?: boolean;
  readonly anonymous?: boolean;
}

/** The fields of what has some. */
export function membersOf(type: ResolvedType | undefined): readonly Member[] {
  if (type === undefined) return [];
  return 'fields' in type ? type.fields : 'arms' in type ? type.arms : [];
}

/** The keys that a value has for a field: its name, or the names inside an anonymous member. */
export function keysOf(item: Member): readonly string[] {
  if (item.unnamed === true) return [];
  return item.anonymous === true ? membersOf(item.type).flatMap(keysOf) : [item.name];
}

/** Whether a value says nothing of a field that it should say something of; of a union, one arm is enough. */
export function isLeftOut(item: Member, given: Readonly<Record<string, unknown>>): boolean {
  if (item.unnamed === true || item.value !== undefined) return false;
  if (item.anonymous !== true) return given[item.name] === undefined;
  const inner = membersOf(item.type);
  return item.type?.kind === 'union'
    ? inner.every((arm) => isLeftOut(arm, given))
    : inner.some((part) => isLeftOut(part, given));
}

/** What a value says of a field; of an anonymous member, the keys that are its own, or nothing. */
export function valueFor(item: Member, given: Readonly<Record<string, unknown>>): unknown {
  if (item.anonymous !== true) return given[item.name];
  const own = keysOf(item).filter((key) => given[key] !== undefined);
  return own.length === 0 ? undefined : Object.fromEntries(own.map((key) => [key, given[key]]));
}

/** Puts what was read of a field into the value around it. */
export function putInto(value: Record<string, unknown>, item: Member, found: unknown): void {
  if (item.anonymous === true) Object.assign(value, found);
  else value[item.name] = found;
}
