//! Persistent bitmaps (qcow2.txt "Bitmap directory"): listed for information only.

use alloc::vec::Vec;

use crate::arith::{PowerOfTwo, to_u64, to_usize};
use crate::error::{ErrorKind, Expected, FormatError};
pub use crate::facts::Bitmap;
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::qcow2::extensions::BitmapDirectory;
use crate::qcow2::header::Header;
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::qcow2::bitmap_entry;

const ALIGNMENT: PowerOfTwo = PowerOfTwo::from_bits(3);

const FLAG_IN_USE: u32 = 1 << 0;
const FLAG_AUTO: u32 = 1 << 1;
const KNOWN_FLAGS: u32 = FLAG_IN_USE | FLAG_AUTO;
const TYPE_DIRTY_TRACKING: u8 = 1;

// QEMU's limits.
const GRANULARITY_BITS: core::ops::RangeInclusive<u8> = 9..=31;
const MAX_NAME: u16 = 1023;
const MAX_TABLE_ENTRIES: u32 = 1 << 27;
const MAX_BITMAP_BYTES: u64 = 512 << 20;

/// Steps from entry to entry of the directory.
pub(super) struct Walk {
    position: u64,
    end: u64,
    left: u32,
    count: Field<u32>,
    length: Field<u64>,
}

impl Walk {
    pub fn new(directory: BitmapDirectory) -> Self {
        Self {
            position: directory.offset,
            end: directory.offset.saturating_add(directory.length.value),
            left: directory.count.value,
            count: directory.count,
            length: directory.length,
        }
    }

    /// Where the next entry begins (byte offset in the file).
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next bitmap. With `names` false its name stays empty, which is enough to check the list.
    pub fn next<S: ByteSource>(
        &mut self,
        cache: &mut MetadataCache<S>,
        header: &Header,
        virtual_size: u64,
        names: bool,
    ) -> Result<Option<Bitmap>, FormatError> {
        let room = self.end.saturating_sub(self.position);
        if room == 0 {
            if self.left != 0 {
                let expected = Expected::Sentence("as many bitmaps as the directory lists");
                return Err(self.count.refuse(ErrorKind::BadBitmapDirectory, expected));
            }
            return Ok(None);
        }
        if self.left == 0 {
            let expected = Expected::Sentence("a directory that ends with its last bitmap");
            return Err(self.length.refuse(ErrorKind::BadBitmapDirectory, expected));
        }
        self.left = self.left.saturating_sub(1);

        let mut bytes = [0; bitmap_entry::BYTES];
        let inside = to_usize(room).min(bitmap_entry::BYTES);
        cache.read(self.position, bytes.get_mut(..inside).unwrap_or_default())?;
        let head = Structure::new(
            bytes.get(..inside).unwrap_or_default(),
            self.position,
            cache.device(),
            ErrorKind::BadBitmapDirectory,
        );
        let table_offset = head.get(bitmap_entry::BITMAP_TABLE_OFFSET)?;
        let table_entries = head.get(bitmap_entry::BITMAP_TABLE_SIZE)?;
        let flags = head.get(bitmap_entry::FLAGS)?;
        let bitmap_type = head.get(bitmap_entry::TYPE)?;
        let granularity_bits = head.get(bitmap_entry::GRANULARITY_BITS)?;
        let name_length = head.get(bitmap_entry::NAME_SIZE)?;
        let extra_length = head.get(bitmap_entry::EXTRA_DATA_SIZE)?;

        let refused = ErrorKind::BadBitmapDirectory;
        if table_offset.value == 0 || !header.cluster.is_aligned(table_offset.value) {
            return Err(table_offset.refuse(refused, Expected::MultipleOf(header.cluster.size())));
        }
        if !(1..=MAX_TABLE_ENTRIES).contains(&table_entries.value) {
            let expected = Expected::Between(1, MAX_TABLE_ENTRIES.into());
            return Err(table_entries.refuse(refused, expected));
        }
        if flags.value & !KNOWN_FLAGS != 0 {
            return Err(flags.refuse(refused, Expected::AtMost(KNOWN_FLAGS.into())));
        }
        if bitmap_type.value != TYPE_DIRTY_TRACKING {
            let expected = Expected::Value(TYPE_DIRTY_TRACKING.into());
            return Err(bitmap_type.refuse(refused, expected));
        }
        if !GRANULARITY_BITS.contains(&granularity_bits.value) {
            return Err(granularity_bits.refuse(refused, Expected::Between(9, 31)));
        }
        if name_length.value > MAX_NAME {
            return Err(name_length.refuse(refused, Expected::AtMost(MAX_NAME.into())));
        }
        if extra_length.value != 0 {
            return Err(extra_length.refuse(refused, Expected::Value(0)));
        }
        let bitmap_bytes = header
            .cluster
            .times(table_entries.value.into())
            .unwrap_or(u64::MAX);
        if bitmap_bytes > MAX_BITMAP_BYTES {
            let most = header.cluster.index_of(MAX_BITMAP_BYTES);
            return Err(table_entries.refuse(refused, Expected::AtMost(most)));
        }
        let granularity = PowerOfTwo::from_bits(granularity_bits.value.into());
        let in_use = flags.value & FLAG_IN_USE != 0;
        let covered = granularity
            .times(bitmap_bytes.saturating_mul(8))
            .unwrap_or(u64::MAX);
        if !in_use && covered < virtual_size {
            let expected = Expected::Sentence("enough clusters for the virtual size");
            return Err(table_entries.refuse(refused, expected));
        }

        let name_at = self.position.saturating_add(to_u64(bitmap_entry::BYTES));
        let name_end = name_at.saturating_add(name_length.value.into());
        self.position = ALIGNMENT.round_up(name_end).unwrap_or(u64::MAX);
        if self.position > self.end {
            let expected = Expected::AtMost(self.end.saturating_sub(name_at));
            return Err(name_length.refuse(refused, expected));
        }
        let name = if names {
            cache.read_vec(name_at, name_length.value.into())?
        } else {
            Vec::new()
        };
        let auto = flags.value & FLAG_AUTO != 0;
        Ok(Some(Bitmap {
            name,
            granularity: granularity.size(),
            in_use,
            auto,
            table_offset: table_offset.value,
            table_entries: table_entries.value,
        }))
    }
}
