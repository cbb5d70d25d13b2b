import type { Region } from '../abi/memory-map.js';
import type { ConstantSet } from '../layout/constants.js';
import type { ResolvedField } from '../layout/struct.js';

/** A struct as the emitters see it. */
export interface StructDescription {
  readonly name: string;
  readonly doc: string;
  readonly size: number;
  readonly align: number;
  readonly fields: readonly ResolvedField[];
}

/** An ABI as data. */
export interface AbiDescription {
  readonly version: string;
  readonly regions: readonly Region[];
  readonly constants: { readonly name: string; readonly value: number | bigint }[];
  readonly sets: ConstantSet[];
  readonly structs: StructDescription[];
}

/** Writes an ABI in one language. */
export interface Emitter {
  /** Name of the target language, as the command line spells it. */
  readonly name: string;
  /** The text of one file. */
  emit(abi: AbiDescription, fingerprint: Uint8Array): string;
}
