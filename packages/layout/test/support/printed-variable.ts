import { pokeName } from '../../src/emit/index.js';
import { codec, type Target, type Type } from '../../src/index.js';
import { textAsBytes } from '../../src/codec/text.js';
import { isVariable } from '../../src/variable/describe.js';
import type { Printed } from './poke.js';

type Fields = Readonly<Record<string, unknown>>;

function integers(expression: string, values: readonly bigint[]): Printed[] {
  return [
    { statement: `printf ("%u64d\\n", ${expression}'length as uint<64>);`, values: [BigInt(values.length)] },
    { statement: `for (e in ${expression}) printf ("%u64d\\n", e as uint<64>);`, values },
  ];
}

function isWrapped(type: Type): boolean {
  if (type.kind === 'integer' || type.kind === 'float') return type.endian !== undefined;
  return type.kind === 'variable' && (type.part.form === 'range' || type.part.form === 'magic');
}

/**
 * Statements of GNU poke that print all of a value whose parts vary, through the pickle of its type: what the emitter's
 * comment says of arms, of optional parts and of parts with a size, written down a second time.
 */
export function printedVariable(type: Type, value: unknown, expression: string, target: Target): Printed[] {
  const again = (inner: Type, item: unknown, place: string): Printed[] => printedVariable(inner, item, place, target);
  const elements = (inner: Type, items: readonly unknown[]): Printed[] => [
    { statement: `printf ("%u64d\\n", ${expression}'length as uint<64>);`, values: [BigInt(items.length)] },
    ...items.flatMap((item, index) => again(inner, item, `${expression}[${index}]${isWrapped(inner) ? '.value' : ''}`)),
  ];
  const bytes = (list: Iterable<number>): Printed[] => integers(expression, Array.from(list, BigInt));
  switch (type.kind) {
    case 'integer':
    case 'word':
      return [
        { statement: `printf ("%u64d\\n", ${expression} as uint<64>);`, values: [BigInt(value as number | bigint)] },
      ];
    case 'float': {
      const file = Buffer.from(codec(type, target).encode(value as never));
      const big = (type.endian ?? target.endian) === 'big' ? file : Buffer.from(file).reverse();
      const values = [BigInt(`0x${big.toString('hex')}`)];
      return [{ statement: `printf ("%u64d\\n", ${expression} as uint<64>);`, values }];
    }
    case 'bytes':
      return bytes(value as Uint8Array);
    case 'text': {
      // What stands behind the end of a text is no part of its value.
      const list = textAsBytes(type.encoding ?? 'utf8', value, '', 0);
      return list.length === 0 ? [] : integers(`${expression}[0:${list.length}]`, Array.from(list, BigInt));
    }
    case 'array': {
      const items = value as readonly unknown[];
      return elements(type.element, items);
    }
    case 'struct':
    case 'integral': {
      const fields = value as Fields;
      return type.fields.flatMap((item) =>
        again(item.type, item.anonymous === true ? fields : fields[item.name], `${expression}.${pokeName(item.name)}`),
      );
    }
    case 'variable':
      break;
    default:
      throw new TypeError(type.kind);
  }
  const { part } = type;
  switch (part.form) {
    case 'list':
      return elements(part.element, value as readonly unknown[]);
    case 'run': {
      const list = part.encoding === undefined ? (value as Uint8Array) : textAsBytes(part.encoding, value, '', 0);
      if (part.terminator === undefined || part.terminator === 0) return bytes(list);
      return [
        {
          statement: `for (e in ${expression}.bytes) printf ("%u64d\\n", e.byte as uint<64>);`,
          values: Array.from(list, BigInt),
        },
        { statement: `printf ("%u64d\\n", ${expression}.end as uint<64>);`, values: [BigInt(part.terminator)] },
      ];
    }
    case 'optional':
      return elements(part.type, value === undefined ? [] : [value]);
    case 'variant': {
      const { arm, value: inner } = value as { readonly arm: string; readonly value: unknown };
      const found = part.arms.find((item) => item.name === arm)?.type;
      if (found === undefined) throw new TypeError(arm);
      return again(found, inner, `${expression}.${pokeName(arm)}.value`);
    }
    case 'sized': {
      const { type: inner } = part;
      const isWhole =
        (inner.kind === 'struct' && isVariable(inner)) ||
        (inner.kind === 'variable' && inner.part.form === 'list' && inner.part.count === undefined) ||
        (inner.kind === 'variable' && inner.part.form === 'run' && inner.part.length === undefined);
      return again(inner, value, isWhole ? expression : `${expression}.value`);
    }
    case 'align':
      return value === undefined ? [] : bytes(value as Uint8Array);
    case 'magic':
    case 'digest':
      return bytes(value as Uint8Array);
    case 'range':
    case 'checksum':
    case 'pointed':
      return again(part.type, value, expression);
    default:
      throw new TypeError(part.form);
  }
}
