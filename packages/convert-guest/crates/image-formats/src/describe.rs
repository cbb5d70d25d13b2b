//! What an image says of itself, in the terms of `qemu-img info`.

use crate::disk_image::DiskImage;
use crate::extent::{Codec, Image};
use crate::probe::Format;
use crate::qcow2::{Encryption, Qcow2Image, features};
use crate::source::ByteSource;

/// What is common to all formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description<'a> {
    /// How the file is read.
    pub format: Format,
    /// Bytes of the virtual disk.
    pub virtual_size: u64,
    /// Bytes of the image file.
    pub file_size: u64,
    /// What only qcow2 has to say.
    pub qcow2: Option<Qcow2Description<'a>>,
}

/// What a qcow2 image says of itself. Names are as written, up to their first zero byte: the image
/// author's bytes, to be escaped before they reach a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Qcow2Description<'a> {
    /// 2 ("0.10") or 3 ("1.1").
    pub version: u32,
    /// Bytes of a cluster.
    pub cluster_size: u64,
    /// How compressed clusters are compressed.
    pub compression: Codec,
    /// Width of a refcount.
    pub refcount_bits: u32,
    /// Refcount updates may be postponed.
    pub lazy_refcounts: bool,
    /// Refcounts may be stale.
    pub dirty: bool,
    /// The image was found to be inconsistent.
    pub corrupt: bool,
    /// L2 entries describe subclusters.
    pub extended_l2: bool,
    /// The encryption method.
    pub encryption: Encryption,
    /// Guest data lies in another file.
    pub has_data_file: bool,
    /// That file's name, where one is written.
    pub data_file: Option<&'a [u8]>,
    /// That file is a raw image of its own.
    pub data_file_raw: bool,
    /// The backing file's name.
    pub backing_file: Option<&'a [u8]>,
    /// The backing image's format, as a name; perhaps none that is known.
    pub backing_format: Option<&'a [u8]>,
    /// Internal snapshots.
    pub snapshot_count: u32,
    /// Persistent bitmaps.
    pub bitmap_count: u32,
}

impl<S: ByteSource> DiskImage<S> {
    /// What the image says of itself.
    pub fn describe(&self) -> Description<'_> {
        let (file_size, qcow2) = match self {
            Self::Raw(image) => (image.file_size(), None),
            Self::Qcow2(image) => (image.file_size(), Some(image.describe())),
        };
        Description {
            format: self.format(),
            virtual_size: self.virtual_size(),
            file_size,
            qcow2,
        }
    }
}

impl<S: ByteSource> Qcow2Image<S> {
    /// What the image says of itself.
    pub fn describe(&self) -> Qcow2Description<'_> {
        let header = self.header();
        let extensions = self.extensions();
        let incompatible = |bit: u64| header.incompatible & bit != 0;
        Qcow2Description {
            version: header.version,
            cluster_size: header.cluster.size(),
            compression: header.compression,
            refcount_bits: header.refcount_bits,
            lazy_refcounts: header.compatible & features::COMPATIBLE_LAZY_REFCOUNTS != 0,
            dirty: incompatible(features::INCOMPATIBLE_DIRTY),
            corrupt: incompatible(features::INCOMPATIBLE_CORRUPT),
            extended_l2: header.has_extended_l2(),
            encryption: header.encryption,
            has_data_file: header.has_data_file(),
            data_file: extensions.data_file_name.as_deref(),
            data_file_raw: header.is_data_file_raw(),
            backing_file: self.backing_name(),
            backing_format: extensions.backing_format.as_deref(),
            snapshot_count: header.snapshot_count.value,
            bitmap_count: extensions
                .bitmaps
                .map_or(0, |directory| directory.count.value),
        }
    }
}
