import type { AbiDescription } from '../emit/emitter.js';
import * as callTable from './call-table.js';
import * as chain from './chain-config.js';
import * as codes from './codes.js';
import * as ring from './command-ring.js';
import * as convert from './convert-config.js';
import * as image from './guest-image.js';
import * as map from './memory-map.js';
import * as results from './results.js';
import * as sandbox from './sandbox-boot.js';
import * as version from './version.js';

/** The whole ABI as data: what the emitters write and the fingerprint is taken over. */
export function describeAbi(): AbiDescription {
  const modules: readonly object[] = [version, map, codes, callTable, chain, convert, ring, results, image, sandbox];
  const description: AbiDescription = {
    version: `${version.ABI_VERSION_MAJOR}.${version.ABI_VERSION_MINOR}`,
    regions: map.MEMORY_MAP,
    constants: [],
    sets: [],
    structs: [],
  };
  for (const module of modules) {
    for (const [name, value] of Object.entries(module) as [string, unknown][]) {
      if (typeof value === 'number' || typeof value === 'bigint') {
        description.constants.push({ name, value });
      } else if (isSet(value)) {
        description.sets.push(value);
      } else if (isStruct(value)) {
        description.structs.push(value);
      }
    }
  }
  // Module namespaces have no order that survives bundling: names give one, so that the fingerprint is stable.
  const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1);
  description.constants.sort(byName);
  description.sets.sort(byName);
  description.structs.sort(byName);
  return description;
}

function isSet(value: unknown): value is AbiDescription['sets'][number] {
  return typeof value === 'object' && value !== null && 'values' in value && 'docs' in value;
}

function isStruct(value: unknown): value is AbiDescription['structs'][number] {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'struct';
}
