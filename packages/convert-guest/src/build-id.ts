import { createHash } from 'node:crypto';
import { readElf } from './elf.js';

/** An ELF note of type NT_GNU_BUILD_ID with a descriptor of 20 bytes, up to the descriptor. */
const NOTE_HEAD = Buffer.from([4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 0x47, 0x4e, 0x55, 0]);
const ID_SIZE = 20;

/**
 * SHA-256 over the entry point and the load segments of a program: over what runs, not over its symbols, whose paths
 * depend on where it was built.
 */
export function digestOfProgram(program: Uint8Array): Buffer {
  const { entry, segments } = readElf(program);
  const hash = createHash('sha256').update(`entry ${entry}\n`);
  for (const { address, flags, memorySize, fileOffset, fileSize } of segments) {
    const start = Number(fileOffset);
    hash.update(`segment ${address} ${flags} ${memorySize} ${fileSize}\n`);
    hash.update(program.subarray(start, start + Number(fileSize)));
  }
  return hash.digest();
}

/**
 * A copy of a program whose empty GNU build-id note holds the first 20 bytes of its digest; a program without such a
 * note comes back as it is.
 */
export function withBuildId(program: Uint8Array): Uint8Array {
  const copy = Buffer.from(program);
  const note = copy.indexOf(Buffer.concat([NOTE_HEAD, Buffer.alloc(ID_SIZE)]));
  if (note >= 0) digestOfProgram(program).copy(copy, note + NOTE_HEAD.length, 0, ID_SIZE);
  return copy;
}
