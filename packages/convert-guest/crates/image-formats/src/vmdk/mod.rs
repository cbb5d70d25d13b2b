//! VMware disks: one file with grains (hosted sparse, stream-optimized, COWD, space-efficient), or a descriptor of text that
//! names extent files ("Virtual Disk Format 5.0").

mod appliance;
mod check;
mod descriptor;
mod edit;
mod files;
mod grains;
mod hosted;
mod se_sparse;
mod write;

use alloc::boxed::Box;

use crate::blocks::TableDisk;
use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::facts::{ExtentFile, ExtentFileKind, Facts};
use crate::metadata_cache::MetadataCache;
use crate::part_of_file::{PartImage, PartOfFile};
use crate::probe::{Ends, read_inside};
use crate::source::{ByteSource, DeviceIndex};

use descriptor::Descriptor;
pub use edit::edit;
use grains::{Entries, Grains};
pub use write::open_writer;

/// Whether a file begins with a magic of sparse extents, or is a descriptor.
pub fn probe(ends: &Ends<'_>) -> bool {
    let magics: [&[u8]; 3] = [hosted::MAGIC, hosted::COWD_MAGIC, se_sparse::MAGIC];
    magics.iter().any(|magic| ends.head.starts_with(magic))
        || is_descriptor(ends.head)
        || appliance::probe(ends.head)
}

/// A descriptor begins with comment lines and blank ones, then its version. QEMU goes by the version line, others by the
/// first comment; either is a claim.
fn is_descriptor(head: &[u8]) -> bool {
    if head.starts_with(b"# Disk DescriptorFile") {
        return true;
    }
    head.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .find(|line| !line.is_empty() && !line.starts_with(b"#"))
        .is_some_and(|line| [&b"version=1"[..], b"version=2", b"version=3"].contains(&line))
}

/// Opens an image, or one extent file of an image.
///
/// # Errors
/// What the readers of headers and descriptors refuse. An image in several files opens, and is refused when it is mapped
/// before its extents have been attached.
pub fn open<'a, S: ByteSource + 'a>(
    source: S,
    device: DeviceIndex,
    options: OpenOptions,
) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
    let mut source = source;
    let mut head = [0; 2048];
    read_inside(&mut source, 0, &mut head)
        .map_err(|error| FormatError::of_source(device, 0, error))?;
    if appliance::probe(&head) {
        return open_appliance(source, device, options);
    }
    let mut cache = MetadataCache::new(source, device, options.cache_blocks);
    if !is_descriptor(&head) {
        return open_cached(cache, &head);
    }
    let length = cache.file_size();
    let descriptor = Descriptor::read(&mut cache, 0, length)?;
    let disk = files::FilesDisk::new(device, descriptor, options)?;
    Ok(Box::new(disk))
}

/// Opens the disk inside an appliance.
fn open_appliance<'a, S: ByteSource + 'a>(
    mut source: S,
    device: DeviceIndex,
    options: OpenOptions,
) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
    let appliance::Member { start, length, .. } = appliance::find_disk(&mut source, device)?;
    let part = PartOfFile {
        source,
        start,
        length,
    };
    let image = open_grains(part, device, options).map_err(|error| error.moved(start))?;
    Ok(Box::new(PartImage { image, start }))
}

/// Opens a file with grains.
fn open_grains<'a, S: ByteSource + 'a>(
    source: S,
    device: DeviceIndex,
    options: OpenOptions,
) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
    let mut cache = MetadataCache::new(source, device, options.cache_blocks);
    let head = cache.read_vec(0, 2048)?;
    open_cached(cache, &head)
}

fn open_cached<'a, S: ByteSource + 'a>(
    mut cache: MetadataCache<S>,
    head: &[u8],
) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
    let (grains, embedded) = read_grains(&mut cache, head)?;
    let descriptor = match embedded {
        Some((offset, length)) => Descriptor::read(&mut cache, offset, length)?,
        None => Descriptor::default(),
    };
    let facts = facts_of_grains(&grains, &descriptor);
    Ok(Box::new(TableDisk {
        cache,
        size: grains.size,
        layout: grains,
        facts,
    }))
}

/// Where an embedded descriptor lies, and its length (bytes).
type Embedded = Option<(u64, u64)>;

/// The grains of a file that begins with one of the magics.
fn read_grains<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    head: &[u8],
) -> Result<(Grains, Embedded), FormatError> {
    if head.starts_with(hosted::MAGIC) {
        return hosted::read(cache);
    }
    if head.starts_with(hosted::COWD_MAGIC) {
        return Ok((hosted::read_cowd(cache)?, None));
    }
    if head.starts_with(se_sparse::MAGIC) {
        return Ok((se_sparse::read(cache)?, None));
    }
    let expected = Expected::Sentence("\"KDMV\", \"COWD\" or a descriptor of text");
    let kind = ErrorKind::NotThisFormat;
    Err(FormatError::new(
        kind,
        cache.device(),
        "magic",
        0,
        0,
        expected,
    ))
}

fn facts_of_grains(grains: &Grains, descriptor: &Descriptor) -> Facts {
    let compressed = matches!(
        grains.entries,
        Entries::Sectors {
            compressed: Some(_),
            ..
        }
    );
    let cluster_size = grains.grain.bytes();
    Facts {
        cluster_size,
        extent_files: alloc::vec![ExtentFile {
            name: alloc::vec::Vec::new(),
            kind: ExtentFileKind::None,
            virtual_size: grains.size,
            file_offset: 0,
            cluster_size,
            compressed,
        }],
        ..facts_of(descriptor)
    }
}

/// What a descriptor says of the whole disk.
fn facts_of(descriptor: &Descriptor) -> Facts {
    // An image with a parent names it; without a number there is none, whatever is hinted at.
    let parent = descriptor.parent.clone();
    let parent = parent.filter(|_| descriptor.parent_content_id.is_some());
    Facts {
        variant: descriptor.variant.clone(),
        content_id: Some(descriptor.content_id),
        parent_content_id: descriptor.parent_content_id,
        backing_format: parent.is_some().then(|| b"vmdk".to_vec()),
        backing_file: parent,
        ..Facts::default()
    }
}
