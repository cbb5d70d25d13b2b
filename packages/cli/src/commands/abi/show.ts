import { byteSize, resolve, type Target } from '@instar/layout';
import { asciiEmitter, type NamedDescription } from '@instar/layout/emit';
import { findTypes, type Source } from './source.js';
import { recordText } from '../../render/record.js';

const hex = (value: number): string => `0x${value.toString(16)}`;

/** Bytes of a type; undefined where only a value has a size. */
function sizeOf(type: NamedDescription, target: Target): number | undefined {
  return type.kind === 'struct' && type.variable === true ? undefined : byteSize(resolve(type, target));
}

/** What there is: version, fingerprint, regions and types; or pictures of the types that were named. */
export function show(source: Source, names: readonly string[], target: Target, json: boolean): string {
  const { unit, fingerprint } = source;
  const types = findTypes(unit, names);
  if (names.length > 0 && !json) return asciiEmitter.emit({ ...unit, types }, { target });
  const sizes = types.map((type) => ({
    name: type.name,
    kind: type.kind,
    size: sizeOf(type, target),
    doc: type.doc,
  }));
  const print = fingerprint === undefined ? undefined : Buffer.from(fingerprint).toString('hex');
  if (json) return recordText({ version: unit.version, fingerprint: print, target: target.name, types: sizes });
  const width = Math.max(...sizes.map((item) => item.name.length));
  return [
    unit.title,
    ...(print === undefined ? [] : [`fingerprint ${print}`]),
    ...(unit.regions.length === 0 ? [] : ['', 'Memory map:']),
    ...unit.regions.map(
      (item) =>
        `  ${hex(item.start).padStart(10)} ${hex(item.size).padStart(10)}  ${item.protection.padEnd(10)} ${item.name}`,
    ),
    '',
    'Types (bytes):',
    ...sizes.map((item) =>
      `  ${item.name.padEnd(width)} ${String(item.size ?? 'varies').padStart(6)}  ${item.doc}`.trimEnd(),
    ),
    '',
    'instar abi show TYPE draws a type; instar abi emit writes it in other languages.',
    '',
  ].join('\n');
}
