import { resolve } from '../layout/resolve.js';
import { byteSize, type ResolvedType } from '../layout/resolved.js';
import type { Emitter } from './emitter.js';

function typeText(type: ResolvedType): string {
  switch (type.kind) {
    case 'integer':
      return `${type.signed ? 'i' : 'u'}${type.bits}`;
    case 'bytes':
      return `u8[${byteSize(type)}]`;
    case 'array':
      return `${typeText(type.element)}[${type.count}]`;
    case 'struct':
      return type.name;
    default:
      throw new TypeError(type.kind);
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`;

/** Tables of the memory map, the constants and every struct, for the documentation. */
export const markdownEmitter: Emitter = {
  name: 'markdown',
  emit(abi, { target, fingerprint = new Uint8Array(0) }) {
    const print = Array.from(fingerprint, (byte) => byte.toString(16).padStart(2, '0')).join('');
    const lines = [
      `# ${abi.title}`,
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
      ...abi.types
        .map((type) => resolve(type, target))
        .filter((item) => item.kind === 'struct')
        .flatMap((item) => [
          `## ${item.name}`,
          '',
          `${item.doc} ${byteSize(item)} bytes.`,
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
