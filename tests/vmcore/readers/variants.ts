import { type Compression, type WriteOptions, providedImage, writeDump } from '@instar/vmcore';

import {
  AARCH64,
  AARCH64_BIG,
  I386,
  type InventedMachine,
  S390X,
  X86_64,
  X86_64_BARE,
  X86_64_FRAGMENTED,
  X86_64_UNNAMED,
} from './machines.js';

/** A kind of dump that `@instar/vmcore` writes. */
export interface DumpVariant {
  readonly name: string;
  readonly machine: InventedMachine;
  readonly options: WriteOptions & { readonly flattened: boolean };
}

const COMPRESSIONS: readonly Compression[] = ['none', 'zlib', 'lzo', 'snappy', 'zstd'];
/** Always the same, so that equal dumps are equal files. */
const TIME = new Date(1_775_000_000_000);

function variant(
  machine: InventedMachine,
  format: 'elf' | 'kdump',
  flattened: boolean,
  compression?: Compression,
): DumpVariant {
  const kind = format === 'elf' ? 'ELF' : `kdump, ${compression ?? 'zlib'}`;
  return {
    name: `${machine.name}: ${kind}${flattened ? ', flattened' : ''}`,
    machine,
    options: { format, compression, flattened, time: TIME, threads: 1 },
  };
}

function everyFormat(machine: InventedMachine): DumpVariant[] {
  return [false, true].flatMap((flattened) => [
    variant(machine, 'elf', flattened),
    ...COMPRESSIONS.map((compression) => variant(machine, 'kdump', flattened, compression)),
  ]);
}

export const VARIANTS: readonly DumpVariant[] = [
  ...[X86_64, I386, AARCH64, AARCH64_BIG, S390X].flatMap(everyFormat),
  ...[X86_64_BARE, X86_64_UNNAMED].flatMap((machine) => [
    variant(machine, 'elf', false),
    variant(machine, 'kdump', false, 'zlib'),
  ]),
  variant(X86_64_FRAGMENTED, 'elf', false),
  variant(X86_64_FRAGMENTED, 'kdump', false, 'lzo'),
];

/** Writes a dump of that kind. */
export async function writeVariant({ machine, options }: DumpVariant, file: string): Promise<void> {
  await writeDump(providedImage(machine.provider), { file }, options);
}
