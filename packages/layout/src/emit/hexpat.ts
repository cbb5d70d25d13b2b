import type { ConstantSet } from '../layout/constants.js';
import { LayoutError } from '../layout/errors.js';
import { resolve } from '../layout/resolve.js';
import {
  byteSize,
  type ResolvedField,
  type ResolvedInteger,
  type ResolvedIntegral,
  type ResolvedStruct,
  type ResolvedType,
} from '../layout/resolved.js';
import type { Target } from '../layout/target.js';
import { fixedInOrder, withSets, type Emitter, type NamedDescription } from './emitter.js';
import { commentText } from './plain-text.js';
import { besides } from './reserved.js';

// The pattern language of the hex editor ImHex. Its structs have no gaps of their own, so that all padding is declared.

/** Words of the language, and its built-in types. */
const RESERVED = new Set(
  (
    'addressof as auto be bitfield bool break catch char char16 const continue double else enum false float fn for from if ' +
    'import in le match namespace null out padding parent ref reference return signed sizeof str struct this true try ' +
    'typenameof union unsigned using while ' +
    [8, 16, 24, 32, 48, 64, 96, 128].flatMap((bits) => [`u${bits}`, `s${bits}`]).join(' ')
  ).split(' '),
);

const nameOf = (name: string): string => besides(name, (stem) => RESERVED.has(stem));

function refuse(path: string, problem: string): LayoutError {
  return new LayoutError('LAYOUT_UNSUPPORTED', problem, { path, offset: 0 });
}

/** Integers that the language has a type for. */
function integerText(type: ResolvedInteger, path: string): string {
  if (![8, 16, 24, 32, 48, 64].includes(type.bits) || type.declaredBits !== undefined || type.order === 'lsb') {
    throw refuse(path, `found an integer of ${type.bits} bits, expected whole bytes that ImHex has a type for`);
  }
  const name = `${type.signed ? 's' : 'u'}${type.bits}`;
  if (type.bits === 8) return name;
  return `${type.endian === 'little' ? 'le' : 'be'} ${name}`;
}

/** A member: its type, and what stands behind its name. */
function memberText(type: ResolvedType, path: string): readonly [type: string, suffix: string] {
  switch (type.kind) {
    case 'integer':
      return type.set?.kind === 'enum' ? [enumName(type, type.set), ''] : [integerText(type, path), ''];
    case 'float':
      return [`${type.endian === 'little' ? 'le' : 'be'} ${type.bits === 32 ? 'float' : 'double'}`, ''];
    case 'boolean':
      return ['bool', ''];
    case 'bytes':
      return ['u8', `[${type.bits / 8}]`];
    case 'text':
      if (type.encoding?.startsWith('utf16') === true) {
        return [`${type.encoding === 'utf16le' ? 'le' : 'be'} char16`, `[${type.bits / 16}]`];
      }
      return ['char', `[${type.bits / 8}]`];
    case 'array': {
      const [element, suffix] = memberText(type.element, path);
      if (suffix !== '') throw refuse(path, 'found a list of lists, which ImHex has not');
      return [element, `[${type.count}]`];
    }
    case 'tagged':
      throw refuse(path, 'found a tagged union, of which the arms have one size here and another in ImHex');
    default:
      return [nameOf(type.name), ''];
  }
}

const orderOf = (type: ResolvedInteger): string => (type.endian === 'little' ? 'le' : 'be');
/** An enumeration has an underlying type there, so that one set may become several. */
const enumName = (type: ResolvedInteger, set: ConstantSet): string =>
  `${orderOf(type)} ${nameOf(`${set.name}_${type.signed ? 's' : 'u'}${type.bits}`)}`;

function enumText(type: ResolvedInteger, set: ConstantSet): string[] {
  const [, name = ''] = enumName(type, set).split(' ');
  const integer = integerText({ ...type, endian: 'little' }, set.name).replace(/^le /, '');
  const values = Object.entries<number>(set.values).map(([value, number]) => `  ${nameOf(value)} = ${number},`);
  return [`enum ${name} : ${integer} {`, ...values, '};', ''];
}

function structText(type: ResolvedStruct): string[] {
  if (type.source.packing === 'bits') throw refuse(type.name, 'found a struct that is packed to the bit');
  const lines: string[] = [];
  let end = 0;
  const pad = (upTo: number): void => {
    if (upTo > end) lines.push(`  padding[${upTo - end}];`);
    end = Math.max(end, upTo);
  };
  for (const item of type.fields) {
    const path = `${type.name}.${item.name}`;
    if (item.bit % 8 !== 0 || item.unnamed)
      throw refuse(path, "found a C bit field, whose place is its compiler's matter");
    pad(item.offset);
    lines.push(`  ${fieldText(item, path)}`);
    end = item.offset + byteSize(item.type);
  }
  pad(byteSize(type));
  return [`struct ${nameOf(type.name)} {`, ...lines, '};', ''];
}

function fieldText(item: ResolvedField, path: string): string {
  const [type, suffix] = memberText(item.type, path);
  const about = item.doc === '' ? '' : ` // ${commentText(item.doc)}`;
  return `${type} ${nameOf(item.name)}${suffix};${about}`;
}

/** Fields from the least significant one on, as bit fields there begin. */
function integralText(type: ResolvedIntegral): string[] {
  if (type.container.endian !== 'little' && type.bits > 8) {
    throw refuse(type.name, 'found parts of a big-endian integer, expected a little-endian one');
  }
  if (type.bits % 8 !== 0) throw refuse(type.name, `found an integer of ${type.bits} bits, expected whole bytes`);
  const lines = [...type.fields].reverse().map((item) => {
    const path = `${type.name}.${item.name}`;
    if (item.type.kind === 'integral') throw refuse(path, 'found parts of a part, which bit fields have not');
    return `  ${item.type.signed ? 'signed ' : ''}${nameOf(item.name)} : ${item.width};`;
  });
  return [`bitfield ${nameOf(type.name)} {`, ...lines, '};', ''];
}

function declaration(type: NamedDescription, target: Target): string[] {
  const about = type.doc === '' ? [] : [`// ${commentText(type.doc)}`];
  if (type.kind === 'struct') return [...about, ...structText(resolve(type, target))];
  if (type.kind === 'integral') return [...about, ...integralText(resolve(type, target))];
  if (type.kind === 'tagged') throw refuse(type.name, 'found a tagged union, expected structs');
  const layout = resolve(type, target);
  if (layout.kind !== 'union') throw refuse(type.name, 'found no union');
  const arms = layout.arms.map((arm) => `  ${fieldText(arm, `${type.name}.${arm.name}`)}`);
  return [...about, `union ${nameOf(type.name)} {`, ...arms, '};', ''];
}

/** The enumerations that fields have, each once for each width. */
function enumerations(types: readonly NamedDescription[], target: Target): string[] {
  const found = new Map<string, string[]>();
  const visit = (type: ResolvedType): void => {
    if (type.kind === 'array') visit(type.element);
    if (type.kind === 'integer' && type.set?.kind === 'enum') {
      found.set(enumName({ ...type, endian: 'little' }, type.set), enumText(type, type.set));
    }
  };
  for (const type of types) {
    if (type.kind === 'tagged') continue;
    const layout = resolve(type, target);
    if (layout.kind === 'struct') for (const item of layout.fields) visit(item.type);
    if (layout.kind === 'union') for (const item of layout.arms) visit(item.type);
  }
  return [...found.values()].flat();
}

/** Patterns of ImHex; to be placed by `Type name @ 0x200;`. */
export const hexpatEmitter: Emitter = {
  name: 'hexpat',
  emit(described, { target }) {
    const unit = withSets(described);
    const types = fixedInOrder(unit.types);
    const lines = [
      `// @generated by @instar/layout: ${commentText(unit.title)}. Do not edit.`,
      `#pragma endian ${target.endian}`,
      '',
      ...unit.constants.map(({ name, value }) => `const ${value < 0 ? 's' : 'u'}64 ${nameOf(name)} = ${value};`),
      ...(unit.constants.length === 0 ? [] : ['']),
      ...enumerations(types, target),
      ...types.flatMap((type) => declaration(type, target)),
    ];
    return `${lines.join('\n').trimEnd()}\n`;
  },
};
