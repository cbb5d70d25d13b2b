// Words of coreutils' dd in command lines that people paste. What asks for something that is done anyway is taken; of the
// rest it is said why it is not.

/** Words of `conv=` that are taken. `notrunc` needs `seek=`, which says that the rest of the output stays. */
export const CONVERSIONS = ['sparse', 'fsync', 'fdatasync', 'notrunc'] as const;
/** Words of `iflag=` that are taken: short reads are always read on. */
export const INPUT_FLAGS = ['fullblock'] as const;

/** Why a word is refused, and what to write instead. */
export const REFUSED_WORDS: Readonly<Record<string, string>> = {
  append: 'bytes are never appended: seek= writes into a file at a place',
  direct: 'files are read and written through the page cache: leave it out',
  dsync: 'the output is synced once, when it is complete: leave it out',
  sync: 'the output is synced when it is complete, and a block is never padded: leave it out',
  excl: 'write --no-clobber to refuse an output that exists',
  nocreat: 'an output is always created where there is none: leave it out',
  noerror:
    'a copy that goes on after an error is not a copy: leave it out, or copy the good parts with skip= and count=',
  nocache: 'the page cache is left to the system: leave it out',
  noatime: 'times of access are left to the system: leave it out',
  nofollow: 'names that you give are followed: name the file itself',
  skip_bytes: 'write bs=1 for places in bytes',
  count_bytes: 'write bs=1 for counts in bytes',
  seek_bytes: 'write bs=1 for places in bytes',
  ascii: 'bytes are copied as they are',
  ebcdic: 'bytes are copied as they are',
  ibm: 'bytes are copied as they are',
  block: 'bytes are copied as they are',
  unblock: 'bytes are copied as they are',
  lcase: 'bytes are copied as they are',
  ucase: 'bytes are copied as they are',
  swab: 'bytes are copied as they are',
};
