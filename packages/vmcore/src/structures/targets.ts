import { codec, i386, s390x, x86_64, type Codec, type Endian, type Target, type Type } from '@instar/layout';

/** Bits of a machine's words: the class of its ELF files. */
export type WordBits = 32 | 64;

/** i386's alignment with the other byte order; QEMU packs its 32-bit structures, which comes to the same. */
const ilp32BigEndian: Target = { ...i386, name: 'ilp32_be', endian: 'big' };

/** The layout rules under which a dump's own structures are written. */
export function dumpTarget(endian: Endian, wordBits: WordBits): Target {
  if (wordBits === 64) return endian === 'little' ? x86_64 : s390x;
  return endian === 'little' ? i386 : ilp32BigEndian;
}

const codecs = new WeakMap<object, Map<Target, unknown>>();

/** A codec that is made once for each type and target. */
export function structureCodec<T>(type: Type<T>, target: Target): Codec<T> {
  let ofType = codecs.get(type);
  if (ofType === undefined) codecs.set(type, (ofType = new Map<Target, unknown>()));
  let found = ofType.get(target) as Codec<T> | undefined;
  if (found === undefined) ofType.set(target, (found = codec(type, target)));
  return found;
}
