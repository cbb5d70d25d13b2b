import type { Region } from '@instar/layout';

/** Page size of the guest's address space (bytes); x86-64, 4 KiB translations. */
export const PAGE_SIZE = 0x1000;
/** Size of a large page (bytes); regions that begin on one are mapped with 2 MiB entries. */
export const LARGE_PAGE_SIZE = 0x20_0000;

type RegionSpec = Omit<Region, 'start'> & { readonly align?: number };

function chain(specs: readonly RegionSpec[]): readonly Region[] {
  let next = 0;
  return specs.map(({ name, size, protection, doc, align = PAGE_SIZE }) => {
    const start = Math.ceil(next / align) * align;
    next = start + size;
    return { name, start, size, protection, doc };
  });
}

const guard = (name: string, size = PAGE_SIZE): RegionSpec => ({
  name,
  size,
  protection: 'none',
  doc: 'guard: unmapped',
});

/**
 * The memory map. Each region begins where its neighbour ends (or at the next multiple of its alignment), so there is
 * one anchor only: address 0.
 */
export const MEMORY_MAP: readonly Region[] = chain([
  { name: 'null_page', size: PAGE_SIZE, protection: 'none', doc: 'never mapped: null pointers fault' },
  {
    name: 'system',
    size: 0x7b000,
    protection: 'supervisor',
    doc: 'descriptor tables, exception stubs, kernel stack and page tables of the KVM backend; invisible at CPL 3',
  },
  guard('system_guard'),
  { name: 'stubs', size: PAGE_SIZE, protection: 'rx', doc: 'doorbell code, written by the backend' },
  guard('stubs_guard'),
  { name: 'call_table', size: PAGE_SIZE, protection: 'r', doc: 'CallTable' },
  { name: 'chain_config', size: PAGE_SIZE, protection: 'r', doc: 'ChainConfig' },
  { name: 'operation_config', size: PAGE_SIZE, protection: 'r', doc: 'the config struct of the operation' },
  { name: 'process_record', size: PAGE_SIZE, protection: 'r', doc: 'ProcessRecord and its register tail' },
  guard('process_record_guard'),
  { name: 'ring', size: 0x4000, protection: 'rw', doc: 'RingHeader, submission and completion entries' },
  guard('ring_guard'),
  { name: 'result', size: 0x1_0000, protection: 'rw', doc: 'the result struct of the operation' },
  guard('result_guard'),
  { name: 'stack', size: 0x4_0000, protection: 'rw', doc: 'stack, grows down' },
  guard('stack_guard'),
  { name: 'worker_stack', size: 0x4_0000, protection: 'rw', doc: 'stack of a second processor, grows down' },
  guard('worker_stack_guard'),
  {
    name: 'image',
    size: 0x40_0000,
    protection: 'image',
    align: LARGE_PAGE_SIZE,
    doc: 'segments of the guest image, each with its own protection',
  },
  guard('image_guard', LARGE_PAGE_SIZE),
  { name: 'heap', size: 0x200_0000, protection: 'rw', align: LARGE_PAGE_SIZE, doc: "the guest's heap" },
  guard('heap_guard', LARGE_PAGE_SIZE),
  {
    name: 'windows',
    size: 0x200_0000,
    protection: 'rw',
    align: LARGE_PAGE_SIZE,
    doc: 'I/O windows: the only memory that READ fills and WRITE takes from',
  },
  guard('windows_guard', LARGE_PAGE_SIZE),
  {
    name: 'keys',
    size: LARGE_PAGE_SIZE,
    protection: 'rw',
    align: LARGE_PAGE_SIZE,
    doc: 'SecretsConfig, and what the guest makes of it: never dumped; a run may have more of it behind its end',
  },
]);

/** Looks a region of the map up by name. */
export function region(name: string): Region {
  const found = MEMORY_MAP.find((item) => item.name === name);
  if (found === undefined) {
    throw new RangeError(`no region named ${name} in the memory map`);
  }
  return found;
}

/** Bytes of guest memory that a dump holds: from address 0 to the end of the windows. Keys lie behind them. */
export const MEMORY_SIZE: number = region('windows').start + region('windows').size;

/** Address of the operation's config page. */
export const OPERATION_CONFIG_ADDR: number = region('operation_config').start;
/** Bytes that a config may take. */
export const OPERATION_CONFIG_MAX_SIZE: number = region('operation_config').size;
