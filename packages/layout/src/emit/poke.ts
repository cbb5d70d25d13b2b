import { LayoutError } from '../layout/errors.js';
import { resolve } from '../layout/resolve.js';
import { byteSize, type ResolvedField } from '../layout/resolved.js';
import type { Target } from '../layout/target.js';
import type {
  Description,
  FieldDescription,
  IntegralDescription,
  StructDescription,
  TaggedDescription,
  UnionDescription,
} from '../layout/types.js';
import { bitFieldRuns, shiftInRun, type BitFieldRun } from './bit-field-runs.js';
import { fixedInOrder, withSets, type Emitter, type NamedDescription } from './emitter.js';
import { commentText } from './plain-text.js';
import { besides, renamed } from './reserved.js';

// Words that GNU poke 2.4 does not take as the name of a field.
const KEYWORDS = new Set(
  (
    'any as assert big little break continue else enum for fun if in isa lambda load method pinned print printf raise ' +
    'return sizeof string struct try catch type typeof union unit unmap until var void while where format'
  ).split(' '),
);

/** Names that the pickle itself gives to paddings and storage units. */
const OWN = /^(bits[0-9]+|pad[0-9]+_|end_|bytes_)$/;

/**
 * The name that a field or a type has in a pickle: keywords of GNU poke get an underscore behind them, and so does what
 * would then have the same name.
 */
export function pokeName(name: string): string {
  return besides(name, (stem) => KEYWORDS.has(stem) || OWN.test(stem));
}

function integerText(bits: number, signed: boolean): string {
  return `${signed ? 'int' : 'uint'}<${bits}>`;
}

/** A number with the suffix of the narrowest type that GNU poke has for it. */
function numberText(value: number | bigint): string {
  // GNU poke reads the digits before the sign, and finds those of the least integers too many.
  if (BigInt(value) === -(2n ** 31n)) return '(~0x7fffffff)';
  if (BigInt(value) === -(2n ** 63n)) return '(~0x7fffffffffffffffL)';
  const suffix = BigInt.asIntN(33, BigInt(value)) === BigInt(value) ? '' : 'L';
  return BigInt(value) < 0n ? `(${value}${suffix})` : `0x${value.toString(16)}${suffix === '' ? 'U' : 'UL'}`;
}

/** How a type is written where a field is declared, without its name. */
function typeText(type: Description, target: Target, path: string): string {
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

function unsupported(path: string, message: string): LayoutError {
  return new LayoutError('LAYOUT_UNSUPPORTED', message, { path, offset: 0 });
}

function constraintText(item: FieldDescription): string {
  return item.value === undefined ? '' : ` : ${pokeName(item.name)} == ${numberText(item.value)}`;
}

function docText(doc: string): string {
  return doc === '' ? '' : ` /* ${commentText(doc)} */`;
}

/** Structs packed to the bit are what GNU poke's structs are; labels that follow from the byte order ask for it. */
function bitsLines(type: StructDescription, target: Target): string[] {
  return type.fields.map((item) => {
    const path = `${type.name}.${item.name}`;
    return `  ${typeText(item.type, target, path)} ${pokeName(item.name)}${constraintText(item)}${labelText(item)};${docText(item.doc)}`;
  });
}

function labelText(item: FieldDescription): string {
  if (item.label === undefined) return '';
  if (typeof item.label === 'number') return ` @ ${item.label}#b`;
  return ` @ (get_endian == ENDIAN_LITTLE ? ${item.label.little} : ${item.label.big}) * 1#b`;
}

/** Bit fields on the same bytes: an integral struct of the integer that they share. */
function runLines(run: BitFieldRun, index: number, path: string): string[] {
  const width = run.to - run.from;
  if (width > 64) {
    throw unsupported(path, 'found bit fields that share more than 64 bits, which no integer of GNU poke holds');
  }
  const slices = run.fields.map((item) => ({ item, shift: shiftInRun(run, item) })).sort((a, b) => b.shift - a.shift);
  const lines = [`  struct uint<${width}>`, '  {'];
  let above = width;
  for (const { item, shift } of slices) {
    const end = shift + item.type.bits;
    if (end < above) lines.push(`    uint<${above - end}>;`);
    const signed = item.type.kind === 'integer' && item.type.signed;
    const name = item.unnamed ? '' : ` ${pokeName(item.name)}`;
    lines.push(`    ${integerText(item.type.bits, signed)}${name};${docText(item.doc)}`);
    above = shift;
  }
  if (above > 0) lines.push(`    uint<${above}>;`);
  return [...lines, `  } bits${index};`];
}

/** C structs: padding is written out, bit fields stand in the integers that hold them. */
function cLines(type: StructDescription, target: Target): string[] {
  const resolved = resolve(type, target);
  const lines: string[] = [];
  let end = 0;
  let pads = 0;
  let runs = 0;
  let run: ResolvedField[] = [];
  // Behind a tagged union, whose arms may be of different sizes, each place is said.
  const labelled = type.fields.some((item) => item.type.kind === 'tagged');
  const padTo = (bit: number): void => {
    if (bit > end && !labelled) {
      lines.push(`  uint<8>[${(bit - end) / 8}] pad${pads}_;`);
      pads += 1;
    }
    end = bit;
  };
  const flush = (): void => {
    for (const part of bitFieldRuns(run)) {
      padTo(part.from);
      const text = runLines(part, runs, type.name);
      if (labelled) text.push(text.pop()?.replace(/;$/, ` @ ${part.from}#b;`) ?? '');
      lines.push(...text);
      runs += 1;
      end = part.to;
    }
    run = [];
  };
  type.fields.forEach((item, index) => {
    const place = resolved.fields[index];
    if (place === undefined) return;
    if (item.type.kind === 'bitField') {
      if (item.type.container.kind === 'integer' && (item.type.container.endian ?? target.endian) !== target.endian) {
        throw unsupported(`${type.name}.${item.name}`, 'GNU poke has no storage unit with a byte order of its own');
      }
      if (place.type.bits > 0) run.push(place);
      return;
    }
    flush();
    padTo(place.bit);
    const label = labelled ? ` @ ${place.bit}#b` : '';
    const path = `${type.name}.${item.name}`;
    const text = item.type.kind === 'tagged' ? taggedText(item.type, target) : typeText(item.type, target, path);
    lines.push(`  ${text} ${pokeName(item.name)}${constraintText(item)}${label};${docText(item.doc)}`);
    end = place.bit + place.type.bits;
  });
  flush();
  padTo(resolved.bits);
  if (labelled) lines.push(`  uint<8>[0] end_ @ ${resolved.bits}#b;`);
  return lines;
}

function taggedText(type: TaggedDescription, target: Target): string {
  const tag = type.by.map(pokeName).join('.');
  const arms = type.arms.map(
    (arm) =>
      `    ${typeText(arm.type, target, `${type.name}.${arm.name}`)} ${pokeName(arm.name)} : ${tag} == ${numberText(arm.tag)};`,
  );
  return ['union', '  {', ...arms, '  }'].join('\n');
}

function unionLines(type: UnionDescription, target: Target): string[] {
  const size = byteSize(resolve(type as NamedDescription, target));
  const arms = type.arms.map((arm) => {
    const path = `${type.name}.${arm.name}`;
    if (arm.type.kind === 'bitField') throw unsupported(path, 'GNU poke has no place for a bit field of its own');
    return `  ${typeText(arm.type, target, path)} ${pokeName(arm.name)} @ 0#b;${docText(arm.doc)}`;
  });
  // A union of GNU poke is a choice; these arms are all there at once.
  return [...arms, `  uint<8>[${size}] bytes_ @ 0#b;`];
}

function integralLines(type: IntegralDescription, target: Target): string[] {
  return type.fields.map((item) => {
    const path = `${type.name}.${item.name}`;
    return `  ${typeText(item.type, target, path)} ${pokeName(item.name)}${constraintText(item)};${docText(item.doc)}`;
  });
}

function declaration(type: NamedDescription, target: Target): string[] {
  const about = type.doc === '' ? [] : [`/* ${commentText(type.doc)} */`];
  switch (type.kind) {
    case 'integral': {
      const container = integerText(type.container.bits, type.container.signed);
      if (type.container.endian !== undefined) {
        throw unsupported(type.name, 'GNU poke has no integral structs with a byte order of their own');
      }
      return [
        ...about,
        `type ${pokeName(type.name)} =`,
        `  struct ${container}`,
        '{',
        ...integralLines(type, target),
        '};',
        '',
      ];
    }
    case 'struct': {
      const lines = type.packing === 'bits' ? bitsLines(type, target) : cLines(type, target);
      return [...about, `type ${pokeName(type.name)} =`, '  struct', '{', ...lines, '};', ''];
    }
    case 'union':
      return [...about, `type ${pokeName(type.name)} =`, '  struct', '{', ...unionLines(type, target), '};', ''];
    case 'tagged':
      // Written where its tag is.
      return [];
  }
}

/**
 * A GNU poke pickle. The byte order is the reader's to set (`.set endian`); C bit fields and words are those of the
 * target. Storage units of bit fields are integral structs named `bits0`, `bits1`, … (GNU poke manual, "Integral Structs").
 */
export const pokeEmitter: Emitter = {
  name: 'poke',
  emit(described, { target }) {
    // Behind a field that has the name of a type, the type cannot be reached.
    const names = new Set(fixedInOrder(described.types).map((type) => pokeName(type.name)));
    const unit = renamed(withSets(described), {
      field: (name) => besides(name, (stem) => names.has(pokeName(stem))),
      type: (name) => name,
    });
    const lines = [
      `/* ${commentText(unit.title)}, for ${target.name} (${target.endian} endian). Generated: edit the description, not this file. */`,
      '',
      ...unit.constants.map(({ name, value }) => `var ${name} = ${numberText(value)};`),
      ...(unit.constants.length === 0 ? [] : ['']),
      ...unit.sets.flatMap((set) => [
        ...(set.doc === '' ? [] : [`/* ${commentText(set.doc)} */`]),
        ...Object.entries<number>(set.values).map(
          ([name, value]) => `var ${set.plainNames === true ? '' : `${set.name}_`}${name} = ${numberText(value)};`,
        ),
        '',
      ]),
      ...fixedInOrder(unit.types).flatMap((type) => declaration(type, target)),
    ];
    return `${lines.join('\n').trimEnd()}\n`;
  },
};
