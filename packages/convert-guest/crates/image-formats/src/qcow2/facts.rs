//! What a qcow2 image says of itself, and its place in the table of drivers.

use alloc::boxed::Box;

use crate::check::{CheckCounts, Findings};
use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::encrypted::ClusterKey;
use crate::error::FormatError;
use crate::facts::{Facts, ListLimits};
use crate::keys::Unlocking;
use crate::probe::{Ends, qcow_version};
use crate::qcow2::{Qcow2Image, features};
use crate::snapshot_choice::SnapshotChoice;
use crate::source::{ByteSource, DeviceIndex};
use crate::within::Within;

/// Whether a file begins like qcow2, of whichever version.
pub fn probe(ends: &Ends<'_>) -> bool {
    qcow_version(ends.head).is_some_and(|version| version >= 2)
}

/// Opens a qcow2 image; see [`Qcow2Image::open`].
///
/// # Errors
/// What [`Qcow2Image::open`] refuses.
pub fn open<'a, S: ByteSource + 'a>(
    source: S,
    device: DeviceIndex,
    options: OpenOptions,
) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
    let image = Qcow2Image::open(source, device, options.cache_blocks)?;
    Ok(Box::new(image))
}

impl<S: ByteSource> FormatImage for Qcow2Image<S> {
    fn facts(&mut self, limits: ListLimits) -> Result<Facts, FormatError> {
        let mut snapshots = self.snapshots(limits.snapshots.saturating_add(1))?;
        let more_snapshots = snapshots.len() > limits.snapshots;
        snapshots.truncate(limits.snapshots);
        let mut bitmaps = self.bitmaps(limits.bitmaps.saturating_add(1))?;
        let more_bitmaps = bitmaps.len() > limits.bitmaps;
        bitmaps.truncate(limits.bitmaps);
        let header = self.header();
        let extensions = self.extensions();
        let incompatible = |bit: u64| header.incompatible & bit != 0;
        Ok(Facts {
            version: header.version,
            cluster_size: header.cluster.size(),
            refcount_bits: header.refcount_bits,
            compression: Some(header.compression),
            encryption: header.encryption,
            features: [
                header.incompatible,
                header.compatible,
                header.autoclear.value,
            ],
            lazy_refcounts: header.compatible & features::COMPATIBLE_LAZY_REFCOUNTS != 0,
            dirty: incompatible(features::INCOMPATIBLE_DIRTY),
            corrupt: incompatible(features::INCOMPATIBLE_CORRUPT),
            extended_l2: header.has_extended_l2(),
            has_data_file: header.has_data_file(),
            data_file_raw: header.is_data_file_raw(),
            data_file: extensions.data_file_name.clone(),
            backing_file: Qcow2Image::backing_name(self).map(<[u8]>::to_vec),
            backing_format: extensions.backing_format.clone(),
            luks: self.luks.as_ref().map(|luks| luks.facts.clone()),
            snapshots,
            more_snapshots,
            bitmaps,
            more_bitmaps,
            ..Facts::default()
        })
    }

    fn within_file(&mut self, budget: u64) -> Result<Within, FormatError> {
        Qcow2Image::within_file(self, budget)
    }

    fn check(&mut self, findings: &mut dyn Findings) -> Result<Option<CheckCounts>, FormatError> {
        self.check_tables(findings).map(Some)
    }

    fn select_snapshot(
        &mut self,
        choice: SnapshotChoice<'_>,
        _: DeviceIndex,
    ) -> Result<(), FormatError> {
        self.load_snapshot(choice)
    }

    fn is_locked(&self) -> bool {
        self.lacks_key()
    }

    fn unlock(&mut self, with: &mut Unlocking<'_>) -> Result<bool, FormatError> {
        self.try_key(with)
    }

    fn key(&self) -> Option<ClusterKey> {
        self.key
    }

    fn backing_name(&self) -> Option<&[u8]> {
        Qcow2Image::backing_name(self)
    }

    fn attach_data_file(&mut self, device: DeviceIndex, size: u64) -> Result<(), FormatError> {
        Qcow2Image::attach_data_file(self, device, size)
    }
}
