import { ReaderRefusal, complaint, limited } from './reading.js';

/** A program header, as readelf shows it. */
export interface ShownSegment {
  readonly type: string;
  readonly offset: bigint;
  readonly virtual: bigint;
  readonly physical: bigint;
  readonly fileSize: bigint;
  readonly memorySize: bigint;
}

/** A note, as readelf shows it. */
export interface ShownNote {
  readonly owner: string;
  /** Bytes of the descriptor. */
  readonly size: number;
}

/** An ELF file as readelf shows it. */
export interface ShownElf {
  readonly elfClass: string;
  readonly data: string;
  readonly type: string;
  readonly machine: string;
  readonly segments: readonly ShownSegment[];
  readonly notes: readonly ShownNote[];
  /** What it complains about. */
  readonly warnings: readonly string[];
}

const field = (text: string, name: string): string =>
  new RegExp(`^ *${name}: +(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';

/** Header, program headers and notes by readelf. @throws ReaderRefusal */
export function readElf(file: string): ShownElf {
  const finished = limited(['readelf', '-hlnW', file]);
  const { stdout, stderr } = finished;
  if (field(stdout, 'Class') === '') throw new ReaderRefusal('readelf', complaint(finished));
  const hexadecimal = (text: string | undefined): bigint => BigInt(text ?? '0');
  const segments = [
    ...stdout.matchAll(/^ +(LOAD|NOTE) +(0x[0-9a-f]+) (0x[0-9a-f]+) (0x[0-9a-f]+) (0x[0-9a-f]+) (0x[0-9a-f]+) /gm),
  ].map(([, type = '', offset, virtual, physical, fileSize, memorySize]) => ({
    type,
    offset: hexadecimal(offset),
    virtual: hexadecimal(virtual),
    physical: hexadecimal(physical),
    fileSize: hexadecimal(fileSize),
    memorySize: hexadecimal(memorySize),
  }));
  const notes = [...stdout.matchAll(/^ {2}(\S+) +0x([0-9a-f]{8})\t/gm)].map(([, owner = '', size = '']) => ({
    owner,
    size: parseInt(size, 16),
  }));
  return {
    elfClass: field(stdout, 'Class'),
    data: field(stdout, 'Data'),
    type: field(stdout, 'Type'),
    machine: field(stdout, 'Machine'),
    segments,
    notes,
    warnings: stderr.split('\n').filter((line) => line !== ''),
  };
}
