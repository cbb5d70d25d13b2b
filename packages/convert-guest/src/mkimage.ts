import {
  ABI_VERSION_MAJOR,
  ABI_VERSION_MINOR,
  FAULT,
  FINGERPRINT,
  GUEST_IMAGE_MAGIC,
  GUEST_IMAGE_MAX_SEGMENTS,
  GUEST_IMAGE_VERSION,
  GuestImageHeader,
  GuestSegment,
  PAGE_SIZE,
  ProcessRecord,
  SEGMENT_FLAG,
  region,
} from '@instar/shared-abi';
import { digestOfProgram } from './build-id.js';
import { readElf, type LoadSegment } from './elf.js';

export { withBuildId } from './build-id.js';

/** A linked program that cannot become a guest image. */
export class GuestImageError extends Error {
  override readonly name = 'GuestImageError';
  readonly code = 'BAD_GUEST_PROGRAM';
}

const page = BigInt(PAGE_SIZE);

function alignUp(value: bigint): bigint {
  return ((value + page - 1n) / page) * page;
}

function checkSegments(segments: readonly LoadSegment[], entry: bigint): void {
  const { start, size } = region('image');
  const end = BigInt(start) + BigInt(size);
  if (segments.length === 0 || segments.length > GUEST_IMAGE_MAX_SEGMENTS) {
    throw new GuestImageError(`${segments.length} load segments, expected 1 to ${GUEST_IMAGE_MAX_SEGMENTS}`);
  }
  let next = BigInt(start);
  for (const segment of [...segments].sort((a, b) => Number(a.address - b.address))) {
    const place = `segment at 0x${segment.address.toString(16)}`;
    if (segment.address % page !== 0n) throw new GuestImageError(`${place} does not begin on a page`);
    if (segment.address < next) throw new GuestImageError(`${place} overlaps the one before it or the map`);
    // The extent in memory counts, not the file's: a grown .bss must not run over its neighbours.
    next = alignUp(segment.address + segment.memorySize);
    if (next > end) throw new GuestImageError(`${place} ends at 0x${next.toString(16)}, beyond 0x${end.toString(16)}`);
    const { WRITE, EXECUTE } = SEGMENT_FLAG.values;
    if ((segment.flags & (WRITE | EXECUTE)) === (WRITE | EXECUTE)) {
      throw new GuestImageError(`${place} is writable and executable`);
    }
  }
  const inText = segments.some(
    (segment) =>
      (segment.flags & SEGMENT_FLAG.values.EXECUTE) !== 0 &&
      entry >= segment.address &&
      entry < segment.address + segment.memorySize,
  );
  if (!inText) throw new GuestImageError(`the entry point 0x${entry.toString(16)} is in no executable segment`);
}

/**
 * Makes a guest image file from a statically linked ELF64 program. The image's process record holds the fault code
 * STARTUP and the entry PC; the register set, which depends on the backend's target, is not written.
 * @throws GuestImageError when the program does not fit the memory map.
 */
export function makeGuestImage(program: Uint8Array): Uint8Array {
  const { entry, segments } = readElf(program);
  checkSegments(segments, entry);
  const segmentsOffset = GuestImageHeader.size;
  const recordOffset = segmentsOffset + segments.length * GuestSegment.size;
  let fileSize = recordOffset + ProcessRecord.size;
  const placed = segments.map((segment) => {
    const offset = fileSize;
    fileSize += Number(segment.fileSize);
    return { segment, offset };
  });
  const image = new Uint8Array(fileSize);
  image.set(
    GuestImageHeader.encode({
      magic: GUEST_IMAGE_MAGIC,
      header_version: GUEST_IMAGE_VERSION,
      abi_major: ABI_VERSION_MAJOR,
      abi_minor: ABI_VERSION_MINOR,
      segment_count: segments.length,
      segments_offset: BigInt(segmentsOffset),
      process_record_offset: BigInt(recordOffset),
      process_record_size: BigInt(ProcessRecord.size),
      fingerprint: FINGERPRINT,
      build_id: digestOfProgram(program),
      file_size: BigInt(fileSize),
    }),
    0,
  );
  placed.forEach(({ segment, offset }, index) => {
    image.set(
      GuestSegment.encode({
        flags: segment.flags,
        address: segment.address,
        memory_size: segment.memorySize,
        file_offset: BigInt(offset),
        file_size: segment.fileSize,
      }),
      segmentsOffset + index * GuestSegment.size,
    );
    const start = Number(segment.fileOffset);
    image.set(program.subarray(start, start + Number(segment.fileSize)), offset);
  });
  image.set(ProcessRecord.encode({ fault_code: FAULT.values.STARTUP, fault_info: entry }), recordOffset);
  return image;
}
