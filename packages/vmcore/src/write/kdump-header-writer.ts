import type { MemoryImage, Utsname } from '../image.js';
import { encodeNote, ERASEINFO_NOTE } from '../notes/note.js';
import { findVmcoreInfo, VMCOREINFO_NOTE } from '../notes/vmcoreinfo.js';
import { DiskDumpHeader, KDUMP_FLAG, KDUMP_SIGNATURE, KDUMP_VERSION, KdumpSubHeader } from '../structures/diskdump.js';
import { machineOfUtsname, utsnameOfMachine } from '../structures/machines.js';
import { CORE_NOTE, NT_PRSTATUS } from '../structures/prstatus.js';
import { dumpTarget, structureCodec } from '../structures/targets.js';
import type { Compression } from './page-pipeline.js';

/** Part of a split dump: page frame numbers, the second behind the last. */
export interface SplitPart {
  readonly startPfn: bigint;
  readonly endPfn: bigint;
}

/** Where everything lies in a kdump-compressed file (bytes). */
export interface KdumpLayout {
  /** Pages of both bitmaps. */
  readonly maxMapnr: bigint;
  readonly bitmap1: bigint;
  readonly bitmap2: bigint;
  readonly descriptors: bigint;
  /** The headers' own bytes, from the start of the file on. */
  readonly header: Uint8Array;
}

const FLAGS: Readonly<Record<Compression, number>> = {
  none: 0,
  zlib: KDUMP_FLAG.values.ZLIB,
  lzo: KDUMP_FLAG.values.LZO,
  snappy: KDUMP_FLAG.values.SNAPPY,
  zstd: KDUMP_FLAG.values.ZSTD,
};

/** Flags of a page that is compressed so. */
export function flagsOf(compression: Compression): number {
  return FLAGS[compression];
}

const U32_MAX = 0xffff_ffffn;

/**
 * What `uname` said, as far as it is known: the release is in VMCOREINFO. libkdumpfile, and with it drgn, believes the
 * machine's name only beside the sysname Linux, a release and a version (its util.c, uts_looks_sane), and QEMU leaves
 * all three empty, so a dump with the VMCOREINFO of a Linux gets them.
 */
function utsnameOf(image: MemoryImage): Utsname {
  const {
    sysname = '',
    nodename = '',
    release = '',
    version = '',
    machine = '',
    domainname = '',
  } = image.utsname ?? {};
  const osRelease = findVmcoreInfo(image.notes)?.osRelease ?? '';
  const known: Utsname = {
    sysname: sysname === '' && osRelease !== '' ? 'Linux' : sysname,
    nodename,
    release: release === '' ? osRelease : release,
    version: version === '' && osRelease !== '' ? '#1' : version,
    machine: machineOfUtsname(machine) === image.machine ? machine : utsnameOfMachine(image.machine),
    domainname,
  };
  const cut = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 64);
  return {
    sysname: cut(known.sysname),
    nodename: cut(known.nodename),
    release: cut(known.release),
    version: cut(known.version),
    machine: cut(known.machine),
    domainname: cut(known.domainname),
  };
}

/** Plans the file and encodes its headers: disk_dump_header in block 0, kdump_sub_header with the notes in block 1 on. */
export function planKdump(
  image: MemoryImage,
  compression: Compression,
  part: SplitPart | undefined,
  time: Date,
): KdumpLayout {
  const blockSize = image.pageSize;
  const block = BigInt(blockSize);
  const target = dumpTarget(image.byteOrder, image.wordBits);
  const subCodec = structureCodec(KdumpSubHeader, target);
  // What was erased has an area of its own here.
  const notes = image.eraseInfo === undefined ? image.notes : image.notes.filter(({ name }) => name !== ERASEINFO_NOTE);
  const encoded = notes.map((note) => encodeNote(note, image.byteOrder));
  const infoIndex = notes.findIndex((note) => note.name === VMCOREINFO_NOTE);
  const noteBytes = Buffer.concat(encoded.map(({ bytes }) => bytes));
  const noteAt = blockSize + subCodec.size;
  const infoBefore = encoded.slice(0, Math.max(infoIndex, 0)).reduce((sum, { bytes }) => sum + bytes.length, 0);
  const infoAt = infoIndex < 0 ? 0 : noteAt + infoBefore + (encoded[infoIndex]?.descriptorAt ?? 0);
  const eraseAt = noteAt + noteBytes.length;
  const erase = image.eraseInfo ?? new Uint8Array(0);
  const subBlocks = Math.ceil((subCodec.size + noteBytes.length + erase.length) / blockSize);

  const maxMapnr = (image.addressLimit + block - 1n) / block;
  const perBitmap = (maxMapnr + block * 8n - 1n) / (block * 8n);
  const bitmap1 = BigInt(1 + subBlocks) * block;
  const header = new Uint8Array((1 + subBlocks) * blockSize);
  const clamped = maxMapnr > U32_MAX ? U32_MAX : maxMapnr;
  const cpus = image.notes.filter((note) => note.name === CORE_NOTE && note.type === NT_PRSTATUS).length;
  const milliseconds = BigInt(Math.max(time.getTime(), 0));
  structureCodec(DiskDumpHeader, target).encodeInto(header, {
    signature: KDUMP_SIGNATURE,
    header_version: KDUMP_VERSION,
    utsname: utsnameOf(image),
    timestamp: {
      tv_sec: BigInt.asUintN(image.wordBits, milliseconds / 1000n),
      tv_usec: (milliseconds % 1000n) * 1000n,
    },
    status: FLAGS[compression],
    block_size: blockSize,
    sub_hdr_size: subBlocks,
    bitmap_blocks: Number(perBitmap * 2n),
    max_mapnr: Number(clamped),
    nr_cpus: Math.max(cpus, 1),
  });
  const word = (value: bigint): bigint => BigInt.asUintN(image.wordBits, value);
  subCodec.encodeInto(
    header,
    {
      phys_base: word(image.physBase ?? findVmcoreInfo(image.notes)?.physBase ?? 0n),
      dump_level: image.dumpLevel ?? 1,
      split: part === undefined ? 0 : 1,
      start_pfn: word(part?.startPfn ?? 0n),
      end_pfn: word(part?.endPfn ?? 0n),
      offset_vmcoreinfo: BigInt(infoAt),
      size_vmcoreinfo: BigInt(infoIndex < 0 ? 0 : (notes[infoIndex]?.descriptor.length ?? 0)),
      offset_note: noteBytes.length === 0 ? 0n : BigInt(noteAt),
      size_note: BigInt(noteBytes.length),
      offset_eraseinfo: erase.length === 0 ? 0n : BigInt(eraseAt),
      size_eraseinfo: BigInt(erase.length),
      start_pfn_64: part?.startPfn ?? 0n,
      end_pfn_64: part?.endPfn ?? 0n,
      max_mapnr_64: maxMapnr,
    },
    blockSize,
  );
  header.set(noteBytes, noteAt);
  header.set(erase, eraseAt);
  return {
    maxMapnr,
    bitmap1,
    bitmap2: bitmap1 + perBitmap * block,
    descriptors: bitmap1 + 2n * perBitmap * block,
    header,
  };
}
