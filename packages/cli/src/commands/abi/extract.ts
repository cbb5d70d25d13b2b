import { escapeText, quoteName } from '@instar/engine';
import type { ConstantSet, Description, Target } from '@instar/layout';
import { inOrder, jsonEmitter, type NamedConstant, type NamedDescription } from '@instar/layout/emit';
import {
  extract,
  extractFile,
  type ExtractedConstant,
  type ExtractedField,
  type ExtractedType,
  type ExtractFileOptions,
  type Extraction,
} from '@instar/layout/extract';
import { findTarget, usageError } from './source.js';
import { recordText } from '../../render/record.js';

export interface ExtractFlags {
  readonly compiler: string | undefined;
  readonly target: Target;
  readonly includeDirs: readonly string[];
  readonly defines: readonly string[];
  /** What the compiler is told besides. */
  readonly compilerFlags: readonly string[];
  readonly output: 'human' | 'json' | 'layout';
}

function definesOf(words: readonly string[]): Record<string, string | true> {
  return Object.fromEntries(
    words.map((word): [string, string | true] => {
      const at = word.indexOf('=');
      const name = at < 0 ? word : word.slice(0, at);
      if (!/^[A-Za-z_]\w*$/.test(name)) throw usageError(`found -D ${escapeText(word)}, expected NAME or NAME=VALUE`);
      return [name, at < 0 ? true : word.slice(at + 1)];
    }),
  );
}

/** Asks a compiler how it lays types out. */
export async function extractTypes(
  header: string,
  types: readonly string[],
  flags: ExtractFlags,
  signal: AbortSignal,
): Promise<string> {
  const found = await extract({
    compiler: flags.compiler,
    target: flags.target,
    header,
    types,
    includeDirs: flags.includeDirs,
    defines: definesOf(flags.defines),
    flags: flags.compilerFlags,
    signal,
  });
  return extractionText(found, header, flags.target, flags.output);
}

/** Takes types out of a file. */
export function extractedFrom(options: ExtractFileOptions, output: ExtractFlags['output']): string {
  const found = extractFile(options);
  return extractionText(found, options.file, findTarget(found.target), output);
}

function extractionText(found: Extraction, title: string, target: Target, output: ExtractFlags['output']): string {
  if (output === 'layout') {
    const sets = found.types.flatMap((type) => setOf(type.layout));
    const named = inOrder(found.types.flatMap((type) => namedLayouts(type)));
    const constants = found.constants.map(({ name, value }): NamedConstant => {
      if (typeof value === 'bigint') return { name: name.replaceAll('::', '_'), value };
      throw usageError(`${escapeText(name)} is not an integer: --layout has no place for it`);
    });
    return jsonEmitter.emit({ title, regions: [], constants, sets, types: named }, { target });
  }
  if (output === 'json') {
    const records = found.types.map(({ layout: _, ...record }) => record);
    const { compiler, constants } = found;
    const values = constants.length === 0 ? {} : { constants };
    return recordText({ compiler, target: found.target, types: records, ...values });
  }
  const texts = found.types.map((type) => typeText(type, found.target));
  if (found.constants.length > 0) texts.unshift(found.constants.map(constantText).join('\n'));
  return `${texts.join('\n\n')}\n`;
}

function constantText({ name, type, value }: ExtractedConstant): string {
  if (typeof value === 'string') return `${name} = ${quoteName(value)}`;
  const hex = typeof value === 'bigint' && value > 9n ? ` (0x${value.toString(16)})` : '';
  return `${name} = ${value}${hex}, ${type}`;
}

/** The set of an enumeration that was asked for by name. */
function setOf(layout: Description): ConstantSet[] {
  return layout.kind === 'integer' && layout.set !== undefined ? [layout.set] : [];
}

function namedLayouts(type: ExtractedType): NamedDescription[] {
  const layout: Description = type.layout;
  if (layout.kind === 'struct' || layout.kind === 'union' || layout.kind === 'integral' || layout.kind === 'tagged')
    return [layout];
  if (setOf(layout).length > 0) return [];
  throw usageError(`${type.name} is not a struct, a union or an enumeration: --layout has no name for it`);
}

function typeText(type: ExtractedType, target: string): string {
  const head = `${type.name} on ${target}: ${type.size} bytes, alignment ${type.align}`;
  const values = (type.values ?? []).map((item) => `  ${item.name} = ${item.value}`);
  return [head, ...values, ...fieldLines(type.fields ?? [], 0, 1)].join('\n');
}

function fieldLines(fields: readonly ExtractedField[], base: number, depth: number): string[] {
  return fields.flatMap((field) => {
    const bit = base + field.bitOffset;
    const place = field.bitField ? `bits ${bit}..${bit + field.bitWidth - 1}` : `${bit / 8}`;
    const counts = (field.counts ?? []).map((count) => `[${count}]`).join('');
    const width = field.bitField ? ` : ${field.bitWidth}` : '';
    const line =
      `${'  '.repeat(depth)}${place.padEnd(14)} ${field.type} ${field.name ?? ''}${counts}${width}`.trimEnd();
    return [line, ...fieldLines(field.counts === undefined ? (field.fields ?? []) : [], bit, depth + 1)];
  });
}
