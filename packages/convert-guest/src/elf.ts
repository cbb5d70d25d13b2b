/** A program header of type PT_LOAD (System V gABI, "Program Header"). */
export interface LoadSegment {
  /** PF_X 1, PF_W 2, PF_R 4. */
  readonly flags: number;
  /** Byte offset in the file. */
  readonly fileOffset: bigint;
  /** Virtual address. */
  readonly address: bigint;
  /** Bytes in the file. */
  readonly fileSize: bigint;
  /** Bytes in memory. */
  readonly memorySize: bigint;
}

/** What is needed of a linked program. */
export interface ElfProgram {
  readonly entry: bigint;
  readonly segments: readonly LoadSegment[];
}

const ELF_MAGIC = 0x464c_457f;
const PT_LOAD = 1;

/**
 * Reads the load segments of a little-endian ELF64 program that this repository has just linked.
 * @throws RangeError when it is something else.
 */
export function readElf(file: Uint8Array): ElfProgram {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.byteLength < 64 || view.getUint32(0, true) !== ELF_MAGIC || view.getUint16(4) !== 0x0201) {
    throw new RangeError('not a little-endian ELF64 file');
  }
  const tableOffset = Number(view.getBigUint64(32, true));
  const entrySize = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  const segments: LoadSegment[] = [];
  for (let index = 0; index < count; index += 1) {
    const at = tableOffset + index * entrySize;
    if (view.getUint32(at, true) !== PT_LOAD) continue;
    const segment = {
      flags: view.getUint32(at + 4, true),
      fileOffset: view.getBigUint64(at + 8, true),
      address: view.getBigUint64(at + 16, true),
      fileSize: view.getBigUint64(at + 32, true),
      memorySize: view.getBigUint64(at + 40, true),
    };
    if (segment.memorySize > 0n) segments.push(segment);
  }
  return { entry: view.getBigUint64(24, true), segments };
}
