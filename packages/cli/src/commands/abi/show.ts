import { byteSize, resolve, type Target } from '@instar/layout';
import { asciiEmitter } from '@instar/layout/emit';
import { findTypes, type Source } from './source.js';
import { recordText } from '../../render/record.js';

const hex = (value: number): string => `0x${value.toString(16)}`;

/** What there is: version, fingerprint, regions and types; or pictures of the types that were named. */
export function show(source: Source, names: readonly string[], target: Target, json: boolean): string {
  const { unit, fingerprint } = source;
  const types = findTypes(unit, names);
  if (names.length > 0 && !json) return asciiEmitter.emit({ ...unit, types }, { target });
  const sizes = types.map((type) => ({
    name: type.name,
    kind: type.kind,
    size: byteSize(resolve(type, target)),
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
    ...sizes.map((item) => `  ${item.name.padEnd(width)} ${String(item.size).padStart(6)}  ${item.doc}`.trimEnd()),
    '',
    'instar abi show TYPE draws a type; instar abi emit writes it in other languages.',
    '',
  ].join('\n');
}
