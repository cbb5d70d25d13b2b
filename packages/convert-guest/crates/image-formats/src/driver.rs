//! The drivers of the formats that are read.
//!
//! The table is `packages/shared-abi/src/abi/formats.ts`. To add a format: its row there, and a module of its name in this
//! crate with a `probe` and an `open`. Nothing else knows formats.

use alloc::boxed::Box;

use crate::check::{CheckCounts, Findings};
use crate::disk_image::OpenOptions;
use crate::encrypted::ClusterKey;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::Image;
use crate::facts::{Facts, Identity, ListLimits};
use crate::keys::Unlocking;
use crate::probe::{Ends, Format};
use crate::snapshot_choice::SnapshotChoice;
use crate::source::{ByteSource, DeviceIndex};
use crate::within::Within;

/// An open image of some format.
pub trait FormatImage: Image {
    /// What the image says of itself.
    ///
    /// # Errors
    /// Whatever is wrong with the lists that it keeps.
    fn facts(&mut self, limits: ListLimits) -> Result<Facts, FormatError>;

    /// Looks whether all that the image needs lies inside its file, reading at most `budget` bytes of tables.
    ///
    /// # Errors
    /// `SourceFailed` and `OutOfMemory` only: what the image is to blame for is a finding.
    fn within_file(&mut self, budget: u64) -> Result<Within, FormatError>;

    /// Checks the metadata against itself, and tells what is found; `None` for formats that have nothing to check.
    ///
    /// # Errors
    /// `SourceFailed` and `OutOfMemory`, and lists that cannot be walked.
    fn check(&mut self, _: &mut dyn Findings) -> Result<Option<CheckCounts>, FormatError> {
        Ok(None)
    }

    /// Whether bytes of the disk lie in the file whether they were written or not, so that holes of the file are zeros of
    /// the disk that have a place.
    fn keeps_holes(&self) -> bool {
        false
    }

    /// Reads the disk as it was when a snapshot was taken, from now on. The virtual size stays.
    ///
    /// # Errors
    /// `SnapshotMissing`, `BadSnapshotTable`, `SourceFailed`, `OutOfMemory`.
    fn select_snapshot(
        &mut self,
        _: SnapshotChoice<'_>,
        device: DeviceIndex,
    ) -> Result<(), FormatError> {
        let expected = Expected::Sentence("an image of a format whose snapshots are read");
        let error = FormatError::new(ErrorKind::SnapshotMissing, device, "", 0, 0, expected);
        Err(error.with_text(b"of its format no snapshots are read; those of qcow2 are"))
    }

    /// Bytes that a packed file unpacks to; `None` for all that is not packed as a whole.
    fn unpacked(&self) -> Option<u64> {
        None
    }

    /// Whether the content cannot be mapped before a passphrase has unlocked it.
    fn is_locked(&self) -> bool {
        false
    }

    /// Tries a passphrase; false when it does not fit.
    ///
    /// # Errors
    /// `UnsupportedEncryption`, `KeyMemory`, `BadHeader`, `SourceFailed`, `OutOfMemory`.
    fn unlock(&mut self, _: &mut Unlocking<'_>) -> Result<bool, FormatError> {
        Ok(true)
    }

    /// The key that content of its clusters is written with, when it has been unlocked.
    fn key(&self) -> Option<ClusterKey> {
        None
    }

    /// The backing file's name as written, never empty; `None` for an image without one.
    fn backing_name(&self) -> Option<&[u8]> {
        None
    }

    /// Says which host file is the external data file, and how many bytes it has.
    ///
    /// # Errors
    /// `DataFileUnexpected` when the image keeps its data in itself.
    fn attach_data_file(&mut self, device: DeviceIndex, _size: u64) -> Result<(), FormatError> {
        let expected = Expected::Sentence("an image with an external data file");
        let kind = ErrorKind::DataFileUnexpected;
        Err(FormatError::new(kind, device, "format", 0, 0, expected))
    }

    /// The number that changes with the image's content, where the format has one.
    fn content_id(&self) -> Option<u32> {
        None
    }

    /// The content number that the backing image must have, where the format says one.
    fn parent_content_id(&self) -> Option<u32> {
        None
    }

    /// What images above this one know it by, where the format has such a number.
    fn identity(&self) -> Option<Identity> {
        None
    }

    /// What the backing image must be known by: one of these; empty where nothing is said.
    fn parent_identities(&self) -> &[Identity] {
        &[]
    }

    /// Takes the `number`th of the files that hold parts of the disk, in the order in which the image names them.
    ///
    /// # Errors
    /// `DataFileUnexpected` when there are not so many, and what is wrong with that file.
    fn attach_extent(
        &mut self,
        _number: usize,
        device: DeviceIndex,
        _source: Box<dyn ByteSource>,
    ) -> Result<(), FormatError> {
        let expected = Expected::Sentence("an image whose disk lies in several files");
        let kind = ErrorKind::DataFileUnexpected;
        Err(FormatError::new(kind, device, "format", 0, 0, expected))
    }
}

macro_rules! drivers {
    ($($format:ident => $module:ident;)*) => {
        /// Formats that are read.
        pub const READ: &[Format] = &[$(Format::$format,)*];

        /// Whether the reader of a format recognises the ends of a file; `None` for formats that are not read.
        pub(crate) fn claims(format: Format, ends: &Ends<'_>) -> Option<bool> {
            match format {
                $(Format::$format => { use crate::$module as driver; Some(driver::probe(ends)) })*
                _ => None,
            }
        }

        /// Opens a file as an image of a format.
        ///
        /// # Errors
        /// `UnsupportedFormat`, and whatever the format's reader refuses.
        pub(crate) fn open<'a, S: ByteSource + 'a>(
            format: Format,
            source: S,
            device: DeviceIndex,
            options: OpenOptions,
        ) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
            match format {
                $(Format::$format => { use crate::$module as driver; driver::open(source, device, options) })*
                other => Err(unsupported(other, device)),
            }
        }
    };
}

instar_abi::for_each_driver!(drivers);

fn unsupported(format: Format, device: DeviceIndex) -> FormatError {
    let expected = Expected::Sentence("a format that is read");
    let code = u64::from(format.code());
    let kind = ErrorKind::UnsupportedFormat;
    FormatError::new(kind, device, "format", 0, code, expected).with_text(format.name().as_bytes())
}
