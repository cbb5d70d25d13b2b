//! Header extensions (qcow2.txt "Header extensions"): tagged, padded to 8 bytes, unknown ones skipped.

use alloc::vec::Vec;

use crate::arith::{PowerOfTwo, to_usize};
use crate::cursor::Cursor;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::qcow2::features;
use crate::qcow2::header::{Encryption, Header};
use crate::source::ByteSource;

pub(super) const END: u32 = 0;
pub(super) const BACKING_FORMAT: u32 = 0xe279_2aca;
pub(super) const FEATURE_NAMES: u32 = 0x6803_f857;
pub(super) const BITMAPS: u32 = 0x2385_2875;
pub(super) const ENCRYPTION_HEADER: u32 = 0x0537_be77;
pub(super) const DATA_FILE_NAME: u32 = 0x4441_5441;

const PADDING: PowerOfTwo = PowerOfTwo::from_bits(3);

/// QEMU's buffer for a format name holds 16 bytes with the terminator.
const MAX_FORMAT_NAME: u64 = 15;
/// No file system opens a longer path.
const MAX_DATA_FILE_NAME: u64 = 4095;
const ENCRYPTION_EXTENSION_BYTES: u64 = 16;
const BITMAPS_EXTENSION_BYTES: u64 = 24;
const MAX_BITMAPS: u64 = 65535;
const MAX_BITMAP_DIRECTORY_BYTES: u64 = 64 << 20;

/// Where the bitmap directory lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitmapDirectory {
    /// How many bitmaps it lists.
    pub count: Field<u32>,
    /// Its length in bytes.
    pub length: Field<u64>,
    /// Its byte offset.
    pub offset: u64,
}

/// Where the header of the encryption lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncryptionHeader {
    /// Its byte offset.
    pub offset: Field<u64>,
    /// Its length in bytes, key slots and all.
    pub length: u64,
}

/// What the known extensions say.
#[derive(Clone, Debug, Default)]
pub struct Extensions {
    /// The backing image's format, as written.
    pub backing_format: Option<Vec<u8>>,
    /// The external data file's name, as written.
    pub data_file_name: Option<Vec<u8>>,
    /// Persistent bitmaps, where they can be trusted.
    pub bitmaps: Option<BitmapDirectory>,
    /// The header of the encryption.
    pub encryption_header: Option<EncryptionHeader>,
}

/// One extension: its tag, and where its data lies.
struct Extension {
    tag: Field<u32>,
    length: Field<u32>,
    data: u64,
}

/// Walks the extensions from the end of the header to the backing file's name or the cluster's end.
struct Walk {
    position: u64,
    end: u64,
}

impl Walk {
    fn new(header: &Header) -> Self {
        Self {
            position: header.header_length,
            end: header.extensions_end(),
        }
    }

    fn next<S: ByteSource>(
        &mut self,
        cache: &mut MetadataCache<S>,
    ) -> Result<Option<Extension>, FormatError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let mut bytes = [0; 8];
        cache.read(self.position, &mut bytes)?;
        let mut cursor = Cursor::new(
            &bytes,
            self.position,
            cache.device(),
            ErrorKind::BadExtension,
        );
        let tag = cursor.be32("header extension type")?;
        let length = cursor.be32("header extension length")?;
        let data = cursor.offset();
        let Some(room) = self.end.checked_sub(data) else {
            let expected = Expected::Sentence("an end mark before the first cluster's end");
            return Err(tag.refuse(ErrorKind::BadExtension, expected));
        };
        if u64::from(length.value) > room {
            return Err(length.refuse(ErrorKind::BadExtension, Expected::AtMost(room)));
        }
        if tag.value == END {
            self.position = self.end;
            return Ok(None);
        }
        let padded = PADDING.round_up(u64::from(length.value)).unwrap_or(room);
        self.position = data.saturating_add(padded);
        Ok(Some(Extension { tag, length, data }))
    }
}

/// The content of the feature name table; empty when there is none.
pub(super) fn find_feature_names<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    header: &Header,
) -> Result<Vec<u8>, FormatError> {
    let mut walk = Walk::new(header);
    while let Some(extension) = walk.next(cache)? {
        if extension.tag.value == FEATURE_NAMES {
            return extension.read(cache);
        }
    }
    Ok(Vec::new())
}

impl Extensions {
    /// Reads all extensions; of a repeated one the last counts.
    pub(super) fn read<S: ByteSource>(
        cache: &mut MetadataCache<S>,
        header: &Header,
    ) -> Result<Self, FormatError> {
        let mut found = Self::default();
        let mut walk = Walk::new(header);
        while let Some(extension) = walk.next(cache)? {
            match extension.tag.value {
                BACKING_FORMAT => {
                    extension.check_at_most(MAX_FORMAT_NAME)?;
                    found.backing_format = Some(extension.read_name(cache)?);
                }
                DATA_FILE_NAME => {
                    extension.check_at_most(MAX_DATA_FILE_NAME)?;
                    found.data_file_name = Some(extension.read_name(cache)?);
                }
                ENCRYPTION_HEADER => {
                    found.encryption_header =
                        Some(extension.read_encryption_header(cache, header)?);
                }
                BITMAPS => found.bitmaps = extension.read_bitmaps(cache, header)?,
                _ => {}
            }
        }
        Ok(found)
    }
}

impl Extension {
    fn check_at_most(&self, most: u64) -> Result<(), FormatError> {
        if u64::from(self.length.value) > most {
            return Err(self
                .length
                .refuse(ErrorKind::BadExtension, Expected::AtMost(most)));
        }
        Ok(())
    }

    fn check_exactly(&self, length: u64) -> Result<(), FormatError> {
        if u64::from(self.length.value) != length {
            return Err(self
                .length
                .refuse(ErrorKind::BadExtension, Expected::Value(length)));
        }
        Ok(())
    }

    fn read<S: ByteSource>(&self, cache: &mut MetadataCache<S>) -> Result<Vec<u8>, FormatError> {
        cache.read_vec(self.data, to_usize(u64::from(self.length.value)))
    }

    fn read_name<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
    ) -> Result<Vec<u8>, FormatError> {
        self.read(cache).map(until_nul)
    }

    /// qcow2.txt "Full disk encryption header pointer".
    fn read_encryption_header<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        header: &Header,
    ) -> Result<EncryptionHeader, FormatError> {
        if header.encryption != Encryption::Luks {
            let expected =
                Expected::Sentence("this extension only with the encryption method LUKS");
            return Err(self.tag.refuse(ErrorKind::BadExtension, expected));
        }
        self.check_exactly(ENCRYPTION_EXTENSION_BYTES)?;
        let bytes = self.read(cache)?;
        let mut cursor = self.cursor(&bytes, cache);
        let offset = cursor.be64("encryption header offset")?;
        let length = cursor.be64("encryption header length")?;
        if !header.cluster.is_aligned(offset.value) {
            let expected = Expected::MultipleOf(header.cluster.size());
            return Err(offset.refuse(ErrorKind::BadExtension, expected));
        }
        Ok(EncryptionHeader {
            offset,
            length: length.value,
        })
    }

    /// qcow2.txt "Bitmaps extension". Without the autoclear bit, a program that knew nothing of
    /// bitmaps has written to the image and the extension says nothing any more.
    fn read_bitmaps<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        header: &Header,
    ) -> Result<Option<BitmapDirectory>, FormatError> {
        self.check_exactly(BITMAPS_EXTENSION_BYTES)?;
        if header.autoclear.value & features::AUTOCLEAR_BITMAPS == 0 {
            return Ok(None);
        }
        let bytes = self.read(cache)?;
        let mut cursor = self.cursor(&bytes, cache);
        let count = cursor.be32("nb_bitmaps")?;
        let reserved = cursor.be32("bitmaps extension, reserved")?;
        let length = cursor.be64("bitmap_directory_size")?;
        let offset = cursor.be64("bitmap_directory_offset")?;
        if reserved.value != 0 {
            return Err(reserved.refuse(ErrorKind::BadExtension, Expected::Value(0)));
        }
        if !(1..=MAX_BITMAPS).contains(&u64::from(count.value)) {
            let expected = Expected::Between(1, MAX_BITMAPS);
            return Err(count.refuse(ErrorKind::BadExtension, expected));
        }
        if !header.cluster.is_aligned(offset.value) {
            let expected = Expected::MultipleOf(header.cluster.size());
            return Err(offset.refuse(ErrorKind::BadExtension, expected));
        }
        if length.value > MAX_BITMAP_DIRECTORY_BYTES {
            let expected = Expected::AtMost(MAX_BITMAP_DIRECTORY_BYTES);
            return Err(length.refuse(ErrorKind::BadExtension, expected));
        }
        Ok(Some(BitmapDirectory {
            count,
            length,
            offset: offset.value,
        }))
    }

    fn cursor<'a, S: ByteSource>(&self, bytes: &'a [u8], cache: &MetadataCache<S>) -> Cursor<'a> {
        Cursor::new(bytes, self.data, cache.device(), ErrorKind::BadExtension)
    }
}

/// Names end at the first zero byte, because to QEMU they are C strings: what is shown and checked
/// must be what QEMU would open.
pub(super) fn until_nul(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(end) = name.iter().position(|byte| *byte == 0) {
        name.truncate(end);
    }
    name
}
