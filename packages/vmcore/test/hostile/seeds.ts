import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeDump, type Compression, type Machine, type WriteOptions } from '../../src/index.js';
import { madeUpImage, type MemoryMap } from '../support/memory.js';

/** A small dump of each kind, to be damaged. */
export interface Seed {
  readonly name: string;
  readonly bytes: Buffer;
}

const map: MemoryMap = {
  seed: 7,
  pageSize: 4096,
  ranges: [
    { start: 0n, length: 6n * 4096n },
    { start: 0x10_0123n, length: 5000n },
    { start: 0x80_0000n, length: 9n * 4096n },
  ],
};

const vmcoreinfo = 'OSRELEASE=6.1.0\nPAGESIZE=4096\nNUMBER(phys_base)=0\n';
const registers: Readonly<Partial<Record<Machine, string>>> = { x86_64: 'rip', s390x: 'psw_addr', i386: 'eip' };

/** Every format, width, byte order and codec. */
export async function makeSeeds(): Promise<Seed[]> {
  const directory = mkdtempSync(join(tmpdir(), 'instar-seeds-'));
  const codecs: readonly Compression[] = ['none', 'zlib', 'lzo', 'snappy', 'zstd'];
  const formats: readonly WriteOptions[] = [
    { format: 'elf' },
    { format: 'elf', flattened: true },
    ...codecs.map((compression) => ({ format: 'kdump', compression }) as const),
    { format: 'kdump', flattened: true },
    { format: 'kdump', part: { startPfn: 0n, endPfn: 0x802n } },
  ];
  const seeds: Seed[] = [];
  for (const machine of ['x86_64', 's390x', 'i386'] as const) {
    const image = madeUpImage(map, {
      machine,
      vmcoreinfo,
      cpus: [{ registers: { [registers[machine] ?? '']: 0x1000n } }],
    });
    for (const [index, options] of formats.entries()) {
      const file = join(directory, 'seed');
      await writeDump(image, { file }, { ...options, time: new Date(0) });
      seeds.push({ name: `${machine}-${index}-${options.format}`, bytes: readFileSync(file) });
    }
  }
  rmSync(directory, { recursive: true });
  return seeds;
}
