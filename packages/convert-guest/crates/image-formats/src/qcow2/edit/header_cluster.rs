//! The first cluster, taken apart and put together again: the header, its extensions, the name of the backing file. What is not
//! known is kept as it is.

use alloc::vec::Vec;

use super::Editor;
use crate::edit::EditTarget;
use crate::error::FormatError;
use crate::qcow2::extensions;
use crate::structure::{Number, Stored, put};
use crate::structures::qcow2::header;

/// Bytes of a header of version 2.
const V2_LENGTH: usize = 72;
/// Bytes of a header of version 3 without anything optional.
const V3_LENGTH: usize = 104;

/// The first cluster.
pub(super) struct HeaderCluster {
    /// The fields, as long as the image says that they are.
    fields: Vec<u8>,
    /// Tags and data of the extensions.
    extensions: Vec<(u32, Vec<u8>)>,
    /// Name of the backing file; empty for none.
    pub backing_name: Vec<u8>,
}

impl HeaderCluster {
    /// Sets a field.
    pub fn put<N: Stored>(&mut self, number: Number<N>, value: N::Value) {
        put(&mut self.fields, number, value);
    }

    /// Puts an extension into the place of those of its tag; `None` removes them.
    pub fn set_extension(&mut self, tag: u32, data: Option<Vec<u8>>) {
        let at = self.extensions.iter().position(|(known, _)| *known == tag);
        self.extensions.retain(|(known, _)| *known != tag);
        if let Some(data) = data {
            let at = at.unwrap_or(0).min(self.extensions.len());
            self.extensions.insert(at, (tag, data));
        }
    }

    /// Makes it version 2 or 3. What version 2 does not have is lost.
    pub fn set_version(&mut self, version: u32) {
        self.put(header::VERSION, version);
        if version == 2 {
            self.fields.truncate(V2_LENGTH);
            return;
        }
        if self.fields.len() < V3_LENGTH {
            self.fields.resize(V3_LENGTH, 0);
            self.put(header::REFCOUNT_ORDER, 4);
        }
    }

    fn bytes(mut self) -> Vec<u8> {
        let is_version_3 = self.fields.len() >= V3_LENGTH;
        if is_version_3 {
            let length = u32::try_from(self.fields.len()).unwrap_or(u32::MAX);
            self.put(header::HEADER_LENGTH, length);
        }
        let mut behind = Vec::new();
        for (tag, data) in &self.extensions {
            behind.extend_from_slice(&tag.to_be_bytes());
            let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
            behind.extend_from_slice(&length.to_be_bytes());
            behind.extend_from_slice(data);
            behind.resize(behind.len().next_multiple_of(8), 0);
        }
        behind.extend_from_slice(&[0; 8]);
        let name = core::mem::take(&mut self.backing_name);
        let offset = match name.len() {
            0 => 0,
            _ => crate::arith::to_u64(self.fields.len().saturating_add(behind.len())),
        };
        self.put(header::BACKING_FILE_OFFSET, offset);
        let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
        self.put(header::BACKING_FILE_SIZE, length);
        let mut bytes = self.fields;
        bytes.append(&mut behind);
        bytes.extend_from_slice(&name);
        bytes
    }
}

impl<T: EditTarget> Editor<T> {
    /// Reads the first cluster as it is now.
    pub(super) fn read_header_cluster(&mut self) -> Result<HeaderCluster, FormatError> {
        let length = self.header.header_length;
        let fields = self.file.read_vec(0, length)?;
        let mut list = Vec::new();
        let end = self.header.extensions_end();
        let mut at = length;
        while at.saturating_add(8) <= end {
            let head = self.file.be64(at)?.to_be_bytes();
            let [a, b, c, d, e, f, g, h] = head;
            let tag = u32::from_be_bytes([a, b, c, d]);
            let size = u64::from(u32::from_be_bytes([e, f, g, h]));
            at = at.saturating_add(8);
            if tag == extensions::END || at.saturating_add(size) > end {
                break;
            }
            list.push((tag, self.file.read_vec(at, size)?));
            at = at
                .saturating_add(size)
                .checked_next_multiple_of(8)
                .unwrap_or(u64::MAX);
        }
        let backing_name = match self.header.backing_name_offset.value {
            0 => Vec::new(),
            offset => {
                let length = u64::from(self.header.backing_name_length.value);
                extensions::until_nul(self.file.read_vec(offset, length)?)
            }
        };
        Ok(HeaderCluster {
            fields,
            extensions: list,
            backing_name,
        })
    }

    /// Writes the first cluster, and takes over where its parts lie now.
    pub(super) fn write_header_cluster(
        &mut self,
        cluster: HeaderCluster,
    ) -> Result<(), FormatError> {
        let fields = cluster.fields.len();
        let name = cluster.backing_name.len();
        let mut bytes = cluster.bytes();
        let room = self.header.cluster.in_memory();
        if bytes.len() > room {
            let what = "its first cluster has no room for all that the header would say";
            return Err(self.unsupported(what));
        }
        let offset = match name {
            0 => 0,
            _ => bytes.len().saturating_sub(name),
        };
        bytes.resize(room, 0);
        self.file.write(0, &bytes)?;
        self.header.header_length = crate::arith::to_u64(fields);
        self.header.backing_name_offset.value = crate::arith::to_u64(offset);
        self.header.backing_name_length.value = u32::try_from(name).unwrap_or(u32::MAX);
        Ok(())
    }

    /// Bytes of the longest name of a backing file that QEMU takes.
    const MOST_BACKING_NAME: usize = 1023;

    /// Names another backing file, or none: the disk then shows what that holds, whatever the old one held.
    pub(super) fn set_backing(&mut self, name: &[u8], format: &[u8]) -> Result<(), FormatError> {
        if name.len() > Self::MOST_BACKING_NAME {
            return Err(self.unsupported("the name of the backing file is too long"));
        }
        let mut cluster = self.read_header_cluster()?;
        cluster.backing_name = name.to_vec();
        let format = (!name.is_empty() && !format.is_empty()).then(|| format.to_vec());
        cluster.set_extension(extensions::BACKING_FORMAT, format);
        self.write_header_cluster(cluster)
    }
}
