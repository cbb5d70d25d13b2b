// The dump that is measured: ELF, as makedumpfile sees it at /proc/vmcore, of the memory of a machine that runs: programs,
// zeros, and noise. What each page holds follows from its number alone.
import { providedImage, writeDump } from '@instar/vmcore';
import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { kernelOf, PAGE, VMCOREINFO } from './dump-kernel.mjs';

/** One page in so many of a sparse dump holds something: it is made in seconds, and has as many pages as any. */
const SPARSE = 64;

/** Writes a dump of so many bytes of memory. @param options `sparse`: nearly all pages are zeros */
export async function writeBenchDump(file, size, { format = 'elf', sparse = false } = {}) {
  const program = readFileSync(process.execPath);
  const noise = randomFillSync(new Uint8Array(8 << 20));
  const fillKernel = kernelOf(size / PAGE);
  const image = providedImage({
    machine: 'x86_64',
    ranges: [{ start: 0n, length: BigInt(size) }],
    cpus: [{ registers: { rip: 0xffff_ffff_8100_0000n } }],
    vmcoreinfo: VMCOREINFO,
    read(address, target) {
      for (let at = 0; at < target.length; at += PAGE) {
        const number = Number((address + BigInt(at)) / BigInt(PAGE));
        const page = target.subarray(at, at + PAGE);
        if (fillKernel(number, page)) continue;
        const source = number % 6 < 5 ? program : noise;
        const from = (number * PAGE) % (source.length - PAGE);
        if (sparse ? number % SPARSE !== 0 : number % 6 < 2) page.fill(0);
        else page.set(source.subarray(from, from + PAGE));
      }
    },
  });
  await writeDump(image, { file }, { format });
}
