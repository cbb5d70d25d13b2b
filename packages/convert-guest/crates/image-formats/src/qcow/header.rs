//! The header: 48 bytes, big-endian.

use alloc::vec::Vec;

use crate::arith::{PowerOfTwo, SECTOR, to_usize};
use crate::blocks::{BlockSize, read_header};
use crate::encrypted::ClusterKey;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::qcow::header;

pub(super) const VERSION: u32 = 1;

const MAGIC: u32 = 0x5146_49fb;
/// QEMU's limit: the bytes of the L1 table fit 31 bits.
const MOST_L1_ENTRIES: u64 = 0x7fff_ffff / 8;
/// QEMU's limit for the name of a backing file (bytes).
const MOST_NAME: u32 = 1023;

#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub cluster: PowerOfTwo,
    /// What an entry of the L1 table stands for.
    pub l1_span: BlockSize,
    pub l1_table_offset: u64,
    /// Bytes of the disk, whole sectors.
    pub size: u64,
    pub crypt_method: Field<u32>,
    /// Opens encrypted clusters.
    pub key: Option<ClusterKey>,
    name_offset: Field<u64>,
    name_length: Field<u32>,
}

fn bits(field: Field<u8>, least: u8, most: u8) -> Result<u32, FormatError> {
    if !(least..=most).contains(&field.value) {
        let expected = Expected::Between(least.into(), most.into());
        return Err(field.refuse(ErrorKind::BadClusterSize, expected));
    }
    Ok(field.value.into())
}

impl Header {
    /// Reads and checks the header.
    ///
    /// # Errors
    /// `NotThisFormat`, `UnsupportedVersion`, `BadClusterSize`, `BadHeader`, `UnsupportedEncryption` or `ImageTooBig`.
    pub fn read<S: ByteSource>(cache: &mut MetadataCache<S>) -> Result<Self, FormatError> {
        let device = cache.device();
        let bytes = read_header(cache, 0, header::BYTES)?;
        let head = Structure::new(&bytes, 0, device, ErrorKind::BadHeader);
        let magic = head.get(header::MAGIC)?;
        if magic.value != MAGIC {
            return Err(magic.refuse(ErrorKind::NotThisFormat, Expected::Value(MAGIC.into())));
        }
        let version = head.get(header::VERSION)?;
        if version.value != VERSION {
            let expected = Expected::Value(VERSION.into());
            return Err(version.refuse(ErrorKind::UnsupportedVersion, expected));
        }
        let name_offset = head.get(header::BACKING_FILE_OFFSET)?;
        let name_length = head.get(header::BACKING_FILE_SIZE)?;
        let size = head.get(header::SIZE)?;
        if size.value <= 1 {
            return Err(size.refuse(ErrorKind::BadHeader, Expected::AtLeast(2)));
        }
        let cluster_bits = bits(head.get(header::CLUSTER_BITS)?, 9, 16)?;
        let l2_bits = bits(head.get(header::L2_BITS)?, 6, 13)?;
        let crypt_method = head.get(header::CRYPT_METHOD)?;
        if crypt_method.value > 1 {
            return Err(crypt_method.refuse(ErrorKind::UnsupportedEncryption, Expected::AtMost(1)));
        }
        let l1_table_offset = head.get(header::L1_TABLE_OFFSET)?.value;
        let span = PowerOfTwo::from_bits(cluster_bits.saturating_add(l2_bits));
        let most = span.times(MOST_L1_ENTRIES).unwrap_or(u64::MAX);
        if size.value > most {
            return Err(size.refuse(ErrorKind::ImageTooBig, Expected::AtMost(most)));
        }
        let cluster = PowerOfTwo::from_bits(cluster_bits);
        let l1_span = BlockSize::new(span.size())
            .ok_or_else(|| size.refuse(ErrorKind::ImageTooBig, Expected::AtMost(most)))?;
        Ok(Self {
            cluster,
            l1_span,
            l1_table_offset,
            size: SECTOR.round_down(size.value),
            crypt_method,
            key: None,
            name_offset,
            name_length,
        })
    }

    /// Whether clusters are encrypted with AES.
    pub fn is_encrypted(&self) -> bool {
        self.crypt_method.value != 0
    }

    /// Where the name of the backing file stands (byte offset in the file, bytes).
    pub fn backing_name_place(&self) -> Option<(u64, u64)> {
        let place = (self.name_offset.value, self.name_length.value.into());
        (place.0 != 0).then_some(place)
    }

    /// The name of the backing file; a name of no bytes is no name.
    ///
    /// # Errors
    /// `BadBackingName` when it is too long.
    pub fn read_backing_name<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
    ) -> Result<Option<Vec<u8>>, FormatError> {
        if self.name_offset.value == 0 {
            return Ok(None);
        }
        if self.name_length.value > MOST_NAME {
            let expected = Expected::AtMost(MOST_NAME.into());
            return Err(self.name_length.refuse(ErrorKind::BadBackingName, expected));
        }
        let length = to_usize(self.name_length.value.into());
        let mut name = cache.read_vec(self.name_offset.value, length)?;
        let end = name.iter().position(|byte| *byte == 0);
        name.truncate(end.unwrap_or(name.len()));
        Ok(Some(name).filter(|name| !name.is_empty()))
    }
}
