import type { Interface, NamedDescription } from './emitter.js';
import { isNamed } from './emitter.js';
import type { ConstantSet } from '../layout/constants.js';
import type {
  ArmDescription,
  Description,
  FieldDescription,
  Type,
  VariableDescription,
  VariantArm,
} from '../layout/types.js';
import { when } from '../variable/describe.js';

// A layout may have any identifier as a name. What a language reserves, its emitter writes in that language's own way.

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));

/** Keywords of C (C11 6.4.1, with C23's words) and the macros of the headers that emitted C includes. */
const C_WORDS = words(
  'alignas alignof auto bool break case char const constexpr continue default do double else enum extern false float ' +
    'for goto if inline int long nullptr register restrict return short signed sizeof static static_assert struct ' +
    'switch thread_local true typedef typeof typeof_unqual union unsigned void volatile while asm ' +
    'NULL offsetof size_t ptrdiff_t wchar_t',
);
/** Types that emitted C uses, which no type of a layout may be called. */
const C_TYPES = /^(u?int(8|16|32|64|ptr|max)_t|u?int_(least|fast)\d+_t|size_t|max_align_t)$/;

/** Keywords of Rust, strict and reserved (Reference, "Keywords", edition 2024), that may be written raw. */
const RUST_RAW = words(
  'abstract as async await become box break const continue do dyn else enum extern false final fn for gen if impl in ' +
    'let loop macro match mod move mut override priv pub ref return static struct trait true try type typeof unsafe ' +
    'unsized use virtual where while yield',
);
const RUST_NEVER = words('self Self super crate');
/** Names that emitted Rust itself uses for types, functions and crates. */
const RUST_TYPES =
  /^([iu](8|16|32|64|128|size)|f(16|32|64|128)|bool|char|str|core|take|(set_)?bits_(lsb|msb|msb_little)|Protection|Region)$/;

/** Adds underscores to a name that is taken, and to what would then have the same name. */
export function besides(name: string, isTaken: (name: string) => boolean): string {
  for (let stem = name; ; stem = stem.slice(0, -1)) {
    if (isTaken(stem)) return `${name}_`;
    if (!stem.endsWith('_') || stem === '_') return name;
  }
}

/** How a language writes names. */
export interface Naming {
  readonly field: (name: string) => string;
  readonly type: (name: string) => string;
}

export const C_NAMING: Naming = {
  field: (name) => besides(name, (stem) => C_WORDS.has(stem)),
  type: (name) => besides(name, (stem) => C_WORDS.has(stem) || C_TYPES.test(stem)),
};

function rustField(name: string): string {
  if (RUST_RAW.has(name)) return `r#${name}`;
  return /^_+$/.test(name) ? `${name}_` : besides(name, (stem) => RUST_NEVER.has(stem));
}

export const RUST_NAMING: Naming = {
  field: rustField,
  type: (name) => (RUST_RAW.has(name) ? rustField(name) : besides(rustField(name), (stem) => RUST_TYPES.test(stem))),
};

/** An interface in which every name is one that a language can write; itself where all of them are. */
export function renamed(unit: Interface, naming: Naming): Interface {
  const done = new Map<Description, Description>();
  const type = (old: Type): Type => {
    const known = done.get(old);
    if (known !== undefined) return known;
    const fresh = changed(old);
    done.set(old, fresh);
    return fresh;
  };
  const field = <F extends FieldDescription | ArmDescription | VariantArm>(old: F): F => {
    const [name, inner] = [naming.field(old.name), type(old.type)];
    return name === old.name && inner === old.type ? old : { ...old, name, type: inner };
  };
  const list = <F>(old: readonly F[], map: (item: F) => F): readonly F[] => {
    const fresh = old.map(map);
    return fresh.every((item, index) => item === old[index]) ? old : fresh;
  };
  const path = <P extends string | number | undefined>(old: P): P =>
    (typeof old === 'string' ? old.split('.').map(naming.field).join('.') : old) as P;
  const part = (old: VariableDescription): VariableDescription => {
    const { part: from } = old;
    switch (from.form) {
      case 'list':
        return { ...old, part: { ...from, element: type(from.element), count: path(from.count) } };
      case 'run':
        return { ...old, part: { ...from, length: path(from.length) } };
      case 'optional': {
        const { says } = from.isThere;
        const isThere = says && when(path(says.path), says.operator, says.number);
        return { ...old, part: { ...from, type: type(from.type), isThere: isThere ?? from.isThere } };
      }
      case 'variant':
        return { ...old, part: { ...from, by: path(from.by), arms: list(from.arms, field) } };
      case 'pointed':
        return { ...old, part: { ...from, at: path(from.at), type: type(from.type) } };
      case 'sized':
        return { ...old, part: { ...from, length: path(from.length), type: type(from.type) } };
      default:
        return old;
    }
  };
  const changed = (old: Type): Type => {
    if (old.kind === 'array') {
      const element = type(old.element);
      return element === old.element ? old : { ...old, element };
    }
    if (old.kind === 'variable') return part(old);
    if (!isNamed(old)) return old;
    const name = naming.type(old.name);
    if (old.kind === 'tagged') {
      const [arms, by] = [list(old.arms, field), list(old.by, naming.field)];
      return name === old.name && arms === old.arms && by === old.by ? old : { ...old, name, arms, by };
    }
    if (old.kind === 'union') {
      const arms = list(old.arms, field);
      return name === old.name && arms === old.arms ? old : { ...old, name, arms };
    }
    const fields = list(old.fields, field);
    if (name === old.name && fields === old.fields) return old;
    if (old.kind === 'integral') return { ...old, name, fields };
    return { ...old, name, fields, tail: old.tail === undefined ? undefined : naming.field(old.tail) };
  };
  const types = list(unit.types, (item) => type(item) as NamedDescription);
  const sets = list(unit.sets, (set): ConstantSet => {
    const name = naming.type(set.name);
    return name === set.name ? set : { ...set, name };
  });
  const constants = list(unit.constants, (item) => {
    const name = naming.field(item.name);
    return name === item.name ? item : { ...item, name };
  });
  return { ...unit, types, sets, constants };
}
