import type { ByteSource } from '../source/byte-source.js';
import { bytesAt } from '../source/byte-source.js';
import { readKdumpHeader, shapeOf, type KdumpHeader } from '../read/kdump-header.js';
import { DiskDumpHeader, KdumpSubHeader } from '../structures/diskdump.js';
import { dumpTarget, structureCodec } from '../structures/targets.js';
import { lastPageOf } from './bitmaps.js';
import { bytesPatch, patchedSource } from './patched-source.js';

/** Bytes of disk_dump_header with 64-bit words. */
const HEADER_BYTES = 464;

/** A header that makes sense, and the source in which it does. */
export interface MendedHeader {
  readonly source: ByteSource;
  readonly header: KdumpHeader;
  /** In words. */
  readonly mended: readonly string[];
}

/**
 * Mends what follows from elsewhere in a kdump's headers: how many pages there are, from its bitmaps; and forgets areas
 * that lie outside the file.
 * @throws VmcoreError `BAD_DUMP`, `UNSUPPORTED`, `TRUNCATED`, `TOO_LARGE` where the rest makes no sense
 */
export async function mendHeader(source: ByteSource): Promise<MendedHeader> {
  const block = await bytesAt(source, 0n, HEADER_BYTES, 'disk_dump_header');
  const shape = shapeOf(block, source);
  const target = dumpTarget(shape.byteOrder, shape.wordBits);
  const [codec, subCodec] = [structureCodec(DiskDumpHeader, target), structureCodec(KdumpSubHeader, target)];
  const found = codec.decode(block);
  // Before version 6 the first header alone has the count, and areas came one with each version.
  if (found.header_version < 6 || found.sub_hdr_size === 0) {
    return { source, header: await readKdumpHeader(source), mended: [] };
  }
  const subAt = BigInt(found.block_size);
  const sub = subCodec.decode(await bytesAt(source, subAt, subCodec.size, 'kdump_sub_header'));
  const mended: string[] = [];
  const outside = (offset: bigint, size: bigint): boolean => offset > source.size || size > source.size - offset;
  const areas = [
    ['VMCOREINFO', 'offset_vmcoreinfo', 'size_vmcoreinfo'],
    ['notes', 'offset_note', 'size_note'],
    ['ERASEINFO', 'offset_eraseinfo', 'size_eraseinfo'],
  ] as const;
  let changed = { ...sub };
  for (const [name, offset, size] of areas) {
    if (!outside(sub[offset], sub[size])) continue;
    changed = { ...changed, [offset]: 0n, [size]: 0n };
    mended.push(`${offset} lies outside the file: ${name} are taken as missing`);
  }
  const perBlock = subAt * 8n;
  const blocks = BigInt(found.bitmap_blocks) / 2n;
  const most = blocks * perBlock;
  // Whatever it is, it is less than the bitmaps have room for.
  const all = patchedSource(source, [bytesPatch(subAt, subCodec.encode({ ...changed, max_mapnr_64: most }))]);
  const last = BigInt(await lastPageOf(all, await readKdumpHeader(all), Number(most)));
  const said = sub.max_mapnr_64;
  if (said < last || said > most || said <= most - perBlock) {
    changed = { ...changed, max_mapnr_64: last };
    mended.push(`max_mapnr_64 was ${said}, for bitmaps of ${most} pages: it is ${last}, by the last page in them`);
  }
  if (mended.length === 0) return { source, header: await readKdumpHeader(source), mended };
  const patched = patchedSource(source, [bytesPatch(subAt, subCodec.encode(changed))]);
  return { source: patched, header: await readKdumpHeader(patched), mended };
}
