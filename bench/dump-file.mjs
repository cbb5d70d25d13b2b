// A dump of a made-up machine: a third of its pages are zeros, half hold a program's bytes, the rest are random. It has
// what makedumpfile wants of a Linux dump: page tables, the system's name, and VMCOREINFO that tells where they are.
import { providedImage, writeDump } from '@instar/vmcore';
import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';

const PAGE = 4096;
/** Page frame numbers: name of the system, and three levels of page tables. */
const [UTSNAME, TOP, MIDDLE, LOW] = [0x2000, 0x2002, 0x2003, 0x2004];

const VMCOREINFO = [
  'OSRELEASE=6.1.0-bench',
  'PAGESIZE=4096',
  'SYMBOL(swapper_pg_dir)=ffffffff82002000',
  'SYMBOL(init_top_pgt)=ffffffff82002000',
  'SYMBOL(init_uts_ns)=ffffffff82000000',
  'SYMBOL(_stext)=ffffffff81000000',
  'SYMBOL(mem_map)=ffffffff82001000',
  'SYMBOL(contig_page_data)=ffffffff82001800',
  'KERNELOFFSET=0',
  'NUMBER(phys_base)=0',
  'OFFSET(uts_namespace.name)=4',
  'SIZE(page)=64',
  ...['flags=0', '_refcount=52', 'mapping=24', 'lru=8', '_mapcount=48', 'private=40', 'compound_head=8'].map((member) =>
    member.replace(/^(\w+)/, 'OFFSET(page.$1)'),
  ),
  'SIZE(list_head)=16',
  'SIZE(pglist_data)=172032',
  'SIZE(zone)=1664',
  'SIZE(free_area)=104',
  ...['node_zones=0', 'nr_zones=1', 'node_start_pfn=2', 'node_spanned_pages=3'].map((member) =>
    member.replace(/^(\w+)/, 'OFFSET(pglist_data.$1)'),
  ),
  '',
].join('\n');

function fillSpecial(number, page) {
  const words = new DataView(page.buffer, page.byteOffset, PAGE);
  page.fill(0);
  if (number === UTSNAME) {
    ['Linux', 'bench', '6.1.0-bench', '#1', 'x86_64', 'd'].forEach((word, index) => {
      page.set(Buffer.from(word), 4 + 65 * index);
    });
  } else if (number === TOP) words.setBigUint64(511 * 8, BigInt(MIDDLE * PAGE) | 3n, true);
  else if (number === MIDDLE) words.setBigUint64(510 * 8, BigInt(LOW * PAGE) | 3n, true);
  else if (number === LOW) {
    for (let index = 0; index < 512; index += 1) words.setBigUint64(index * 8, (BigInt(index) << 21n) | 0x83n, true);
  } else return false;
  return true;
}

/** Writes an ELF dump of so many bytes of memory. */
export async function writeBenchDump(file, size) {
  const program = readFileSync(process.execPath);
  const noise = randomFillSync(new Uint8Array(8 << 20));
  const image = providedImage({
    machine: 'x86_64',
    ranges: [{ start: 0n, length: BigInt(size) }],
    cpus: [{ registers: { rip: 0xffff_ffff_8100_0000n } }],
    vmcoreinfo: VMCOREINFO,
    read(address, target) {
      for (let at = 0; at < target.length; at += PAGE) {
        const number = Number((address + BigInt(at)) / BigInt(PAGE));
        const page = target.subarray(at, at + PAGE);
        if (fillSpecial(number, page)) continue;
        const source = number % 6 < 5 ? program : noise;
        const from = (number * PAGE) % (source.length - PAGE);
        if (number % 6 < 2) page.fill(0);
        else page.set(source.subarray(from, from + PAGE));
      }
    },
  });
  await writeDump(image, { file }, { format: 'elf' });
}
