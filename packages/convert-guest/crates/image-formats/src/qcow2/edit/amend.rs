//! Options of an image that are changed afterwards: its version, when refcounts are updated, how wide they are.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::references::descriptor;
use super::{COMPRESSED, COPIED, Editor, OFFSET, ZERO};
use crate::edit::{Amendment, EditTarget};
use crate::error::FormatError;
use crate::qcow2::{extensions, features};
use crate::structures::qcow2::header;

/// Width of the refcounts of every image of version 2.
const V2_REFCOUNT_BITS: u32 = 16;

impl<T: EditTarget> Editor<T> {
    /// Changes options. Returns whether all refcounts have to be counted anew.
    pub(super) fn amend(&mut self, wish: Amendment<'_>) -> Result<bool, FormatError> {
        let version = wish.version.unwrap_or(self.header.version);
        let bits = wish.refcount_bits.unwrap_or(self.header.refcount_bits);
        if version < 3 && bits != V2_REFCOUNT_BITS {
            let what =
                "version 2 (compat=0.10) has refcounts of 16 bits; set refcount_bits=16 first";
            return Err(self.unsupported(what));
        }
        if version < 3 && wish.lazy_refcounts == Some(true) {
            let what = "lazy refcounts need version 3 (compat=1.1)";
            return Err(self.unsupported(what));
        }
        self.require_data_file(wish)?;
        if version > self.header.version {
            self.set_version(version)?;
        }
        if let Some(name) = wish.data_file {
            let mut cluster = self.read_header_cluster()?;
            let name = (!name.is_empty()).then(|| name.to_vec());
            cluster.set_extension(extensions::DATA_FILE_NAME, name);
            self.write_header_cluster(cluster)?;
        }
        if wish.data_file_raw == Some(false) {
            let left = self.header.autoclear.value & !features::AUTOCLEAR_DATA_FILE_RAW;
            if left != self.header.autoclear.value {
                self.header.autoclear.value = left;
                self.file.put(0, header::AUTOCLEAR_FEATURES, left)?;
            }
        }
        if let Some(lazy) = wish.lazy_refcounts {
            let bit = features::COMPATIBLE_LAZY_REFCOUNTS;
            let compatible = if lazy {
                self.header.compatible | bit
            } else {
                self.header.compatible & !bit
            };
            if compatible != self.header.compatible {
                self.header.compatible = compatible;
                self.file.put(0, header::COMPATIBLE_FEATURES, compatible)?;
            }
        }
        if version < self.header.version {
            self.downgrade()?;
        }
        if bits == self.header.refcount_bits {
            return Ok(false);
        }
        self.file
            .put(0, header::REFCOUNT_ORDER, bits.trailing_zeros())?;
        self.header.refcount_bits = bits;
        self.drop_refcounts()?;
        Ok(true)
    }

    /// Refuses what is asked of a data file that an image does not have, or that would not be true of it.
    fn require_data_file(&self, wish: Amendment<'_>) -> Result<(), FormatError> {
        if wish.data_file.is_some() && !self.header.has_data_file() {
            let what = "a data file is named by images that have one, as this one has not";
            return Err(self.unsupported(what));
        }
        if wish.data_file_raw == Some(true) && !self.header.is_data_file_raw() {
            let what = "a data file that was none so far is no raw image afterwards";
            return Err(self.unsupported(what));
        }
        Ok(())
    }

    fn set_version(&mut self, version: u32) -> Result<(), FormatError> {
        let mut cluster = self.read_header_cluster()?;
        cluster.set_version(version);
        self.header.version = version;
        self.write_header_cluster(cluster)
    }

    fn downgrade(&mut self) -> Result<(), FormatError> {
        if self.header.incompatible != 0 {
            let what = "it has features that version 2 (compat=0.10) lacks";
            return Err(self.unsupported(what));
        }
        self.expand_zeros()?;
        self.file.flush()?;
        self.header.compatible = 0;
        self.header.autoclear.value = 0;
        self.set_version(2)
    }

    /// Makes clusters that read as zeros such that no entry has to say so.
    fn expand_zeros(&mut self) -> Result<(), FormatError> {
        let mut tables = BTreeMap::new();
        let active = self.read_l1(self.header.l1_table_offset, self.header.l1_entries)?;
        self.tables_of(&active, &mut tables)?;
        for l1 in self.snapshot_tables()? {
            self.tables_of(&l1, &mut tables)?;
        }
        let cluster = self.header.cluster;
        let has_backing = self.header.backing_name_offset.value != 0;
        for (table, index) in tables {
            let span = self.header.l1_span();
            let mut disk = span.times(index).unwrap_or(u64::MAX);
            let mut bytes = self.file.read_vec(table, cluster.size())?;
            let users = self.refcount(cluster.index_of(table))?;
            for chunk in bytes.chunks_exact_mut(self.entry_size()) {
                let entry = descriptor(chunk);
                let start = disk;
                disk = disk.saturating_add(cluster.size());
                if entry & COMPRESSED != 0 || entry & ZERO == 0 {
                    continue;
                }
                let host = entry & OFFSET;
                let plain = if host == 0 && !has_backing {
                    0
                } else if host == 0 {
                    let zeros = crate::staged_file::zeros(self.file.device(), 0, cluster.size())?;
                    let host = self.new_table(&zeros)?;
                    if let Some(encrypted) = self.encrypted(host, start, &zeros)? {
                        self.file.write(host, &encrypted)?;
                    }
                    self.set_refcount(cluster.index_of(host), users)?;
                    host | if users == 1 { COPIED } else { 0 }
                } else {
                    let zeros = crate::staged_file::zeros(self.file.device(), 0, cluster.size())?;
                    let encrypted = self.encrypted(host, start, &zeros)?;
                    self.file
                        .write(host, encrypted.as_deref().unwrap_or(&zeros))?;
                    entry & !ZERO
                };
                if let Some(place) = chunk.first_chunk_mut() {
                    *place = plain.to_be_bytes();
                }
            }
            self.file.write(table, &bytes)?;
        }
        Ok(())
    }

    /// L2 tables that an L1 table names, with the index of the entry that does.
    fn tables_of(&self, l1: &[u64], tables: &mut BTreeMap<u64, u64>) -> Result<(), FormatError> {
        for (index, entry) in (0_u64..).zip(l1) {
            tables.extend(self.table_in(0, *entry)?.map(|table| (table, index)));
        }
        Ok(())
    }

    /// The L1 tables of all snapshots.
    fn snapshot_tables(&mut self) -> Result<Vec<Vec<u64>>, FormatError> {
        let entries = self.entries()?;
        entries
            .iter()
            .map(|entry| Ok(self.l1_of(Some(entry))?.1))
            .collect()
    }
}
