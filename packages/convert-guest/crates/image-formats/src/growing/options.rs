//! What images of all formats are made with.

use crate::facts::Identity;
use crate::qcow2::writer::{Backing, DataFile, LayoutOptions};

/// Which kind of image of its format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subformat {
    /// The one that grows, where the format has one.
    #[default]
    Default,
    /// Every block has a place from the start (vpc, vdi, vhdx).
    Fixed,
    /// Compressed blocks one behind the other (vmdk).
    StreamOptimized,
    /// A part of a disk that another file describes (vmdk).
    Extent,
}

/// Options of a new image; each format takes those that it has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// qcow2.
    pub qcow2: LayoutOptions,
    /// qcow2, qed, qcow, vpc, vhdx: the image below.
    pub backing: Option<Backing<'a>>,
    /// vpc, vhdx: what they know the image below by.
    pub parent: Option<Identity>,
    /// qcow2: the file that has its data.
    pub data_file: Option<DataFile<'a>>,
    /// All formats.
    pub subformat: Subformat,
    /// vhdx: bytes of a block, 0 for what suits the disk; qed, parallels: bytes of a cluster, 0 for the usual ones.
    pub block_size: u32,
    /// qed: clusters of a table, 0 for the usual ones.
    pub table_clusters: u32,
    /// vpc: readers take the size from the geometry, which must come to it.
    pub geometry: bool,
    /// vmdk: type of the adapter, empty for `ide`.
    pub adapter: &'a [u8],
    /// vmdk: version of the virtual hardware, 0 for 4.
    pub hardware_version: u32,
    /// vmdk: version of the tools of the guest, 0 for those that nobody manages.
    pub tools_version: u32,
    /// vmdk: an entry may say that its grain is zeros.
    pub zeroed_grains: bool,
    /// vhdx: bytes of the log, whole MiB; 0 for one.
    pub log_size: u32,
    /// luks: bytes of the header.
    pub header_length: u64,
    /// simg: what was written is not written again, since it goes into a stream.
    pub in_order: bool,
}
