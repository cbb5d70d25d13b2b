//! A disk whose format is said in full by where its tables lie and what their entries mean.

use alloc::vec::Vec;

use crate::blocks::{self, BlockDisk, BlockSize, Entry, Piece, Run, Table};
use crate::check::{CheckCounts, Findings, Teller};
use crate::driver::FormatImage;
use crate::encrypted::ClusterKey;
use crate::error::FormatError;
use crate::extent::{Extent, Image};
use crate::facts::{Facts, Identity, ListLimits};
use crate::keys::Unlocking;
use crate::metadata_cache::MetadataCache;
use crate::source::{ByteSource, DeviceIndex};
use crate::within::{Beyond, Within};

/// Where the entry for a part of the disk is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// In this table, which is always there.
    Table(Table),
    /// In this table, which an entry of the upper table names.
    Lower { table: Table, upper: Table },
    /// Nowhere: the entry of the upper table is 0.
    Hole { upper: Table },
}

/// What a format's tables are.
pub(crate) trait Layout: Check {
    /// The table with the entry for `position`.
    fn find<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        position: u64,
    ) -> Result<Place, FormatError>;

    /// What an entry of such a table means.
    fn decode(&self, entry: Entry) -> Result<Piece, FormatError>;

    /// Names of an entry of the upper table, of a lower table, and of an entry of a table with blocks.
    fn names(&self) -> [&'static str; 3];

    /// As [`BlockDisk::tables`].
    fn tables(&self) -> Vec<Beyond>;

    /// What an entry of the upper table stands for, where there is one.
    fn span(&self) -> Option<BlockSize> {
        None
    }

    /// The first part of a run of blocks that is all of one kind, where bitmaps say it for each sector.
    fn refine<S: ByteSource>(
        &self,
        _: &mut MetadataCache<S>,
        _position: u64,
        run: Run,
    ) -> Result<Run, FormatError> {
        Ok(run)
    }

    /// What the disk holds where there is no lower table.
    fn hole(&self) -> Piece {
        Piece::Unallocated
    }

    /// Why the content cannot be read though the tables can (encryption).
    fn refusal(&self) -> Option<FormatError> {
        None
    }

    /// The key of encrypted data, once a passphrase has fitted.
    fn key(&self) -> Option<ClusterKey> {
        None
    }

    /// As [`FormatImage::unlock`].
    fn unlock(&mut self, _: &mut Unlocking<'_>) -> Result<bool, FormatError> {
        Ok(true)
    }

    /// As [`FormatImage::keeps_holes`].
    fn keeps_holes(&self) -> bool {
        false
    }

    /// As [`BlockDisk::refuses_beyond`].
    fn refuses_beyond(&self) -> bool {
        false
    }

    /// Passes each part of the file to `take` that holds what the format itself needs, but for the lower tables: its name, byte
    /// offset and bytes. No block and no table may lie there.
    fn each_part<S: ByteSource>(
        &self,
        _cache: &mut MetadataCache<S>,
        _take: &mut TakePart<'_>,
    ) -> Result<(), FormatError> {
        Ok(())
    }
}

/// Takes a part of a file: its name, byte offset and bytes.
pub(crate) type TakePart<'a> = dyn FnMut(&'static str, u64, u64) -> Result<(), FormatError> + 'a;

/// How the metadata of a format is checked against itself.
pub(crate) trait Check: Sized {
    /// False for formats that are not checked.
    const IS_CHECKED: bool = true;

    /// Looks at all of it, and tells what contradicts itself.
    fn check<S: ByteSource>(
        disk: &mut TableDisk<S, Self>,
        teller: &mut Teller<'_>,
    ) -> Result<(), FormatError>;
}

/// An open image of such a format.
pub(crate) struct TableDisk<S, L> {
    pub cache: MetadataCache<S>,
    pub layout: L,
    /// Bytes of the disk.
    pub size: u64,
    pub facts: Facts,
}

/// The place of every entry of a format with one table.
pub(crate) fn one_table(table: Table) -> Result<Place, FormatError> {
    Ok(Place::Table(table))
}

impl<S: ByteSource, L: Layout> TableDisk<S, L> {
    /// As [`BlockDisk::look`], for blocks as wholes.
    pub fn look_at_blocks(&mut self, position: u64, limit: u64) -> Result<Run, FormatError> {
        let Self { cache, layout, .. } = self;
        match layout.find(cache, position)? {
            Place::Table(table) => {
                blocks::scan(cache, &table, position, limit, |entry| layout.decode(entry))
            }
            Place::Lower { table, .. } => {
                let limit = limit.min(table.end());
                blocks::scan(cache, &table, position, limit, |entry| layout.decode(entry))
            }
            Place::Hole { upper } => {
                // An entry that names a table ends the hole; what kind of piece stands for it does not matter.
                let run = blocks::scan(cache, &upper, position, limit, |entry| {
                    Ok(if entry.value == 0 {
                        Piece::Unallocated
                    } else {
                        Piece::Data(entry.value)
                    })
                })?;
                let piece = layout.hole();
                Ok(Run { piece, ..run })
            }
        }
    }
}

impl<S: ByteSource, L: Layout> BlockDisk for TableDisk<S, L> {
    fn size(&self) -> u64 {
        self.size
    }

    fn file(&self) -> (DeviceIndex, u64) {
        (self.cache.device(), self.cache.file_size())
    }

    fn look(&mut self, position: u64, limit: u64) -> Result<Run, FormatError> {
        let run = self.look_at_blocks(position, limit)?;
        match run.piece {
            Piece::Data(_) => self.layout.refine(&mut self.cache, position, run),
            _ => Ok(run),
        }
    }

    fn entry(&mut self, position: u64) -> Result<(&'static str, u64), FormatError> {
        let [upper_entry, _, entry] = self.layout.names();
        Ok(match self.layout.find(&mut self.cache, position)? {
            Place::Table(table) | Place::Lower { table, .. } => (entry, table.place_of(position)),
            Place::Hole { upper } => (upper_entry, upper.place_of(position)),
        })
    }

    fn tables(&self) -> Vec<Beyond> {
        self.layout.tables()
    }

    fn lower_table(&mut self, position: u64) -> Result<Option<Beyond>, FormatError> {
        let [_, field, _] = self.layout.names();
        Ok(match self.layout.find(&mut self.cache, position)? {
            Place::Lower { table, upper } => Some(Beyond {
                field,
                at: upper.place_of(position),
                end: table.file_end(),
            }),
            _ => None,
        })
    }

    fn refuses_beyond(&self) -> bool {
        self.layout.refuses_beyond()
    }
}

impl<S: ByteSource, L: Layout> Image for TableDisk<S, L> {
    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        match self.layout.refusal() {
            Some(error) => Err(error),
            None => {
                let extent = blocks::map(self, offset, max_length)?;
                let size = self.cache.file_size();
                Ok(match self.layout.key() {
                    Some(key) => key.encrypt(extent, size),
                    None => extent,
                })
            }
        }
    }
}

impl<S: ByteSource, L: Layout> FormatImage for TableDisk<S, L> {
    fn facts(&mut self, _: ListLimits) -> Result<Facts, FormatError> {
        Ok(self.facts.clone())
    }

    fn within_file(&mut self, budget: u64) -> Result<Within, FormatError> {
        blocks::within_file(self, budget)
    }

    fn check(&mut self, findings: &mut dyn Findings) -> Result<Option<CheckCounts>, FormatError> {
        let mut teller = Teller::new(findings);
        if L::IS_CHECKED {
            L::check(self, &mut teller)?;
        }
        Ok(L::IS_CHECKED.then_some(teller.counts))
    }

    fn keeps_holes(&self) -> bool {
        self.layout.keeps_holes()
    }

    fn is_locked(&self) -> bool {
        self.layout.refusal().is_some()
    }

    fn unlock(&mut self, with: &mut Unlocking<'_>) -> Result<bool, FormatError> {
        self.layout.unlock(with)
    }

    fn backing_name(&self) -> Option<&[u8]> {
        self.facts.backing_file.as_deref()
    }

    fn content_id(&self) -> Option<u32> {
        self.facts.content_id
    }

    fn identity(&self) -> Option<Identity> {
        self.facts.identity
    }

    fn parent_identities(&self) -> &[Identity] {
        &self.facts.parent_identities
    }

    fn parent_content_id(&self) -> Option<u32> {
        self.facts.parent_content_id
    }
}
