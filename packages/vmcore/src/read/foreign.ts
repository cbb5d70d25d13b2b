/** Bytes at the start of a file that is no dump, or none that is read: what it is, and what to do. */
interface Foreign {
  readonly start: string;
  readonly offset?: number;
  readonly what: string;
  readonly remedy: string;
}

const unpack = (start: string, what: string, command: string): Foreign => ({
  start,
  what: `is packed by ${what}`,
  remedy: `what is in it: unpack it first (${command})`,
});

const WINDOWS_REMEDY = "an ELF or kdump dump, as QEMU's dump-guest-memory writes it; WinDbg reads this one";

/** Signatures as Latin-1 text. */
const FOREIGN: readonly Foreign[] = [
  unpack('\x28\xb5\x2f\xfd', 'zstd', 'zstd -d'),
  unpack('\x1f\x8b', 'gzip', 'gzip -d'),
  unpack('\xfd7zXZ\0', 'xz', 'xz -d'),
  unpack('BZh', 'bzip2', 'bzip2 -d'),
  unpack('\x04\x22\x4d\x18', 'lz4', 'lz4 -d'),
  unpack('\x89LZO\0', 'lzop', 'lzop -d'),
  unpack('7z\xbc\xaf\x27\x1c', '7-Zip', '7z x'),
  unpack('PK\x03\x04', 'zip', 'unzip'),
  { start: 'ustar', offset: 257, what: 'is a tar archive', remedy: 'what is in it: unpack it first (tar -x)' },
  {
    start: 'EMiL',
    what: 'is a memory image of LiME or AVML',
    remedy: 'a dump: take it with format=padded or convert it to raw memory, then use wrap FILE@0',
  },
  { start: 'PAGEDU64', what: 'is a crash dump of Windows', remedy: WINDOWS_REMEDY },
  { start: 'PAGEDUMP', what: 'is a crash dump of Windows', remedy: WINDOWS_REMEDY },
  { start: 'MDMP', what: 'is a minidump of a process', remedy: 'the dump of a machine' },
  {
    start: 'QEVM',
    what: 'is the saved state of a QEMU machine',
    remedy: 'a dump: load the state and use dump-guest-memory',
  },
  {
    start: 'LibvirtQemudSave',
    what: 'is a machine that libvirt saved',
    remedy: 'a dump: restore it and use virsh dump --memory-only',
  },
  {
    start: '\xa8\x19\x01\x73\x61\x8f\x23\xfd',
    what: 'is a stand-alone dump of s390',
    remedy: 'an ELF vmcore: convert it with zgetdump -f elf',
  },
  { start: 'QFI\xfb', what: 'is a qcow2 disk image', remedy: 'a dump of memory; instar info reads disk images' },
  { start: '\xd2\xbe\xd2\xbe', what: 'is a suspended machine of VMware', remedy: 'an ELF vmcore: use vmss2core -N' },
  { start: '\xd0\xbe\xd2\xbe', what: 'is a suspended machine of VMware', remedy: 'an ELF vmcore: use vmss2core -N' },
];

/** Bytes that are enough to tell. */
export const FOREIGN_BYTES = 512;

/** What a file is that is no dump, by its first bytes. */
export function foreignFile(start: Uint8Array): { readonly what: string; readonly remedy: string } | undefined {
  const text = Buffer.from(start).toString('latin1');
  return FOREIGN.find((foreign) => text.startsWith(foreign.start, foreign.offset ?? 0));
}
