//! What a file holds that no image format claims: a partition table, a file system, or an archive that somebody forgot
//! to unpack. It changes nothing of how the file is read; it is for people and for verdicts.

use crate::probe::read_inside;
use crate::source::{ByteSource, SourceError};
use crate::within::Beyond;

/// What was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Unknown,
    /// A partition table (MBR).
    Mbr,
    /// A partition table (UEFI, "GUID Partition Table").
    Gpt,
    /// ISO 9660.
    Iso9660,
    /// A file system, swap area or volume group without partitions.
    FileSystem,
    /// gzip (RFC 1952).
    Gzip,
    /// xz.
    Xz,
    /// Zstandard (RFC 8878).
    Zstd,
    /// bzip2.
    Bzip2,
    /// ZIP.
    Zip,
    /// tar (POSIX ustar), which appliances in one file (OVA) are.
    Tar,
    /// LZ4 frames.
    Lz4,
    /// 7-Zip.
    SevenZip,
    /// RAR.
    Rar,
    /// Android's sparse image.
    AndroidSparse,
}

impl Content {
    /// Whether somebody has still to unpack it.
    pub fn is_packed(self) -> bool {
        !matches!(
            self,
            Self::Unknown | Self::Mbr | Self::Gpt | Self::Iso9660 | Self::FileSystem
        )
    }
}

/// Content and, where it says how large the disk must be, the first place behind the file's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// What it is.
    pub content: Content,
    /// A partition or file system that does not lie inside the file.
    pub beyond: Option<Beyond>,
}

const HEAD: usize = 4096;
const SECTOR_BYTES: u64 = 512;
const ISO_DESCRIPTOR: u64 = 32768;
const BTRFS_SUPERBLOCK: u64 = 65536;
/// Magic numbers at the beginning of what is packed.
const PACKED: [(&[u8], Content); 12] = [
    (b"\x1f\x8b\x08", Content::Gzip),
    (b"\xfd7zXZ\0", Content::Xz),
    (b"\x28\xb5\x2f\xfd", Content::Zstd),
    (b"BZh", Content::Bzip2),
    (b"PK\x03\x04", Content::Zip),
    (b"PK\x05\x06", Content::Zip),
    (b"PK\x07\x08", Content::Zip),
    (b"\x04\x22\x4d\x18", Content::Lz4),
    (b"7z\xbc\xaf\x27\x1c", Content::SevenZip),
    (b"Rar!\x1a\x07", Content::Rar),
    (b"\x3a\xff\x26\xed", Content::AndroidSparse),
    // A skippable frame may come first (RFC 8878, 3.1.2).
    (b"\x50\x2a\x4d\x18", Content::Zstd),
];

/// Looks at the places where partition tables, file systems and archives have their magic numbers.
///
/// # Errors
/// What the source reports.
pub fn recognise<S: ByteSource + ?Sized>(source: &mut S) -> Result<Recognised, SourceError> {
    let mut head = [0; HEAD];
    read_inside(source, 0, &mut head)?;
    let size = source.size();
    let head = Bytes(&head);
    if let Some((_, content)) = PACKED.iter().find(|(magic, _)| head.has(0, magic)) {
        return Ok(Recognised {
            content: *content,
            beyond: None,
        });
    }
    if head.has(257, b"ustar") {
        let content = Content::Tar;
        return Ok(Recognised {
            content,
            beyond: None,
        });
    }
    let mut iso = [0; 96];
    read_inside(source, ISO_DESCRIPTOR, &mut iso)?;
    let iso = Bytes(&iso);
    if iso.has(1, b"CD001") {
        // ECMA-119, 8.4: volume space size in blocks, both byte orders.
        let blocks = iso.le32(80);
        let end = blocks.saturating_mul(2048);
        let at = ISO_DESCRIPTOR.saturating_add(80);
        return Ok(claim(Content::Iso9660, "volume space size", at, end, size));
    }
    let gpt = [SECTOR_BYTES, 4096];
    for sector in gpt {
        let mut header = [0; 92];
        read_inside(source, sector, &mut header)?;
        let header = Bytes(&header);
        if header.has(0, b"EFI PART") {
            // UEFI 2.10, 5.3.2: the backup header is the last block of the disk.
            let end = header.le64(32).saturating_add(1).saturating_mul(sector);
            let at = sector.saturating_add(32);
            return Ok(claim(Content::Gpt, "alternate LBA", at, end, size));
        }
    }
    if let Some(found) = file_system(head, size) {
        return Ok(found);
    }
    let mut btrfs = [0; 128];
    read_inside(source, BTRFS_SUPERBLOCK, &mut btrfs)?;
    let btrfs = Bytes(&btrfs);
    if btrfs.has(64, b"_BHRfS_M") {
        return Ok(claim(Content::FileSystem, "", 0, 0, size));
    }
    Ok(mbr(head, size).unwrap_or(Recognised {
        content: Content::Unknown,
        beyond: None,
    }))
}

fn claim(content: Content, field: &'static str, at: u64, end: u64, size: u64) -> Recognised {
    let beyond = (end > size).then_some(Beyond { field, at, end });
    Recognised { content, beyond }
}

/// File systems and the like that begin with the disk.
fn file_system(head: Bytes<'_>, size: u64) -> Option<Recognised> {
    let whole = |field, at, end| Some(claim(Content::FileSystem, field, at, end, size));
    if head.has(1080, b"\x53\xef") {
        // Linux, ext4's superblock at 1024: s_blocks_count_lo, s_log_block_size.
        let shift = u32::try_from(head.le32(1048)).unwrap_or(u32::MAX);
        let block = 1024_u64.checked_shl(shift.min(16)).unwrap_or(0);
        let end = head.le32(1028).saturating_mul(block);
        return whole("s_blocks_count_lo", 1028, end);
    }
    if head.has(0, b"XFSB") {
        // xfs_dsb: sb_blocksize, sb_dblocks, big endian.
        let end = head.be64(8).saturating_mul(head.be64(0) & 0xffff_ffff);
        return whole("sb_dblocks", 8, end);
    }
    if head.has(0, b"hsqs") {
        return whole("bytes_used", 40, head.le64(40));
    }
    if head.has(3, b"NTFS    ") && head.has(510, b"\x55\xaa") {
        // One sector more than the boot sector says: its copy.
        let end = head.le64(40).saturating_mul(SECTOR_BYTES);
        return whole("total sectors", 40, end);
    }
    let alone = [
        head.has(4086, b"SWAPSPACE2"),
        head.has(512, b"LABELONE"),
        head.has(1024, b"\x10\x20\xf5\xf2"),
        head.has(54, b"FAT1") && head.has(510, b"\x55\xaa"),
        head.has(82, b"FAT32") && head.has(510, b"\x55\xaa"),
    ];
    alone
        .contains(&true)
        .then_some(claim(Content::FileSystem, "", 0, 0, size))
}

/// A boot sector with partitions of which each has a plausible state, and at least one a type.
fn mbr(head: Bytes<'_>, size: u64) -> Option<Recognised> {
    if !head.has(510, b"\x55\xaa") {
        return None;
    }
    let entries = [446_u64, 462, 478, 494];
    let mut last = (0, 0);
    let mut used = false;
    for at in entries {
        let (state, kind) = (head.byte(at), head.byte(at.saturating_add(4)));
        if state != 0 && state != 0x80 {
            return None;
        }
        let length = head.le32(at.saturating_add(12));
        used |= kind != 0;
        // 0xee stands before a GPT, and counts to the end of what 32 bits can.
        if kind != 0 && kind != 0xee {
            let end = head.le32(at.saturating_add(8)).saturating_add(length);
            if end > last.1 {
                last = (at.saturating_add(12), end);
            }
        }
    }
    let end = last.1.saturating_mul(SECTOR_BYTES);
    used.then(|| claim(Content::Mbr, "partition", last.0, end, size))
}

/// Bytes with numbers in them; what lies outside is zero.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn array<const N: usize>(self, at: u64) -> [u8; N] {
        let start = crate::arith::to_usize(at);
        let part = self.0.get(start..).and_then(<[u8]>::first_chunk);
        part.copied().unwrap_or([0; N])
    }

    fn has(self, at: u64, magic: &[u8]) -> bool {
        let start = crate::arith::to_usize(at);
        self.0
            .get(start..)
            .is_some_and(|rest| rest.starts_with(magic))
    }

    fn byte(self, at: u64) -> u8 {
        let [byte] = self.array::<1>(at);
        byte
    }

    fn le32(self, at: u64) -> u64 {
        u64::from(u32::from_le_bytes(self.array(at)))
    }

    fn le64(self, at: u64) -> u64 {
        u64::from_le_bytes(self.array(at))
    }

    fn be64(self, at: u64) -> u64 {
        u64::from_be_bytes(self.array(at))
    }
}
