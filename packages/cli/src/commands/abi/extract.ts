import { escapeText } from '@instar/engine';
import { inOrder, jsonEmitter, type Description, type NamedDescription, type Target } from '@instar/shared-abi';
import { extract, type ExtractedField, type ExtractedType } from '@instar/shared-abi/extract';
import { toJson } from '../../render/json.js';
import { usageError } from './source.js';

export interface ExtractFlags {
  readonly compiler: string;
  readonly target: Target;
  readonly includeDirs: readonly string[];
  readonly defines: readonly string[];
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
    signal,
  });
  if (flags.output === 'layout') {
    const named = inOrder(found.types.map((type) => namedLayout(type)));
    return jsonEmitter.emit(
      { title: header, regions: [], constants: [], sets: [], types: named },
      { target: flags.target },
    );
  }
  if (flags.output === 'json') {
    const records = found.types.map(({ layout: _, ...record }) => record);
    return `${toJson({ compiler: found.compiler, target: found.target, types: records })}\n`;
  }
  return `${found.types.map((type) => typeText(type, found.target)).join('\n\n')}\n`;
}

function namedLayout(type: ExtractedType): NamedDescription {
  const layout: Description = type.layout;
  if (layout.kind === 'struct' || layout.kind === 'union' || layout.kind === 'integral' || layout.kind === 'tagged')
    return layout;
  throw usageError(`${type.name} is no struct and no union: --layout has no name for it`);
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
