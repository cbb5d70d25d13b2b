//! Whether all that an image needs lies inside its file: an image that was cut off on its way opens well, and reads as
//! zeros where its data is missing.
//!
//! Files may end inside their last cluster where the rest of it means nothing: behind the entries of an L1 or snapshot
//! table, behind the subclusters that are allocated, behind a compressed stream. What counts is what a reader needs.

use alloc::vec::Vec;

use crate::arith::{SECTOR, to_u64, to_usize};
use crate::error::FormatError;
use crate::qcow2::l1;
use crate::qcow2::l2::{Cluster, Entry};
use crate::qcow2::{Qcow2Image, bitmap, snapshot};
use crate::source::ByteSource;
use crate::within::{Beyond, Tail, Within};

/// Bits 9 to 63 of an entry of the refcount table, 9 to 55 of one of a bitmap table: a cluster's offset.
const REFCOUNT_BLOCK: u64 = !0x1ff;
const BITMAP_CLUSTER: u64 = 0x00ff_ffff_ffff_fe00;
/// Most compressed streams whose end the cluster descriptor leaves open that are kept for a trial.
const MOST_TAILS: usize = 256;

/// Why a look ends early.
enum End {
    Beyond(Beyond),
    TooMany,
    Failed(FormatError),
}

impl From<FormatError> for End {
    fn from(error: FormatError) -> Self {
        Self::Failed(error)
    }
}

/// A table of L1 entries: the active one's, or a snapshot's.
struct L1 {
    field: &'static str,
    /// What names it, and where that stands.
    at: u64,
    offset: u64,
    entries: u64,
    /// Bytes of the disk. What is mapped behind them (the state of a VM) is needed in whole clusters.
    disk_size: u64,
    active: bool,
}

/// Bytes of tables that may still be read, and what was found on the way.
struct Look {
    left: u64,
    tails: Vec<Tail>,
}

impl<S: ByteSource> Qcow2Image<S> {
    /// Looks at every table, reading at most `budget` bytes of them.
    ///
    /// # Errors
    /// `SourceFailed` and `OutOfMemory` only: what the image is to blame for is a finding.
    pub fn within_file(&mut self, budget: u64) -> Result<Within, FormatError> {
        let mut look = Look {
            left: budget,
            tails: Vec::new(),
        };
        match self.look_at_all(&mut look) {
            Ok(()) => Ok(Within::Whole(look.tails)),
            Err(End::Beyond(beyond)) => Ok(Within::Beyond(beyond)),
            Err(End::TooMany) => Ok(Within::TooMany),
            Err(End::Failed(error)) if error.is_of_image() => Ok(Within::Fault(error)),
            Err(End::Failed(error)) => Err(error),
        }
    }

    fn look_at_all(&mut self, look: &mut Look) -> Result<(), End> {
        let cluster = self.header.cluster;
        self.need("header cluster", 0, 0, cluster.size())?;
        let table = self.header.refcount_table_offset;
        let table_bytes = cluster
            .times(self.header.refcount_table_clusters)
            .unwrap_or(u64::MAX);
        self.need("refcount_table_offset", 48, table, table_bytes)?;
        let entries = table_bytes / 8;
        self.look_at_offsets(look, "refcount block", table, entries, REFCOUNT_BLOCK)?;

        let active = L1 {
            field: "l1_table_offset",
            at: 40,
            offset: self.header.l1_table_offset,
            entries: self.header.l1_entries,
            disk_size: self.virtual_size,
            active: true,
        };
        self.look_at_l1(look, &active)?;

        let mut snapshots = snapshot::Walk::new(&self.header, self.virtual_size);
        loop {
            let at = snapshots.position();
            let Some(snapshot) = snapshots.next(&mut self.cache, false)? else {
                break;
            };
            let length = snapshots.position().saturating_sub(at);
            self.need("snapshot table", 64, at, length)?;
            let l1 = L1 {
                field: "snapshot's l1_table_offset",
                at,
                offset: snapshot.l1_table_offset,
                entries: u64::from(snapshot.l1_entries),
                disk_size: snapshot.disk_size,
                active: false,
            };
            self.look_at_l1(look, &l1)?;
        }
        self.look_at_bitmaps(look)
    }

    fn look_at_bitmaps(&mut self, look: &mut Look) -> Result<(), End> {
        let Some(directory) = self.extensions.bitmaps else {
            return Ok(());
        };
        let at = directory.length.offset;
        self.need(
            "bitmap_directory_offset",
            at,
            directory.offset,
            directory.length.value,
        )?;
        let mut bitmaps = bitmap::Walk::new(directory);
        while let Some(bitmap) =
            bitmaps.next(&mut self.cache, &self.header, self.virtual_size, false)?
        {
            let entries = u64::from(bitmap.table_entries);
            let table = bitmap.table_offset;
            self.need(
                "bitmap_table_offset",
                directory.offset,
                table,
                entries.saturating_mul(8),
            )?;
            self.look_at_offsets(look, "bitmap cluster", table, entries, BITMAP_CLUSTER)?;
        }
        Ok(())
    }

    /// Every entry of a table of cluster offsets that is not 0 names a whole cluster.
    fn look_at_offsets(
        &mut self,
        look: &mut Look,
        field: &'static str,
        table: u64,
        entries: u64,
        mask: u64,
    ) -> Result<(), End> {
        let size = self.cache.file_size();
        let mut index = 0_u64;
        while index < entries {
            let at = table.saturating_add(index.saturating_mul(8));
            let bytes = self.cache.view(
                at,
                to_usize(entries.saturating_sub(index).saturating_mul(8)),
            )?;
            let (words, _) = bytes.as_chunks::<8>();
            if words.is_empty() {
                break;
            }
            look.spend(bytes.len())?;
            for (word, place) in words.iter().zip((at..).step_by(8)) {
                let offset = u64::from_be_bytes(*word) & mask;
                let end = offset.saturating_add(self.header.cluster.size());
                if offset != 0 && end > size {
                    let at = place;
                    return Err(End::Beyond(Beyond { field, at, end }));
                }
            }
            index = index.saturating_add(to_u64(words.len()));
        }
        Ok(())
    }

    fn look_at_l1(&mut self, look: &mut Look, l1: &L1) -> Result<(), End> {
        let bytes = l1.entries.saturating_mul(l1::ENTRY_BYTES);
        self.need(l1.field, l1.at, l1.offset, bytes)?;
        let span = self.header.l1_span();
        for index in 0..l1.entries {
            let place = |table: u64| table.saturating_add(index.saturating_mul(l1::ENTRY_BYTES));
            let at = place(l1.offset);
            if index % 8192 == 0 {
                look.spend(65536)?;
            }
            let entry = self.cache.be64(at)?;
            let Some(table) = l1::table_offset(entry.to_be_bytes()) else {
                continue;
            };
            // Snapshots share most of their tables with the active state, which was looked at first.
            if !l1.active && index < self.header.l1_entries {
                let active = self.cache.be64(place(self.header.l1_table_offset))?;
                if l1::table_offset(active.to_be_bytes()) == Some(table)
                    && l1.disk_size <= self.virtual_size
                {
                    continue;
                }
            }
            l1::check_table(&self.header, self.cache.device(), at, table)?;
            let start = span.times(index).unwrap_or(u64::MAX);
            self.look_at_l2(look, l1, at, table, start)?;
        }
        Ok(())
    }

    fn look_at_l2(
        &mut self,
        look: &mut Look,
        l1: &L1,
        l1_at: u64,
        table: u64,
        start: u64,
    ) -> Result<(), End> {
        let (cluster, entry_size) = (self.header.cluster, self.header.l2_entry());
        // Behind the end of the disk there is nothing, or the state of a VM, whose size is another thing.
        let covered = l1.disk_size.saturating_sub(start);
        let whole = cluster.size() >> entry_size.bits();
        let entries = match covered {
            0 if l1.active => return Ok(()),
            0 => whole,
            covered => cluster.count_for(covered).min(whole),
        };
        let table_bytes = entry_size.times(entries).unwrap_or(u64::MAX);
        self.need("L2 table", l1_at, table, table_bytes)?;
        let device = self.cache.device();
        let mut index = 0_u64;
        while index < entries {
            let mut at = table.saturating_add(entry_size.times(index).unwrap_or(u64::MAX));
            let wanted = entry_size
                .times(entries.saturating_sub(index))
                .unwrap_or(u64::MAX);
            let size = self.cache.file_size();
            let bytes = self.cache.view(at, to_usize(wanted))?;
            look.spend(bytes.len())?;
            let mut seen = 0_u64;
            for words in bytes.chunks_exact(entry_size.in_memory()) {
                let (descriptor, rest) = words.split_first_chunk().unwrap_or((&[0; 8], &[]));
                let bitmap = rest.first_chunk().copied().unwrap_or_default();
                let entry = Entry {
                    descriptor: u64::from_be_bytes(*descriptor),
                    bitmap: u64::from_be_bytes(bitmap),
                    at,
                    device,
                };
                let number = index.saturating_add(seen);
                let virtual_start = start.saturating_add(cluster.times(number).unwrap_or(u64::MAX));
                let needed = match l1.disk_size.saturating_sub(virtual_start) {
                    0 => cluster.size(),
                    left => left.min(cluster.size()),
                };
                match entry.decode(&self.header, virtual_start)? {
                    Cluster::Compressed(stream) => {
                        let end = stream.offset.saturating_add(stream.max_length);
                        let missing = end.saturating_sub(size);
                        if missing >= SECTOR.size() || stream.offset >= size {
                            let field = "compressed cluster";
                            return Err(End::Beyond(Beyond { field, at, end }));
                        }
                        if missing > 0 {
                            look.keep(Tail {
                                at,
                                offset: stream.offset,
                                length: size.saturating_sub(stream.offset),
                                end,
                                codec: self.header.compression,
                                decoded: cluster.size(),
                            })?;
                        }
                    }
                    Cluster::Plain {
                        host, allocated, ..
                    } if allocated != 0 && !self.header.has_data_file() => {
                        let last = u64::from(u32::BITS.saturating_sub(allocated.leading_zeros()));
                        let used = self.header.subcluster.times(last).unwrap_or(u64::MAX);
                        let end = host.saturating_add(used.min(needed));
                        if end > size {
                            let field = "data cluster";
                            return Err(End::Beyond(Beyond { field, at, end }));
                        }
                    }
                    Cluster::Plain { .. } => {}
                }
                at = at.saturating_add(entry_size.size());
                seen = seen.saturating_add(1);
            }
            if seen == 0 {
                break;
            }
            index = index.saturating_add(seen);
        }
        Ok(())
    }

    /// Something of `length` bytes at `offset`, named by what stands at `at`.
    fn need(&self, field: &'static str, at: u64, offset: u64, length: u64) -> Result<(), End> {
        let end = offset.saturating_add(length);
        if length > 0 && end > self.cache.file_size() {
            return Err(End::Beyond(Beyond { field, at, end }));
        }
        Ok(())
    }
}

impl Look {
    fn spend(&mut self, bytes: usize) -> Result<(), End> {
        self.left = self.left.checked_sub(to_u64(bytes)).ok_or(End::TooMany)?;
        Ok(())
    }

    fn keep(&mut self, tail: Tail) -> Result<(), End> {
        if self.tails.len() >= MOST_TAILS {
            return Err(End::TooMany);
        }
        self.tails.push(tail);
        Ok(())
    }
}
