import { resolve } from '../layout/resolve.js';
import { byteSize, type ResolvedType } from '../layout/resolved.js';
import { fixedInOrder, type Emitter } from './emitter.js';
import { hexText } from './json.js';
import { markdownText } from './plain-text.js';
import { typeName } from './picture.js';

const hex = (value: number): string => `0x${value.toString(16)}`;

/** Text in a cell of a table. */
function cell(text: string): string {
  return text.replaceAll(/(?<!\\)\|/g, '\\|').replaceAll(/\s+/g, ' ');
}

function row(...cells: readonly (string | number)[]): string {
  return `| ${cells.map((item) => cell(String(item))).join(' | ')} |`;
}

function sizeText(type: ResolvedType): string {
  return type.bits % 8 === 0 ? `${byteSize(type)} bytes` : `${type.bits} bits`;
}

/** Byte offset, or the bits where a field is no whole bytes. */
function placeText(bit: number, type: ResolvedType): string {
  const isBits = type.bits % 8 !== 0 || bit % 8 !== 0 || ('declaredBits' in type && type.declaredBits !== undefined);
  if (!isBits) return String(bit / 8);
  return type.bits === 1 ? `bit ${bit}` : `bits ${bit}–${bit + type.bits - 1}`;
}

function typeLines(type: ResolvedType): string[] {
  switch (type.kind) {
    case 'struct':
      return [
        `## ${type.name}`,
        '',
        `${type.doc} ${sizeText(type)}.`.trim(),
        '',
        '| offset | type | field | |',
        '| --- | --- | --- | --- |',
        ...type.fields
          .filter((item) => !item.unnamed)
          .map((item) => row(placeText(item.bit, item.type), markdownText(typeName(item.type)), item.name, item.doc)),
        '',
      ];
    case 'integral':
      return [
        `## ${type.name}`,
        '',
        `${type.doc} One integer of ${type.bits} bits.`.trim(),
        '',
        '| bits | type | field | |',
        '| --- | --- | --- | --- |',
        ...type.fields.map((item) => {
          const high = item.shift + item.width - 1;
          return row(
            high === item.shift ? high : `${high}–${item.shift}`,
            markdownText(typeName(item.type)),
            item.name,
            item.doc,
          );
        }),
        '',
      ];
    case 'union':
      return [
        `## ${type.name}`,
        '',
        `${type.doc} ${sizeText(type)}; one of these.`.trim(),
        '',
        '| arm | type | |',
        '| --- | --- | --- |',
        ...type.arms.map((arm) => row(arm.name, markdownText(typeName(arm.type)), arm.doc)),
        '',
      ];
    case 'tagged':
      return [
        `## ${type.name}`,
        '',
        `${type.doc} ${sizeText(type)}; one of these, as \`${type.by.join('.')}\` says.`.trim(),
        '',
        '| tag | arm | type |',
        '| --- | --- | --- |',
        ...type.arms.map((arm) => row(String(arm.tag), arm.name, markdownText(typeName(arm.type)))),
        '',
      ];
    default:
      return [];
  }
}

/** Tables of the memory map, the constants and every type, for the documentation. */
export const markdownEmitter: Emitter = {
  name: 'markdown',
  emit(unit, { target, fingerprint }) {
    const map = [
      '## Memory map',
      '',
      '| start | size | name | at CPL 3 | |',
      '| --- | --- | --- | --- | --- |',
      ...unit.regions.map((item) => row(hex(item.start), hex(item.size), item.name, item.protection, item.doc)),
      '',
    ];
    const lines = [
      `# ${markdownText(unit.title)}`,
      '',
      ...(fingerprint === undefined
        ? []
        : [
            '<!-- generated from packages/shared-abi/src/abi: edit there, then `npm run generate` -->',
            '',
            `Fingerprint: \`${hexText(fingerprint)}\``,
            '',
          ]),
      ...(unit.regions.length === 0 ? [] : map),
      ...unit.sets.flatMap((set) => [
        `## ${set.name}`,
        '',
        set.doc,
        '',
        '| name | value | |',
        '| --- | --- | --- |',
        ...Object.entries<number>(set.values).map(([name, value]) =>
          row(name, set.kind === 'flags' ? hex(value) : value, set.docs[name] ?? ''),
        ),
        '',
      ]),
      ...inAlphabet(fixedInOrder(unit.types).map((type) => resolve(type, target))).flatMap(typeLines),
    ];
    return `${lines.join('\n').trimEnd()}\n`;
  },
};

function inAlphabet(types: readonly ResolvedType[]): ResolvedType[] {
  const name = (type: ResolvedType): string => ('name' in type ? type.name : '');
  return [...types].sort((a, b) => (name(a) < name(b) ? -1 : 1));
}
