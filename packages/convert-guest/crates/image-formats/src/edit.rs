//! Edits of images: what may be asked, and which driver does it.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::encrypted::ContentCipher;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::Codec;
use crate::facts::{Bitmap, Identity};
use crate::luks::{SlotEdit, SlotKeys};
use crate::probe::Format;
use crate::source::{ByteSource, DeviceIndex, SourceError};
use crate::{luks, parallels, qcow, qcow2, qed, raw, vdi, vhdx, vmdk, vpc};

/// A file that is edited: what was written is read again.
pub trait EditTarget: ByteSource {
    /// Says that a range will be overwritten, so that what it holds can be kept; many of these cost one sync.
    ///
    /// # Errors
    /// What the host reports; so for all the others.
    fn preserve(&mut self, offset: u64, length: u64) -> Result<(), SourceError>;

    /// Writes bytes; the file grows where they end behind its end.
    ///
    /// # Errors
    /// See [`preserve`](Self::preserve).
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SourceError>;

    /// Writes what another file holds in a range, without the bytes coming here; the file grows where they end behind its end. False
    /// where that cannot be done: the range may hold anything then, and its bytes are to be written.
    ///
    /// # Errors
    /// See [`preserve`](Self::preserve).
    fn copy_at(
        &mut self,
        _offset: u64,
        _length: u64,
        _from: (DeviceIndex, u64),
    ) -> Result<bool, SourceError> {
        Ok(false)
    }

    /// Makes a range read as zeros; the file grows where it ends behind its end.
    ///
    /// # Errors
    /// See [`preserve`](Self::preserve).
    fn zero_at(&mut self, offset: u64, length: u64) -> Result<(), SourceError>;

    /// Says that nobody needs what a range holds once the edit is complete: its place may be given back to the file system then.
    ///
    /// # Errors
    /// See [`preserve`](Self::preserve).
    fn release(&mut self, _offset: u64, _length: u64) -> Result<(), SourceError> {
        Ok(())
    }

    /// Brings what was written to the disk, before anything that is written later.
    ///
    /// # Errors
    /// See [`preserve`](Self::preserve).
    fn flush(&mut self) -> Result<(), SourceError>;
}

impl<T: EditTarget + ?Sized> EditTarget for &mut T {
    fn preserve(&mut self, offset: u64, length: u64) -> Result<(), SourceError> {
        (**self).preserve(offset, length)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SourceError> {
        (**self).write_at(offset, bytes)
    }

    fn copy_at(
        &mut self,
        offset: u64,
        length: u64,
        from: (DeviceIndex, u64),
    ) -> Result<bool, SourceError> {
        (**self).copy_at(offset, length, from)
    }

    fn zero_at(&mut self, offset: u64, length: u64) -> Result<(), SourceError> {
        (**self).zero_at(offset, length)
    }

    fn release(&mut self, offset: u64, length: u64) -> Result<(), SourceError> {
        (**self).release(offset, length)
    }

    fn flush(&mut self) -> Result<(), SourceError> {
        (**self).flush()
    }
}

/// Reads of a target that is somebody else's.
pub(crate) struct Borrowed<'a, T>(pub &'a mut T);

impl<T: EditTarget> ByteSource for Borrowed<'_, T> {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        self.0.read_exact_at(offset, buffer)
    }
}

/// When something is done, as the host says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: u64,
    /// Nanoseconds within the second.
    pub nanoseconds: u32,
}

/// What is done to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Takes a snapshot.
    CreateSnapshot {
        /// Its name.
        name: &'a [u8],
        /// When.
        time: Time,
    },
    /// Goes back to the snapshot of this id, or else of this name.
    ApplySnapshot(&'a [u8]),
    /// Removes the first snapshot of this name.
    DeleteSnapshot(&'a [u8]),
    /// Makes the metadata agree with itself.
    Repair {
        /// What nothing uses is freed, and all else left alone.
        leaks_only: bool,
    },
    /// Changes a bitmap.
    Bitmap {
        /// Its name.
        name: &'a [u8],
        /// How.
        edit: BitmapEdit<'a>,
    },
    /// Names another backing file, whatever that holds; none where the name is empty.
    SetBacking {
        /// Its name.
        name: &'a [u8],
        /// Its format.
        format: &'a [u8],
        /// What it is known by, where it is there and its format has that.
        parent: Option<Identity>,
    },
    /// Gives all that the image holds back to its backing file.
    Empty,
    /// Changes options.
    Amend(Amendment<'a>),
    /// Gives the disk another size.
    Resize {
        /// Bytes of the disk.
        size: u64,
        /// Data may be cut off.
        shrink: bool,
        /// What is added has its place in the file at once.
        preallocate: bool,
    },
}

/// What is done to a bitmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitmapEdit<'a> {
    /// It is made, empty and recording.
    Add {
        /// A bit stands for 2 to this many bytes.
        granularity_bits: Option<u8>,
    },
    /// It goes.
    Remove,
    /// No bit is set any more.
    Clear,
    /// Whether it records writes.
    Record(bool),
    /// It gets the bits of the bitmap of this name as well.
    Merge(&'a [u8]),
}

/// Bitmaps of another image, which is not edited.
pub trait OtherBitmaps {
    /// Bytes of the disk.
    fn virtual_size(&self) -> u64;

    /// All of them: name, bytes that a bit stands for, whether it records, and whether it was saved properly.
    ///
    /// # Errors
    /// As for [`edit`]; so for the other.
    fn list(&mut self) -> Result<Vec<Bitmap>, FormatError>;

    /// Tells the ranges of the disk (start and end in bytes) whose bits are set in a bitmap of the list.
    ///
    /// # Errors
    /// See [`list`](Self::list), and what `take` refuses.
    fn each_range(
        &mut self,
        bitmap: &Bitmap,
        take: &mut dyn FnMut(u64, u64) -> Result<(), FormatError>,
    ) -> Result<(), FormatError>;
}

/// What is taken of the bitmaps of another image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take<'a> {
    /// The bits of one, into one that there is.
    Bits {
        /// Name of the other image's.
        from: &'a [u8],
        /// Name of the one that gets them.
        to: &'a [u8],
    },
    /// All of them, as they are.
    All {
        /// Those that were not saved properly are left out, rather than refused.
        skip_broken: bool,
    },
}

/// Takes bitmaps of another image into the image in `target`.
///
/// # Errors
/// As for [`edit`].
pub fn take_bitmaps<T: EditTarget>(
    format: Format,
    target: T,
    device: DeviceIndex,
    other: &mut dyn OtherBitmaps,
    take: Take<'_>,
) -> Result<Edited, FormatError> {
    match format {
        Format::Qcow2 => qcow2::take_bitmaps(target, device, other, take),
        format => Err(unsupported(device, format.name())),
    }
}

/// The bitmaps of an image that is not edited.
///
/// # Errors
/// As for [`edit`].
pub fn bitmaps_of<'a, S: ByteSource + 'a>(
    format: Format,
    source: S,
    device: DeviceIndex,
) -> Result<Box<dyn OtherBitmaps + 'a>, FormatError> {
    match format {
        Format::Qcow2 => qcow2::bitmaps_of(source, device),
        format => Err(unsupported(device, format.name())),
    }
}

/// Options that are changed; `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amendment<'a> {
    /// Version of the format.
    pub version: Option<u32>,
    /// Whether refcounts are updated late.
    pub lazy_refcounts: Option<bool>,
    /// Width of a refcount.
    pub refcount_bits: Option<u32>,
    /// Name of the external data file, of an image that has one; empty for none that is known.
    pub data_file: Option<&'a [u8]>,
    /// Whether the external data file is a raw image as well.
    pub data_file_raw: Option<bool>,
}

/// Writes to the disk of an image that is edited.
pub trait DiskWriter {
    /// Bytes of the unit in which it is written: whole ones, at multiples of it, but for the end of the disk.
    fn unit(&self) -> u64;

    /// Bytes of the disk.
    fn virtual_size(&self) -> u64;

    /// Gives units that are overwritten as a whole another place from now on, where the format has them at any place: what they held
    /// is still in the file then, and need not be kept elsewhere. Their old places are released in the end.
    fn replace(&mut self) {}

    /// Writes the content of one unit.
    ///
    /// # Errors
    /// As for [`edit`]; so for all the others.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormatError>;

    /// Writes the content of the first of some whole units (`length` bytes) as another file holds it at `from`, without the bytes coming
    /// here. Returns how many bytes that were; the others have to be written.
    ///
    /// # Errors
    /// See [`write`](Self::write).
    fn copy(
        &mut self,
        _offset: u64,
        _length: u64,
        _from: (DeviceIndex, u64),
    ) -> Result<u64, FormatError> {
        Ok(0)
    }

    /// Writes into a part of a unit that has a place of its own in the file already. False where it has none, or shares it;
    /// nothing is written then, and the unit must be written as a whole.
    ///
    /// # Errors
    /// See [`write`](Self::write).
    fn patch(&mut self, offset: u64, bytes: &[u8]) -> Result<bool, FormatError>;

    /// Brings what was written so far to the disk.
    ///
    /// # Errors
    /// See [`write`](Self::write).
    fn flush(&mut self) -> Result<(), FormatError>;

    /// The codec of units that are kept compressed; `None` where none are.
    fn codec(&self) -> Option<Codec> {
        None
    }

    /// Writes the content of one unit, compressed to `stream`, which is shorter than the unit. False where there is no room for
    /// it in the format; nothing is written then.
    ///
    /// # Errors
    /// See [`write`](Self::write).
    fn write_packed(&mut self, _offset: u64, _stream: &[u8]) -> Result<bool, FormatError> {
        Ok(false)
    }

    /// Makes one unit read as zeros.
    ///
    /// # Errors
    /// See [`write`](Self::write).
    fn zero(&mut self, offset: u64, length: u64) -> Result<(), FormatError>;

    /// Names another backing file.
    ///
    /// # Errors
    /// See [`write`](Self::write).
    fn set_backing(
        &mut self,
        name: &[u8],
        format: &[u8],
        parent: Option<Identity>,
    ) -> Result<(), FormatError>;

    /// Gives the disk more bytes; with `preallocate` they have a place in the file at once, where tables of the format name places.
    ///
    /// # Errors
    /// See [`write`](Self::write).
    fn grow(&mut self, size: u64, preallocate: bool) -> Result<(), FormatError>;

    /// Where the content of the disk ends that the file has (bytes): before `virtual_size`, where that is rounded up.
    fn content_end(&self) -> u64 {
        self.virtual_size()
    }

    /// Brings everything to the disk.
    ///
    /// # Errors
    /// See [`write`](Self::write).
    fn finish(&mut self) -> Result<Edited, FormatError>;
}

/// Whether what the disk shows becomes another: some images above it know it by a number that changes then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It shows what it did.
    Stays,
    /// It may show something else.
    Changes {
        /// When (nanoseconds since 1970, 0 where that is not known): copies of an image that become different ones are told apart.
        when: u64,
    },
}

/// Opens the image in `target` for writing its disk: into the file `data` where the image has its data in another file. What an encrypted
/// one gets is encrypted by `cipher`.
///
/// # Errors
/// As for [`edit`].
pub fn open_writer<'a, T: EditTarget + 'a>(
    format: Format,
    target: T,
    device: DeviceIndex,
    data: Option<(T, DeviceIndex)>,
    shown: Shown,
    cipher: Option<Rc<dyn ContentCipher>>,
) -> Result<Box<dyn DiskWriter + 'a>, FormatError> {
    match format {
        Format::Raw => Ok(raw::open_writer(target, device)),
        Format::Qcow2 => qcow2::open_writer(target, device, data, cipher),
        Format::Luks => luks::open_writer(target, device, cipher),
        Format::Parallels => parallels::open_writer(target, device),
        Format::Qcow => qcow::open_writer(target, device),
        Format::Qed => qed::open_writer(target, device),
        Format::Vdi => vdi::open_writer(target, device),
        Format::Vhdx => vhdx::open_writer(target, device, shown),
        Format::Vmdk => vmdk::open_writer(target, device),
        Format::Vpc => vpc::open_writer(target, device),
        other => Err(not_of_format(device, other)),
    }
}

/// What came of an edit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edited {
    /// Bytes that the file is to have: what lies behind them is cut off.
    pub file_length: u64,
    /// Bytes of the disk.
    pub virtual_size: u64,
    /// Contradictions that were mended.
    pub corruptions_fixed: u64,
    /// Leaks that were freed.
    pub leaks_fixed: u64,
    /// Key slots that were changed: bit n stands for slot n.
    pub key_slots: u32,
}

/// Edits the image in `target`. Everything has reached the disk when this returns; the order of the writes is such that an
/// image whose edit stops halfway has leaks at most, where the format allows that. Few edits of encrypted images need their
/// `cipher`.
///
/// # Errors
/// `UnsupportedEdit`, `RepairFirst`, and whatever the reader of the format refuses.
pub fn edit<T: EditTarget>(
    format: Format,
    target: T,
    device: DeviceIndex,
    edit: &Edit<'_>,
    cipher: Option<Rc<dyn ContentCipher>>,
) -> Result<Edited, FormatError> {
    match format {
        Format::Raw => raw::edit(target, device, edit),
        Format::Qcow2 => qcow2::edit(target, device, edit, cipher),
        Format::Parallels => parallels::edit(target, device, edit),
        Format::Qed => qed::edit(target, device, edit),
        Format::Vdi => vdi::edit(target, device, edit),
        Format::Vhdx => vhdx::edit(target, device, edit),
        Format::Vpc => vpc::edit(target, device, edit),
        Format::Vmdk => vmdk::edit(target, device, edit),
        Format::Luks => luks::edit(target, device, edit),
        other => Err(not_of_format(device, other)),
    }
}

/// Changes key slots of the image in `target`, as [`edit`] edits it.
///
/// # Errors
/// As for [`edit`], and `Encrypted` where no passphrase opens the image.
pub fn edit_key_slots<T: EditTarget>(
    format: Format,
    target: T,
    device: DeviceIndex,
    keys: &SlotKeys<'_>,
    edit: &SlotEdit<'_>,
) -> Result<Edited, FormatError> {
    match format {
        Format::Qcow2 => qcow2::edit_key_slots(target, device, keys, edit),
        Format::Luks => luks::edit_key_slots(target, device, keys, edit),
        other => Err(not_of_format(device, other)),
    }
}

/// The refusal of an edit that a format does not know.
pub(crate) fn unsupported(device: DeviceIndex, what: &str) -> FormatError {
    let expected = Expected::Sentence("another edit");
    FormatError::new(ErrorKind::UnsupportedEdit, device, "", 0, 0, expected)
        .with_text(what.as_bytes())
}

/// The refusal of a disk that is written and has no room.
pub(crate) fn too_small(device: DeviceIndex) -> FormatError {
    let what = "the disk that gets the content is smaller than that; resize it first";
    unsupported(device, what)
}

/// The refusal of an edit that is not done to images of a format.
pub(crate) fn not_of_format(device: DeviceIndex, format: Format) -> FormatError {
    let what = format!("that is not done to images of format {}", format.name());
    unsupported(device, &what)
}
