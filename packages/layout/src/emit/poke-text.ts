import { LayoutError } from '../layout/errors.js';
import type { Target } from '../layout/target.js';
import type { Description, FieldDescription } from '../layout/types.js';
import { commentText } from './plain-text.js';
import { besides } from './reserved.js';

// Words that GNU poke 2.4 does not take as the name of a field.
const KEYWORDS = new Set(
  (
    'any as assert big little break continue else enum for fun if in isa lambda load method pinned print printf raise ' +
    'return sizeof string struct try catch type typeof union unit unmap until var void while where format'
  ).split(' '),
);

/** Names that the pickle itself gives to paddings and storage units. */
const OWN =
  /^(bits[0-9]+|pad[0-9]+_|end_|bytes_|is_|back[0-9]+_|(size|left|at)[0-9]+_|get_endian|get_ios|alignto|OFFSET)$/;

/**
 * The name that a field or a type has in a pickle: keywords of GNU poke get an underscore behind them, and so does what
 * would then have the same name.
 */
export function pokeName(name: string): string {
  return besides(name, (stem) => KEYWORDS.has(stem) || OWN.test(stem));
}

export function integerText(bits: number, signed: boolean): string {
  return `${signed ? 'int' : 'uint'}<${bits}>`;
}

/** A number with the suffix of the narrowest type that GNU poke has for it. */
export function numberText(value: number | bigint): string {
  // GNU poke reads the digits before the sign, and finds those of the least integers too many.
  if (BigInt(value) === -(2n ** 31n)) return '(~0x7fffffff)';
  if (BigInt(value) === -(2n ** 63n)) return '(~0x7fffffffffffffffL)';
  const suffix = BigInt.asIntN(33, BigInt(value)) === BigInt(value) ? '' : 'L';
  return BigInt(value) < 0n ? `(${value}${suffix})` : `0x${value.toString(16)}${suffix === '' ? 'U' : 'UL'}`;
}

/** How a type is written where a field is declared, without its name. */
export function typeText(type: Description, target: Target, path: string): string {
  switch (type.kind) {
    case 'integer':
      if (type.order === 'lsb') throw unsupported(path, 'GNU poke counts bits from the most significant one on');
      return `${type.endian === undefined ? '' : `${type.endian} `}${integerText(type.bits, type.signed)}`;
    case 'word':
      return integerText(target.wordBits, type.signed);
    case 'float':
      // GNU poke has no floating point numbers: the bits as an integer.
      return `${type.endian === undefined ? '' : `${type.endian} `}${integerText(type.bits, false)}`;
    case 'boolean':
      return 'uint<8>';
    case 'bytes':
    case 'text':
      return `uint<8>[${type.count}]`;
    case 'array': {
      if (type.element.kind === 'integer' && type.element.endian !== undefined) {
        throw unsupported(path, 'GNU poke has no arrays of integers with a byte order of their own');
      }
      return `${typeText(type.element, target, path)}[${type.count}]`;
    }
    case 'bitField':
      throw unsupported(path, 'a bit field stands in a storage unit');
    case 'tagged':
      throw unsupported(path, 'a tagged union can only be a field of a struct');
    default:
      return pokeName(type.name);
  }
}

export function unsupported(path: string, message: string): LayoutError {
  return new LayoutError('LAYOUT_UNSUPPORTED', message, { path, offset: 0 });
}

export function constraintText(item: FieldDescription): string {
  return item.value === undefined ? '' : ` : ${pokeName(item.name)} == ${numberText(item.value)}`;
}

export function docText(doc: string): string {
  return doc === '' ? '' : ` /* ${commentText(doc)} */`;
}
