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
import { inOrder, usedTypes, withSets, type Emitter, type NamedDescription } from './emitter.js';
import { commentText } from './plain-text.js';
import { constraintText, docText, integerText, numberText, pokeName, typeText, unsupported } from './poke-text.js';
import { VariablePickle } from './poke-variable.js';
import { besides, renamed } from './reserved.js';
import { innerTypes } from '../variable/parts.js';

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

function aboutText(doc: string): string[] {
  return doc === '' ? [] : [`/* ${commentText(doc)} */`];
}

function declaration(type: NamedDescription, target: Target): string[] {
  const about = aboutText(type.doc);
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

/** Every name that a field, an arm or a type has in a pickle. */
function namesIn(types: readonly NamedDescription[]): Set<string> {
  const parts = (type: Description): readonly { readonly name: string }[] => {
    if (type.kind === 'variable') {
      return [...(type.part.form === 'variant' ? type.part.arms : []), ...innerTypes(type.part).flatMap(parts)];
    }
    return type.kind === 'array' ? parts(type.element) : [];
  };
  return new Set(
    types.flatMap((type) => {
      const members = type.kind === 'struct' || type.kind === 'integral' ? type.fields : type.arms;
      const inner = members.flatMap((item) => [item, ...parts(item.type)]);
      return [type.name, ...inner.map((item) => item.name)].map(pokeName);
    }),
  );
}

/** The declarations of types, each behind what it uses. */
function declarations(roots: readonly NamedDescription[], target: Target): string[] {
  const types = inOrder(roots);
  const used = new Set(types.flatMap(usedTypes));
  const pickle = new VariablePickle(
    target,
    namesIn(types),
    roots.filter((type) => !used.has(type)),
  );
  const lines = types.flatMap((type) => {
    if (type.kind !== 'struct' || type.variable !== true) return declaration(type, target);
    const text = pickle.declaration(type);
    return text.length === 0 ? [] : [...aboutText(type.doc), ...text, ''];
  });
  return [...[...pickle.helpers.values()].flat(), ...lines];
}

/**
 * A GNU poke pickle. The byte order is the reader's to set (`.set endian`); C bit fields and words are those of the
 * target. Storage units of bit fields are integral structs named `bits0`, `bits1`, … (GNU poke manual, "Integral Structs").
 *
 * Of parts that vary: a variant is a union whose arm has its value in `value`, what is there only sometimes is an array of
 * one element or none, and so are the parts of what another part bounds. Checksums are read and not checked. A list up to the
 * end ends where GNU poke finds something wrong. What functions decide, unpack or end, and values elsewhere in a struct
 * inside another, are refused by name.
 */
export const pokeEmitter: Emitter = {
  name: 'poke',
  emit(described, { target }) {
    // Behind a field that has the name of a type, the type cannot be reached.
    const names = new Set(inOrder(described.types).map((type) => pokeName(type.name)));
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
        ...aboutText(set.doc),
        ...Object.entries<number>(set.values).map(
          ([name, value]) => `var ${set.plainNames === true ? '' : `${set.name}_`}${name} = ${numberText(value)};`,
        ),
        '',
      ]),
      ...declarations(unit.types, target),
    ];
    return `${lines.join('\n').trimEnd()}\n`;
  },
};
