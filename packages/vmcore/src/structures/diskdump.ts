import { defineFlags, i32, struct, text, u32, u64, uword } from '@instar/layout';

// The kdump-compressed format, as makedumpfile (diskdump_mod.h) and QEMU (include/sysemu/dump.h) define it.

/** `KDUMP` and three spaces. */
export const KDUMP_SIGNATURE = 'KDUMP   ';
/** Signature of the older diskdump format, which is refused by name. */
export const DISKDUMP_SIGNATURE = 'DISKDUMP';
/** The newest header_version that makedumpfile and QEMU write. */
export const KDUMP_VERSION = 6;

/** Bits of disk_dump_header.status and of page_desc.flags. */
export const KDUMP_FLAG = defineFlags('KdumpFlag', 'How pages are compressed, and what befell the dump.', {
  ZLIB: [0x1, 'zlib'],
  LZO: [0x2, 'LZO1X'],
  SNAPPY: [0x4, 'Snappy'],
  INCOMPLETE: [0x8, 'the dump could not be finished'],
  EXCLUDED_VMEMMAP: [0x10, 'page structures were left out'],
  ZSTD: [0x20, 'zstd'],
});

/** struct new_utsname: each name 65 bytes with its NUL. */
export const NewUtsname = struct('new_utsname', {
  sysname: text(65),
  nodename: text(65),
  release: text(65),
  version: text(65),
  machine: text(65),
  domainname: text(65),
});

/** struct timeval. */
export const Timeval = struct('timeval', { tv_sec: uword, tv_usec: uword });

/** disk_dump_header: 464 bytes with 64-bit words, 452 with 32-bit ones. */
export const DiskDumpHeader = struct('disk_dump_header', {
  signature: text(8),
  header_version: i32,
  utsname: NewUtsname,
  timestamp: Timeval,
  status: u32,
  block_size: u32,
  sub_hdr_size: u32,
  bitmap_blocks: u32,
  max_mapnr: u32,
  total_ram_blocks: u32,
  device_blocks: u32,
  written_blocks: u32,
  current_cpu: u32,
  nr_cpus: u32,
});

/** kdump_sub_header: 104 bytes with 64-bit words, 80 with 32-bit ones (offsets have 64 bits in both). */
export const KdumpSubHeader = struct('kdump_sub_header', {
  phys_base: uword,
  dump_level: u32,
  split: u32,
  start_pfn: uword,
  end_pfn: uword,
  offset_vmcoreinfo: u64,
  size_vmcoreinfo: uword,
  offset_note: u64,
  size_note: uword,
  offset_eraseinfo: u64,
  size_eraseinfo: uword,
  start_pfn_64: u64,
  end_pfn_64: u64,
  max_mapnr_64: u64,
});

/** page_desc: where a page is stored, in how many bytes, and how. */
export const PageDescriptor = struct(
  'page_desc',
  { offset: u64, size: u32, flags: u32, page_flags: u64 },
  { size: 24 },
);

/** Bytes of a page descriptor. */
export const PAGE_DESCRIPTOR_SIZE = 24;
