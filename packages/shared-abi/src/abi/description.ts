import { type Interface, isNamed, type NamedConstant, type NamedDescription } from '@instar/layout/emit';
import type { ConstantSet, Description } from '@instar/layout';
import * as bench from './bench.js';
import * as callTable from './call-table.js';
import * as chain from './chain-config.js';
import * as codes from './codes.js';
import * as ring from './command-ring.js';
import * as convert from './convert-config.js';
import * as edits from './edits.js';
import * as formats from './formats.js';
import * as image from './guest-image.js';
import * as items from './items.js';
import * as map from './memory-map.js';
import * as operations from './operations.js';
import * as results from './results.js';
import * as sandbox from './sandbox-boot.js';
import * as secrets from './secrets.js';
import * as version from './version.js';

/** The whole ABI as data: what the emitters write and the fingerprint is taken over. */
export function describeAbi(): Interface {
  const modules: readonly object[] = [
    version,
    map,
    codes,
    formats,
    callTable,
    chain,
    convert,
    ring,
    results,
    operations,
    edits,
    image,
    items,
    sandbox,
    secrets,
    bench,
  ];
  const constants: NamedConstant[] = [];
  const sets: ConstantSet[] = [];
  const types: NamedDescription[] = [];
  for (const module of modules) {
    for (const [name, value] of Object.entries(module) as [string, unknown][]) {
      if (typeof value === 'number' || typeof value === 'bigint') constants.push({ name, value });
      else if (isSet(value)) sets.push(value);
      else if (isDescription(value) && isNamed(value)) types.push(value);
    }
  }
  const number = `${version.ABI_VERSION_MAJOR}.${version.ABI_VERSION_MINOR}`;
  // Module namespaces have no order that survives bundling: names give one, so that the fingerprint is stable.
  const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1);
  return {
    title: `ABI ${number}`,
    version: number,
    regions: map.MEMORY_MAP,
    constants: constants.sort(byName),
    sets: sets.sort(byName),
    types: types.sort(byName),
  };
}

function isSet(value: unknown): value is ConstantSet {
  return typeof value === 'object' && value !== null && 'values' in value && 'docs' in value;
}

function isDescription(value: unknown): value is Description {
  return typeof value === 'object' && value !== null && 'kind' in value && 'name' in value;
}
