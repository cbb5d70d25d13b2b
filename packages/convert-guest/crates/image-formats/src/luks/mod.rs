//! LUKS: a disk that is encrypted from its first sector to its last, behind a header with key slots.

mod cipher_name;
mod edit;
mod header;
mod key_slots;
mod metadata;
mod slots;
mod version1;
mod version2;
mod write;

use alloc::boxed::Box;
use alloc::vec::Vec;

use cipher_name::CipherName;
use instar_ciphers::SectorCipher;

use crate::arith::SECTOR;
use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::encrypted::ClusterKey;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::{Extent, ExtentKind, Image, clamp_request};
use crate::facts::{Encryption, Facts, ListLimits};
use crate::keys::{KeyIndex, Unlocking};
use crate::metadata_cache::MetadataCache;
use crate::probe::{Ends, has};
use crate::source::{ByteSource, DeviceIndex};
use crate::within::{Beyond, Within};

pub use edit::{edit, edit_key_slots};
pub(crate) use header::Header;
pub(crate) use key_slots::edit_slots;
pub use key_slots::{SlotEdit, SlotKeys};
pub use write::open_writer;

/// What a container begins with.
pub(crate) const MAGIC: &[u8; 6] = b"LUKS\xba\xbe";

/// A cipher by its names, with a key, for sectors of 512 bytes; `None` where it is none that is known, or does not take the key.
pub fn sector_cipher(cipher: &[u8], mode: &[u8], key: &[u8]) -> Option<SectorCipher> {
    let nowhere = slots::place("cipher name", 0, cipher.len(), DeviceIndex(0));
    let name = CipherName::new(cipher, mode, nowhere);
    name.with_key(key, SECTOR.in_memory()).ok()
}

/// Whether a file begins like a container.
pub fn probe(ends: &Ends<'_>) -> bool {
    ends.head.starts_with(MAGIC)
        && [1_u16, 2]
            .iter()
            .any(|version| has(ends.head, MAGIC.len(), &version.to_be_bytes()))
}

/// Opens a container; its content can be mapped when it has been unlocked.
///
/// # Errors
/// What [`Header::read`] refuses.
pub fn open<'a, S: ByteSource + 'a>(
    source: S,
    device: DeviceIndex,
    options: OpenOptions,
) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
    let mut cache = MetadataCache::new(source, device, options.cache_blocks);
    let header = Header::read(&mut cache, 0)?;
    // Bytes behind the last whole sector belong to nothing, as for a loop device.
    let end = SECTOR.round_down(cache.file_size());
    let Some(room) = end
        .checked_sub(header.payload_offset.value)
        .filter(|_| header.payload_offset.value != 0)
    else {
        let expected = Expected::Between(SECTOR.size(), end);
        return Err(header.payload_offset.refuse(ErrorKind::BadHeader, expected));
    };
    let size = header.payload_size.map_or(room, |size| size.value);
    Ok(Box::new(Container {
        size: header.whole_sectors(size),
        header,
        cache,
        key: None,
    }))
}

struct Container<S> {
    cache: MetadataCache<S>,
    header: Header,
    /// Bytes of the disk.
    size: u64,
    key: Option<KeyIndex>,
}

impl<S: ByteSource> Image for Container<S> {
    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        let length = clamp_request(self.size, offset, max_length)?;
        let device = self.cache.device();
        let Some(key) = self.key else {
            return Err(FormatError::locked(device));
        };
        let skip = self.header.sector.offset_within(offset);
        let sector = offset.saturating_sub(skip);
        let host = self.header.payload_offset.value.saturating_add(sector);
        let size = SECTOR.round_down(self.cache.file_size());
        let left = self.header.whole_sectors(size.saturating_sub(host));
        if left == 0 {
            let expected = Expected::AtMost(size);
            let kind = ErrorKind::BadTableEntry;
            let field = "segment";
            return Err(FormatError::new(kind, device, field, 0, host, expected));
        }
        let kind = ExtentKind::Encrypted {
            device,
            key,
            offset: host,
            position: self.header.iv_position(sector),
            skip,
        };
        Ok(Extent {
            start: offset,
            length: length.min(left.saturating_sub(skip)),
            kind,
        })
    }
}

impl<S: ByteSource> FormatImage for Container<S> {
    fn facts(&mut self, _: ListLimits) -> Result<Facts, FormatError> {
        Ok(Facts {
            encryption: Encryption::Luks,
            luks: Some(self.header.facts.clone()),
            ..Facts::default()
        })
    }

    fn within_file(&mut self, _: u64) -> Result<Within, FormatError> {
        let size = self.cache.file_size();
        let slots = self.header.slots.iter().map(|slot| Beyond {
            field: "key slot",
            at: slot.at,
            end: slot.offset.saturating_add(slot.material_length()),
        });
        let segment = self.header.payload_size.map(|length| Beyond {
            field: "segment",
            at: length.offset,
            end: self
                .header
                .payload_offset
                .value
                .saturating_add(length.value),
        });
        let beyond = slots.chain(segment).find(|part| part.end > size);
        Ok(beyond.map_or(Within::Whole(Vec::new()), Within::Beyond))
    }

    fn is_locked(&self) -> bool {
        self.key.is_none()
    }

    fn key(&self) -> Option<ClusterKey> {
        self.key.map(|index| ClusterKey {
            index,
            by_file: false,
            is_known: true,
        })
    }

    fn unlock(&mut self, with: &mut Unlocking<'_>) -> Result<bool, FormatError> {
        self.key = self.header.unlock(&mut self.cache, with)?;
        Ok(self.key.is_some())
    }
}
