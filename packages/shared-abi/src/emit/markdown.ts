import type { ArrayType, IntegerType, LayoutType } from '../layout/types.js';
import type { AbiDescription, Emitter } from './emitter.js';

function typeText(type: LayoutType<unknown>): string {
  switch (type.kind) {
    case 'integer': {
      const integer = type as IntegerType<number | bigint>;
      return `${integer.signed ? 'i' : 'u'}${integer.bits}`;
    }
    case 'bytes':
      return `u8[${type.size}]`;
    case 'array': {
      const list = type as ArrayType<unknown>;
      return `${typeText(list.element)}[${list.count}]`;
    }
    case 'struct':
      return (type as LayoutType<unknown> & { readonly name: string }).name;
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`;

/** Tables of the memory map, the constants and every struct, for the documentation. */
export const markdownEmitter: Emitter = {
  name: 'markdown',
  emit(abi: AbiDescription, fingerprint: Uint8Array): string {
    const print = Array.from(fingerprint, (byte) => byte.toString(16).padStart(2, '0')).join('');
    const lines = [
      `# ABI ${abi.version}`,
      '',
      '<!-- generated from packages/shared-abi/src/abi: edit there, then `npm run generate` -->',
      '',
      `Fingerprint: \`${print}\``,
      '',
      '## Memory map',
      '',
      '| start | size | name | at CPL 3 | |',
      '| --- | --- | --- | --- | --- |',
      ...abi.regions.map((r) => `| ${hex(r.start)} | ${hex(r.size)} | ${r.name} | ${r.protection} | ${r.doc} |`),
      '',
      ...abi.sets.flatMap((set) => [
        `## ${set.name}`,
        '',
        set.doc,
        '',
        '| name | value | |',
        '| --- | --- | --- |',
        ...Object.entries<number>(set.values).map(
          ([name, value]) => `| ${name} | ${set.kind === 'flags' ? hex(value) : value} | ${set.docs[name] ?? ''} |`,
        ),
        '',
      ]),
      ...abi.structs.flatMap((item) => [
        `## ${item.name}`,
        '',
        `${item.doc} ${item.size} bytes.`,
        '',
        '| offset | type | field | |',
        '| --- | --- | --- | --- |',
        ...item.fields.map((f) => `| ${f.offset} | ${typeText(f.type)} | ${f.name} | ${f.doc} |`),
        '',
      ]),
    ];
    return `${lines.join('\n').trimEnd()}\n`;
  },
};
