import { QEMU_IMG } from '../../../../../tests/support/judge.js';
import { CRYPTSETUP, fields, MKE2FS, MKFS_FAT, MKFS_MINIX, MKSWAP, SFDISK, type Format } from './gallery.js';

const EMPTY = 'truncate -s 64M made';
const PARTITION = { seq: fields('status:u1 first_chs:3 kind:u1 last_chs:3 first:u4 sectors:u4') };
const PARTITIONS = { id: 'partitions', type: 'partition', repeat: 'expr', 'repeat-expr': 4 };

/** The boot sector of a PC's disk. */
const mbr: Format = {
  name: 'mbr_sector',
  endian: 'le',
  seq: [
    ...fields('code:440 disk:u4 zeros:u2'),
    PARTITIONS,
    { id: 'magic', contents: [0x55, 0xaa] },
    ...fields('rest:*'),
  ],
  types: { partition: PARTITION },
  maker: SFDISK,
  make: 'truncate -s 2M made; printf "label: dos\\nlabel-id: 0x12345678\\n100,1000,83\\n" | sfdisk -q made',
  known: { disk: 0x12345678, 'partitions.0.first': 100, 'partitions.0.sectors': 1000, 'partitions.0.kind': 0x83 },
  whole: true,
};

/** UEFI 2.10, chapter 5. */
const gpt: Format = {
  name: 'gpt_disk',
  endian: 'le',
  seq: fields('protective:512'),
  types: {
    header: {
      seq: [
        { id: 'magic', contents: 'EFI PART' },
        ...fields('revision:u4 len_header:u4 crc:u4 zeros:u4 own:u8 other:u8 first:u8 last:u8 disk:16 entries:u8'),
        ...fields('num_entries:u4 len_entry:u4 entries_crc:u4'),
      ],
    },
    entry: {
      seq: [
        ...fields('kind:16 id:16 first:u8 last:u8 flags:u8'),
        { id: 'name', type: 'str', size: 72, encoding: 'UTF-16LE' },
      ],
    },
  },
  instances: {
    header: { pos: 512, type: 'header' },
    entries: { pos: 1024, type: 'entry', repeat: 'expr', 'repeat-expr': 4 },
  },
  maker: SFDISK,
  make: 'truncate -s 4M made; printf "label: gpt\\nfirst-lba: 40\\nstart=64, size=100, name=data\\n" | sfdisk -q made',
  known: { 'header.num_entries': 128, 'header.len_entry': 128, 'entries.0.first': 64n, 'entries.0.last': 163n },
  whole: false,
};

/** Microsoft's specification of FAT: the boot sector of FAT12 and FAT16. */
const fat: Format = {
  name: 'fat_boot',
  endian: 'le',
  seq: [
    ...fields(
      'jump:3 system:str8 len_sector:u2 len_cluster:u1 reserved:u2 num_fats:u1 num_roots:u2 num_sectors:u2 media:u1',
    ),
    ...fields(
      'len_fat:u2 len_track:u2 heads:u2 hidden:u4 num_large:u4 drive:u1 dirty:u1 boot:u1 serial:u4 label:str11 kind:str8',
    ),
    ...fields('code:448'),
    { id: 'magic', contents: [0x55, 0xaa] },
    ...fields('rest:*'),
  ],
  maker: MKFS_FAT,
  make: 'truncate -s 4M made; mkfs.fat -F 12 -n MYDISK -i 0badcafe made',
  known: { len_sector: 512, num_fats: 2, serial: 0x0badcafe, label: 'MYDISK     ', kind: 'FAT12   ' },
  whole: true,
};

/** LUKS On-Disk Format 1.2.3. */
const luks: Format = {
  name: 'luks1_header',
  endian: 'be',
  seq: [
    { id: 'magic', contents: ['LUKS', 0xba, 0xbe, 0, 1] },
    { id: 'cipher', type: 'strz', size: 32 },
    { id: 'mode', type: 'strz', size: 32 },
    { id: 'hash', type: 'strz', size: 32 },
    ...fields('payload:u4 len_key:u4 digest:20 salt:32 iterations:u4'),
    { id: 'uuid', type: 'strz', size: 40 },
    { id: 'slots', type: 'slot', repeat: 'expr', 'repeat-expr': 8 },
    ...fields('rest:*'),
  ],
  types: { slot: { seq: fields('active:u4 iterations:u4 salt:32 offset:u4 stripes:u4') } },
  maker: CRYPTSETUP,
  make: `truncate -s 4M made; printf secret | cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 -s 256 made -`,
  known: { cipher: 'aes', mode: 'xts-plain64', len_key: 32, 'slots.0.stripes': 4000 },
  whole: true,
};

/** docs/interop/qcow2 of QEMU: version 2, whose header ends with the number of snapshots. */
const qcow2: Format = {
  name: 'qcow2_header',
  endian: 'be',
  seq: [
    { id: 'magic', contents: ['QFI', 0xfb] },
    ...fields('version:u4 ofs_backing:u8 len_backing:u4 cluster_bits:u4 size:u8 crypt:u4 num_l1:u4 ofs_l1:u8'),
    ...fields('ofs_refcounts:u8 num_refcount_clusters:u4 num_snapshots:u4 ofs_snapshots:u8'),
  ],
  instances: {
    backing: { pos: 'ofs_backing', type: 'str', size: 'len_backing' },
    l1: { pos: 'ofs_l1', type: 'u8', repeat: 'expr', 'repeat-expr': 'num_l1' },
  },
  maker: QEMU_IMG,
  make: 'truncate -s 1M base.raw; qemu-img create -q -f qcow2 -o compat=0.10 -b base.raw -F raw made 8M',
  known: { version: 2, size: 8388608n, cluster_bits: 16, backing: 'base.raw' },
  whole: false,
};

/** VirtualBox's images: signature, version, header. */
const vdi: Format = {
  name: 'vdi_header',
  endian: 'le',
  seq: [
    ...fields(
      'text:64 magic:u4 version:u4 len_header:u4 kind:u4 flags:u4 comment:256 ofs_blocks:u4 ofs_data:u4 cylinders:u4',
    ),
    ...fields(
      'heads:u4 sectors:u4 len_sector:u4 unused:u4 size:u8 len_block:u4 len_extra:u4 num_blocks:u4 num_allocated:u4',
    ),
    ...fields('id:16 snapshot:16 link:16 parent:16 rest:*'),
  ],
  maker: QEMU_IMG,
  make: 'qemu-img create -q -f vdi made 8M',
  known: { magic: 0xbeda107f, size: 8388608n, len_block: 1048576, num_blocks: 8 },
  whole: true,
};

/** Microsoft's Virtual Hard Disk Image Format 1.0: the copy of the footer, and the header of a dynamic disk. */
const vhd: Format = {
  name: 'vhd_dynamic',
  endian: 'be',
  seq: [
    { id: 'cookie', contents: 'conectix' },
    ...fields(
      'features:u4 version:u4 ofs_header:u8 time:u4 creator:str4 creator_version:u4 host:u4 original:u8 size:u8',
    ),
    ...fields('cylinders:u2 heads:u1 sectors:u1 kind:u4 sum:u4 id:16 saved:u1 zeros:427'),
  ],
  types: {
    header: {
      seq: [
        { id: 'cookie', contents: 'cxsparse' },
        ...fields('next:u8 ofs_table:u8 version:u4 num_entries:u4 len_block:u4 sum:u4 parent:16 parent_time:u4'),
      ],
    },
  },
  instances: { header: { pos: 'ofs_header', type: 'header' } },
  maker: QEMU_IMG,
  make: 'qemu-img create -q -f vpc -o force_size=on made 8M',
  known: { kind: 3, size: 8388608n, 'header.len_block': 2097152, 'header.num_entries': 4 },
  whole: false,
};

/** VMware's Virtual Disk Format 1.1: the header of a sparse extent, and the descriptor. */
const vmdk: Format = {
  name: 'vmdk_sparse',
  endian: 'le',
  seq: [
    { id: 'magic', contents: 'KDMV' },
    ...fields('version:u4 flags:u4 capacity:u8 len_grain:u8 ofs_descriptor:u8 len_descriptor:u8 num_entries:u4'),
    ...fields('ofs_copy:u8 ofs_table:u8 overhead:u8 unclean:u1'),
    { id: 'line_ends', contents: [10, 32, 13, 10] },
    ...fields('compression:u2'),
  ],
  instances: { descriptor: { pos: 512, type: 'strz' } },
  maker: QEMU_IMG,
  make: 'qemu-img create -q -f vmdk made 8M',
  known: { capacity: 16384n, len_grain: 128n, num_entries: 512 },
  whole: false,
};

/** docs/interop/qed_spec of QEMU. */
const qed: Format = {
  name: 'qed_header',
  endian: 'le',
  seq: [
    { id: 'magic', contents: ['QED', 0] },
    ...fields(
      'len_cluster:u4 len_table:u4 len_header:u4 features:u8 compatible:u8 autoclear:u8 ofs_l1:u8 size:u8 rest:*',
    ),
  ],
  maker: QEMU_IMG,
  make: 'qemu-img create -q -f qed made 8M',
  known: { len_cluster: 65536, size: 8388608n },
  whole: true,
};

/** docs/interop/parallels of QEMU. */
const parallels: Format = {
  name: 'parallels_header',
  endian: 'le',
  seq: [
    ...fields('magic:str16 version:u4 heads:u4 cylinders:u4 tracks:u4 num_entries:u4 num_sectors:u8 in_use:u4 data:u4'),
    ...fields('flags:u4 extension:u8'),
    { id: 'entries', type: 'u4', repeat: 'expr', 'repeat-expr': 'num_entries' },
    ...fields('rest:*'),
  ],
  maker: QEMU_IMG,
  make: 'qemu-img create -q -f parallels made 8M',
  known: { magic: 'WithouFreSpacExt', num_sectors: 16384n, num_entries: 8 },
  whole: true,
};

/** swap(5) of util-linux: the first page. */
const swap: Format = {
  name: 'swap_space',
  endian: 'le',
  seq: [
    ...fields('boot:1024 version:u4 last_page:u4 num_bad:u4 uuid:16'),
    { id: 'label', type: 'strz', size: 16 },
    ...fields('unused:3018'),
    { id: 'magic', contents: 'SWAPSPACE2' },
    ...fields('rest:*'),
  ],
  maker: MKSWAP,
  make: 'truncate -s 1M made; chmod 600 made; mkswap -L myswap made',
  known: { version: 1, last_page: 255, label: 'myswap' },
  whole: true,
};

/** Linux, fs/ext2/ext2.h: the superblock. */
const ext2: Format = {
  name: 'ext2_super',
  endian: 'le',
  seq: fields('boot:1024'),
  types: {
    super: {
      seq: [
        ...fields(
          'num_inodes:u4 num_blocks:u4 num_reserved:u4 free_blocks:u4 free_inodes:u4 first_block:u4 block_bits:u4',
        ),
        ...fields(
          'fragment_bits:u4 group_blocks:u4 group_fragments:u4 group_inodes:u4 mounted:u4 written:u4 mounts:u2',
        ),
        ...fields('most_mounts:u2 magic:u2 state:u2 errors:u2 minor:u2 checked:u4 interval:u4 creator:u4 revision:u4'),
        ...fields(
          'user:u2 group:u2 first_inode:u4 len_inode:u2 own_group:u2 compatible:u4 incompatible:u4 read_only:u4 uuid:16',
        ),
        { id: 'label', type: 'strz', size: 16 },
      ],
    },
  },
  instances: { super: { pos: 1024, type: 'super' } },
  maker: MKE2FS,
  make: `${EMPTY}; mke2fs -q -t ext2 -b 1024 -L mylabel made`,
  known: { 'super.magic': 0xef53, 'super.block_bits': 0, 'super.num_blocks': 65536, 'super.label': 'mylabel' },
  whole: false,
};

/** Linux, include/uapi/linux/minix_fs.h: the superblock of version 1. */
const minix: Format = {
  name: 'minix_super',
  endian: 'le',
  seq: [
    ...fields(
      'boot:1024 num_inodes:u2 num_zones:u2 inode_blocks:u2 zone_blocks:u2 first_zone:u2 zone_bits:u2 most:u4 magic:u2',
    ),
    ...fields('state:u2 rest:*'),
  ],
  maker: MKFS_MINIX,
  make: 'truncate -s 1M made; mkfs.minix -1 -n 30 -i 64 made',
  known: { magic: 0x138f, num_zones: 1024, num_inodes: 64 },
  whole: true,
};

export const DISKS: readonly Format[] = [mbr, gpt, fat, luks, qcow2, vdi, vhd, vmdk, qed, parallels, swap, ext2, minix];
