//! Disk-image formats as maps: a virtual range goes in, extents of host files come out.
//!
//! The crate reads metadata through [`ByteSource`] and touches no guest data: whoever asked copies,
//! decodes or zero-fills what an [`Extent`] says. Everything an image claims is checked before it is
//! used, memory is bounded by a cache of fixed size, and a fault is a [`FormatError`] that names its
//! field, place and value.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::indexing_slicing,
        clippy::panic
    )
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
#![warn(missing_docs)]

extern crate alloc;

pub mod arith;
mod asif;
mod blocks;
mod bochs;
pub mod chain;
pub mod check;
mod cloop;
pub mod content;
pub mod cursor;
pub mod disk_image;
mod dmg;
pub mod driver;
pub mod edit;
mod encrypted;
pub mod error;
pub mod extent;
pub mod facts;
pub mod field;
mod file_parts;
pub mod growing;
pub mod keys;
mod luks;
pub mod metadata_cache;
pub mod packed;
mod parallels;
mod part_of_file;
pub mod probe;
mod qcow;
pub mod qcow2;
mod qed;
pub mod raw;
mod resizing;
mod sector_bits;
mod simg;
mod snapshot_choice;
pub mod source;
mod sparseimage;
mod staged_file;
pub mod structure;
pub mod structures;
mod used_units;
mod vdi;
mod vhdx;
mod vmdk;
mod vpc;
mod windows_name;
pub mod within;

// Drivers are modules of this crate by the names of their formats.
use packed::{bzip2, gzip, xz, zstd};

pub use chain::{Chain, Located};
pub use check::{CheckCounts, Finding, FindingKind, Findings, Remedy};
pub use content::{Content, Recognised, recognise};
pub use disk_image::{DiskImage, OpenOptions};
pub use driver::FormatImage;
pub use edit::{
    Amendment, BitmapEdit, DiskWriter, Edit, EditTarget, Edited, OtherBitmaps, Shown, Take, Time,
    bitmaps_of, edit, edit_key_slots, open_writer, take_bitmaps,
};
pub use encrypted::{ClusterKey, ContentCipher};
pub use error::{ErrorKind, Expected, FormatError};
pub use extent::{Codec, Extent, ExtentKind, Image};
pub use facts::{
    Bitmap, Encryption, ExtentFile, ExtentFileKind, Facts, Identity, ListLimits, LuksFacts,
    LuksSlot, Snapshot,
};
pub use file_parts::FilePart;
pub use keys::{KeyIndex, KeyRing, Unlocking};
pub use luks::{SlotEdit, SlotKeys, sector_cipher};
pub use packed::PackedStream;
pub use probe::{Format, Probe, probe};
pub use qcow2::Qcow2Image;
pub use raw::RawImage;
pub use snapshot_choice::SnapshotChoice;
pub use source::{ByteSource, DeviceIndex, SourceError};
pub use within::{Beyond, Tail, Within};
