import { providedImage, writeDump, type MemoryImage, type WriteOptions } from '@instar/vmcore';
import { Random } from '../support/random.js';
import type { Workdir } from '../support/workdir.js';

/** Bytes of the memory of these dumps. */
export const MEMORY_SIZE = 64 * 4096;

/** Pages of text, of zeros and of noise in turn. */
export function memoryContent(): Buffer {
  const memory = Buffer.alloc(MEMORY_SIZE);
  const random = new Random(11);
  for (let page = 0; page < 64; page += 1) {
    const at = page * 4096;
    if (page % 3 === 0) memory.fill(`page ${page} of a guest. `, at, at + 4096);
    if (page % 3 === 1) random.bytes(4096).copy(memory, at);
  }
  return memory;
}

/** A machine with one CPU, memory at 1 MiB, and escapes of a terminal in its VMCOREINFO. */
export function machine(): MemoryImage {
  const memory = memoryContent();
  const base = 0x10_0000n;
  return providedImage({
    machine: 'x86_64',
    ranges: [{ start: base, length: BigInt(MEMORY_SIZE) }],
    read: (address, target) => {
      memory.copy(target, 0, Number(address - base));
    },
    cpus: [{ registers: { rip: 0xffff_ffff_8100_1234n, rsp: 0x7000n } }],
    vmcoreinfo: 'OSRELEASE=6.1.0-\u001b[31mred\nPAGESIZE=4096\nNUMBER(phys_base)=4096\n',
  });
}

/** Writes dumps of the machine: `dump.elf` and `dump.kdump`. @param below directory of them, ending in a slash */
export async function withDumps(directory: Workdir, below = ''): Promise<Workdir> {
  const write = async (name: string, options: WriteOptions): Promise<unknown> =>
    writeDump(machine(), { file: directory.file(`${below}${name}`) }, options);
  await write('dump.elf', { format: 'elf' });
  await write('dump.kdump', { format: 'kdump', compression: 'zlib' });
  return directory;
}
