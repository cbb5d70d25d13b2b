/** Where a header of a Windows crash dump has what (bytes), as QEMU's win_dump_defs.h and WinDbg have it. */
export interface WindowsHeader {
  /** Bytes of the header; memory follows it. */
  readonly size: number;
  /** Bytes of addresses and of counts of pages. */
  readonly wordBytes: 4 | 8;
  readonly runCount: number;
  readonly pageCount: number;
  /** Runs of pages, each the number of its first page and how many it has. */
  readonly runs: number;
  readonly dumpType: number;
  readonly requiredSpace: number;
}

/** `DUMP_HEADER64`, with the signature PAGEDU64. */
const HEADER64: WindowsHeader = {
  size: 0x2000,
  wordBytes: 8,
  runCount: 0x88,
  pageCount: 0x90,
  runs: 0x98,
  dumpType: 0xf98,
  requiredSpace: 0xfa0,
};

/** `DUMP_HEADER32`, with the signature PAGEDUMP. */
const HEADER32: WindowsHeader = {
  size: 0x1000,
  wordBytes: 4,
  runCount: 0x64,
  pageCount: 0x68,
  runs: 0x6c,
  dumpType: 0xf88,
  requiredSpace: 0xfa0,
};

/** Most runs that a header has room for: 704 and 700 bytes with their counts. */
export const MAX_WINDOWS_RUNS = { 4: 86, 8: 43 } as const;
/** DUMP_TYPE_FULL. */
export const WINDOWS_FULL_DUMP = 1;
/** Bytes of a page, in 32 and 64 bits alike. */
export const WINDOWS_PAGE = 4096;

/** Which header some bytes begin with; undefined for none. */
export function windowsHeaderOf(bytes: Uint8Array): WindowsHeader | undefined {
  const signature = Buffer.from(bytes.subarray(0, 8)).toString('latin1');
  if (signature === 'PAGEDU64') return HEADER64;
  return signature === 'PAGEDUMP' ? HEADER32 : undefined;
}
