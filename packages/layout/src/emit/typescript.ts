import type { ConstantSet } from '../layout/constants.js';
import { LayoutError } from '../layout/errors.js';
import type { Description, FieldDescription, IntegerDescription } from '../layout/types.js';
import { fixedInOrder, withSets, type Emitter, type NamedDescription } from './emitter.js';
import { commentText } from './plain-text.js';
import { besides } from './reserved.js';

// A module that describes the same types in the language itself: whoever imports it has their TypeScript types and codecs.

/** Words that no constant of a module may be called (ECMAScript 2024, 12.7.2, and strict mode), and what is imported. */
const RESERVED = new Set(
  (
    'arguments await break case catch class const continue debugger default delete do else enum eval export extends false ' +
    'finally for function if implements import in instanceof interface let new null package private protected public return ' +
    'static super switch this throw true try typeof undefined var void while with yield layout'
  ).split(' '),
);

const nameOf = (name: string): string => besides(name, (stem) => RESERVED.has(stem));
const setName = (set: ConstantSet): string => `${set.name}_set`;

function integerText(type: IntegerDescription): string {
  const options = [
    ...(type.endian === undefined ? [] : [`endian: '${type.endian}'`]),
    ...(type.order === undefined ? [] : [`order: '${type.order}'`]),
    ...(type.set === undefined ? [] : [`set: ${setName(type.set)}`]),
  ];
  return `layout.${type.signed ? 'int' : 'uint'}(${type.bits}${options.length === 0 ? '' : `, { ${options.join(', ')} }`})`;
}

function typeText(type: Description, path: string): string {
  switch (type.kind) {
    case 'integer':
      return integerText(type);
    case 'word':
      if (type.table !== undefined)
        return `layout.tablePointer(${JSON.stringify(type.table.name)}, ${type.table.stride})`;
      if (type.pointer !== undefined) return `layout.pointer(${JSON.stringify(type.pointer)})`;
      return type.signed ? 'layout.iword' : 'layout.uword';
    case 'float':
      return `layout.float(${type.bits}${type.endian === undefined ? '' : `, { endian: '${type.endian}' }`})`;
    case 'boolean':
      return 'layout.bool';
    case 'bytes':
      return `layout.bytes(${type.count}${type.align === 1 ? '' : `, ${type.align}`})`;
    case 'text':
      return `layout.text(${type.count}${type.encoding === undefined ? '' : `, { encoding: '${type.encoding}' }`})`;
    case 'array':
      return `layout.array(${typeText(type.element, path)}, ${type.count})`;
    case 'bitField':
      return `layout.${type.unnamed ? 'unnamedBits' : 'bitField'}(${typeText(type.container, path)}, ${type.width})`;
    case 'variable':
      throw new LayoutError('LAYOUT_UNSUPPORTED', 'found a part without a fixed size', { path, offset: 0 });
    default:
      return nameOf(type.name);
  }
}

function literal(value: number | bigint): string {
  return typeof value === 'bigint' ? `${value}n` : `${value}`;
}

function fieldText(item: FieldDescription, owner: string): string {
  const type = typeText(item.type, `${owner}.${item.name}`);
  const more = [
    ...(item.at === undefined ? [] : [`at: ${item.at}`]),
    ...(item.label === undefined ? [] : [`label: ${JSON.stringify(item.label)}`]),
    ...(item.value === undefined ? [] : [`value: ${literal(item.value)}`]),
    ...(item.align === undefined ? [] : [`align: ${item.align}`]),
    ...(item.doc === '' ? [] : [`doc: ${JSON.stringify(item.doc)}`]),
  ];
  const rest = more.length === 0 ? '' : `, ${more.join(', ')}`;
  if (item.anonymous === true)
    return `  ${item.name}: layout.anonymous(${type}${more.length === 0 ? '' : `, { ${more.join(', ')} }`}),`;
  return more.length === 0 ? `  ${item.name}: ${type},` : `  ${item.name}: { type: ${type}${rest} },`;
}

function declaration(type: NamedDescription): string[] {
  const name = nameOf(type.name);
  const quoted = JSON.stringify(type.name);
  const about = type.doc === '' ? [] : [`/** ${commentText(type.doc)} */`];
  const doc = type.doc === '' ? [] : [`doc: ${JSON.stringify(type.doc)}`];
  const withOptions = (options: readonly string[]): string =>
    options.length === 0 ? '});' : `}, { ${options.join(', ')} });`;
  const lines = ((): string[] => {
    switch (type.kind) {
      case 'struct': {
        const isBits = type.packing === 'bits';
        const options = [
          ...doc,
          ...(type.packing === 'packed' ? ["packing: 'packed'"] : []),
          ...(type.order === undefined ? [] : [`order: '${type.order}'`]),
          ...(type.size === undefined ? [] : [`size: ${type.size}`]),
          ...(type.align === undefined ? [] : [`align: ${type.align}`]),
          ...(type.tail === undefined ? [] : [`tail: '${type.tail}'`]),
        ];
        const fields = type.fields.map((item) => fieldText(item, type.name));
        return [
          `export const ${name} = layout.${isBits ? 'bitStruct' : 'struct'}(${quoted}, {`,
          ...fields,
          withOptions(options),
        ];
      }
      case 'union': {
        const options = [...doc, ...(type.packed ? ['packed: true'] : [])];
        return [
          `export const ${name} = layout.union(${quoted}, {`,
          ...type.arms.map((item) => fieldText(item, type.name)),
          withOptions(options),
        ];
      }
      case 'integral':
        return [
          `export const ${name} = layout.integral(${quoted}, ${integerText(type.container)}, {`,
          ...type.fields.map((item) => fieldText(item, type.name)),
          type.doc === '' ? '});' : `}, ${JSON.stringify(type.doc)});`,
        ];
      case 'tagged':
        return [
          `export const ${name} = layout.tagged(${quoted}, '${type.by.join('.')}', {`,
          ...type.arms.map((arm) => `  ${arm.name}: [${literal(arm.tag)}, ${typeText(arm.type, type.name)}],`),
          type.doc === '' ? '});' : `}, ${JSON.stringify(type.doc)});`,
        ];
    }
  })();
  return [...about, ...lines, `export type ${name} = layout.ValueOf<typeof ${name}>;`, ''];
}

function setText(set: ConstantSet): string[] {
  const entries = Object.entries<number>(set.values).map(([name, value]) => `    ${name}: ${value},`);
  return [
    `export const ${setName(set)} = {`,
    `  name: ${JSON.stringify(set.name)},`,
    `  doc: ${JSON.stringify(set.doc)},`,
    `  kind: '${set.kind}',`,
    '  values: {',
    ...entries,
    '  },',
    '  docs: {},',
    ...(set.plainNames === true ? ['  plainNames: true,'] : []),
    '} satisfies layout.ConstantSet;',
    '',
  ];
}

/** A typed module: descriptions in the layout language, with the TypeScript types of their values. */
export const typescriptEmitter: Emitter = {
  name: 'typescript',
  emit(described) {
    const unit = withSets(described);
    const lines = [
      `// @generated by @instar/layout: ${commentText(unit.title)}. Do not edit.`,
      "import * as layout from '@instar/layout';",
      '',
      ...unit.constants.map(({ name, value }) => `export const ${nameOf(name)} = ${literal(value)};`),
      ...(unit.constants.length === 0 ? [] : ['']),
      ...unit.sets.flatMap(setText),
      ...fixedInOrder(unit.types).flatMap(declaration),
    ];
    return `${lines.join('\n').trimEnd()}\n`;
  },
};
