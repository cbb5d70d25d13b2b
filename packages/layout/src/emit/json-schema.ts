import { LayoutError } from '../layout/errors.js';
import type { ConstantSet } from '../layout/constants.js';
import type { Description, FieldDescription } from '../layout/types.js';
import { fixedInOrder, type Emitter, type NamedDescription } from './emitter.js';
import type { Json } from './json.js';

// What `instar abi decode --json` prints of a value (JSON Schema, draft 2020-12): numbers up to 32 bits are numbers, wider
// ones numbers or decimal strings, bytes are hexadecimal.

type Properties = Record<string, Json>;

function integerSchema(bits: number, signed: boolean, wide: boolean, set?: ConstantSet): Json {
  const low = signed ? -(2n ** BigInt(bits - 1)) : 0n;
  const high = signed ? 2n ** BigInt(bits - 1) - 1n : 2n ** BigInt(bits) - 1n;
  const names =
    set === undefined
      ? {}
      : {
          description: Object.entries<number>(set.values)
            .map(([name, value]) => `${name} = ${value}`)
            .join(', '),
        };
  if (!wide) return { type: 'integer', minimum: Number(low), maximum: Number(high), ...names };
  return { type: ['integer', 'string'], pattern: signed ? '^-?[0-9]+$' : '^[0-9]+$', ...names };
}

function typeSchema(type: Description, path: string): Json {
  switch (type.kind) {
    case 'integer':
      return integerSchema(type.bits, type.signed, type.bits > 32, type.set);
    case 'word':
      return integerSchema(64, type.signed, true);
    case 'bitField':
      if (type.container.kind === 'boolean') return { type: 'boolean' };
      return integerSchema(
        Math.max(1, type.width),
        type.container.signed,
        type.container.kind === 'word' || type.width > 32,
        type.container.kind === 'integer' ? type.container.set : undefined,
      );
    case 'float':
      return { type: ['number', 'null'] };
    case 'boolean':
      return { type: 'boolean' };
    case 'bytes':
      return { type: 'string', pattern: `^[0-9a-f]{${type.count * 2}}$` };
    case 'text':
      return { type: 'string', maxLength: type.count };
    case 'array':
      return { type: 'array', items: typeSchema(type.element, path), minItems: type.count, maxItems: type.count };
    case 'variable':
      throw new LayoutError('LAYOUT_UNSUPPORTED', 'found a part without a fixed size', { path, offset: 0 });
    default:
      return { $ref: `#/$defs/${type.name}` };
  }
}

/** The properties of a struct; those of its anonymous members are among them. */
function propertiesOf(fields: readonly FieldDescription[], owner: string): Properties {
  const properties: Properties = {};
  for (const item of fields) {
    if (item.type.kind === 'bitField' && item.type.unnamed) continue;
    if (item.anonymous === true && (item.type.kind === 'struct' || item.type.kind === 'union')) {
      Object.assign(properties, propertiesOf(item.type.kind === 'struct' ? item.type.fields : item.type.arms, owner));
      continue;
    }
    const schema = typeSchema(item.type, `${owner}.${item.name}`);
    const isPlain = typeof schema === 'object' && !Array.isArray(schema);
    properties[item.name] = isPlain && item.doc !== '' ? { ...(schema as Properties), description: item.doc } : schema;
  }
  return properties;
}

function namedSchema(type: NamedDescription): Json {
  const about = type.doc === '' ? {} : { description: type.doc };
  if (type.kind === 'tagged') {
    const oneOf = type.arms.map((arm): Json => {
      const properties = { arm: { const: arm.name }, value: typeSchema(arm.type, `${type.name}.${arm.name}`) };
      return { type: 'object', properties, required: ['arm', 'value'], additionalProperties: false };
    });
    return { ...about, oneOf };
  }
  const properties = propertiesOf(type.kind === 'union' ? type.arms : type.fields, type.name);
  return { ...about, type: 'object', properties, required: Object.keys(properties), additionalProperties: false };
}

/** JSON Schema (draft 2020-12) of the values that `instar abi decode --json` prints; a definition for each type. */
export const jsonSchemaEmitter: Emitter = {
  name: 'jsonschema',
  emit(unit) {
    const types = fixedInOrder(unit.types);
    const last = types.at(-1);
    const schema = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      title: unit.title,
      ...(last === undefined ? {} : { $ref: `#/$defs/${last.name}` }),
      $defs: Object.fromEntries(types.map((type) => [type.name, namedSchema(type)])),
    };
    return `${JSON.stringify(schema, null, 2)}\n`;
  },
};
