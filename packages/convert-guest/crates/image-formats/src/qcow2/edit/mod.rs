//! Edits of qcow2 images, in phases: what is new is written where nothing was, counted, and on the disk before the header or a
//! table names it; what is not needed any more is freed last. A program that knows nothing of undo logs sees leaks at most.

mod allocate;
mod amend;
mod bitmaps;
mod data_file;
mod empty;
mod header_cluster;
mod references;
mod repair;
mod replace;
mod resize;
mod snapshots;
mod write;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::arith::SECTOR;
use crate::edit::{
    Borrowed, DiskWriter, Edit, EditTarget, Edited, OtherBitmaps, Take, unsupported,
};
use crate::encrypted::ContentCipher;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::luks::{self, SlotEdit, SlotKeys};
use crate::probe::Format;
use crate::qcow2::{Encryption, Extensions, Header, Qcow2Image, features, l1};
use crate::resizing::require_sound;
use crate::source::DeviceIndex;
use crate::staged_file::StagedFile;
use crate::structures::qcow2 as disk;
use data_file::DataFile;
use repair::{Repaired, repair};
use replace::Replaced;
use write::{Packed, Writer};

/// Bit 63 of L1 and L2 entries: the refcount is exactly one.
const COPIED: u64 = 1 << 63;
/// Bit 62 of an L2 entry: the cluster is compressed.
const COMPRESSED: u64 = 1 << 62;
/// Bits 9 to 55 of an entry: an offset.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// Bit 0 of a standard L2 entry: the cluster reads as zeros.
const ZERO: u64 = 1;

/// Edits the image in `target`.
///
/// # Errors
/// What [`Qcow2Image::open`] refuses, `RepairFirst` where the metadata contradicts itself, `UnsupportedEdit`.
pub fn edit<T: EditTarget>(
    mut target: T,
    device: DeviceIndex,
    edit: &Edit<'_>,
    cipher: Option<Rc<dyn ContentCipher>>,
) -> Result<Edited, FormatError> {
    let mut repaired = Repaired::default();
    if let Edit::Repair { leaks_only } = *edit {
        repaired = repair(&mut target, device, leaks_only)?;
    }
    let mut editor = open(&mut target, device)?;
    if editor.header.incompatible & features::INCOMPATIBLE_DIRTY != 0 && !is_repair(edit) {
        // Refcounts that were to be updated late, and were not.
        repair(&mut target, device, false)?;
        editor = open(&mut target, device)?;
    }
    if takes_clusters(edit) && !editor.only_grows_in_place(edit)? {
        drop(editor);
        // What is in use and counted as free would be given away.
        require_sound(&mut target, device, Format::Qcow2)?;
        editor = open(&mut target, device)?;
    }
    if !is_repair(edit) {
        editor.begin()?;
    }
    editor.cipher = cipher;
    let mut recount = false;
    match *edit {
        Edit::CreateSnapshot { name, time } => editor.create_snapshot(name, time)?,
        Edit::ApplySnapshot(name) => editor.apply_snapshot(name)?,
        Edit::DeleteSnapshot(name) => editor.delete_snapshot(name)?,
        Edit::Resize {
            size,
            shrink,
            preallocate,
        } => {
            let before = editor.header.size;
            editor.resize(size, shrink)?;
            // What a raw data file gets is the disk's at once: with no place in it that would read as zeros, whatever it holds.
            let preallocate = preallocate || editor.header.is_data_file_raw();
            if preallocate && size > before {
                editor.preallocate(before, size)?;
            }
        }
        Edit::Repair { .. } => {}
        Edit::Bitmap { name, edit } => editor.edit_bitmap(name, edit)?,
        Edit::SetBacking { name, format, .. } => editor.set_backing(name, format)?,
        Edit::Empty => editor.empty()?,
        Edit::Amend(wish) => recount = editor.amend(wish)?,
    }
    editor.file.flush()?;
    let keep = keep_of(&editor);
    let virtual_size = SECTOR.round_down(editor.header.size);
    if recount {
        let counted = repair(&mut target, device, false)?;
        if counted.left > 0 {
            let what = "a cluster has more references than refcounts of this width can count";
            return Err(unsupported(device, what));
        }
    }
    Ok(Edited {
        file_length: keep,
        virtual_size,
        corruptions_fixed: repaired.corruptions,
        leaks_fixed: repaired.leaks,
        ..Edited::default()
    })
}

/// Takes bitmaps of another image into the image in `target`.
///
/// # Errors
/// As for [`edit`].
pub fn take_bitmaps<T: EditTarget>(
    mut target: T,
    device: DeviceIndex,
    other: &mut dyn OtherBitmaps,
    take: Take<'_>,
) -> Result<Edited, FormatError> {
    let header = open(&mut target, device)?.header;
    if header.incompatible & features::INCOMPATIBLE_DIRTY != 0 {
        repair(&mut target, device, false)?;
    }
    require_sound(&mut target, device, Format::Qcow2)?;
    let mut editor = open(&mut target, device)?;
    editor.begin()?;
    editor.take_bitmaps(other, take)?;
    editor.file.flush()?;
    Ok(Edited {
        file_length: keep_of(&editor),
        virtual_size: SECTOR.round_down(editor.header.size),
        ..Edited::default()
    })
}

/// Changes key slots of the image in `target`, which is encrypted with LUKS.
///
/// # Errors
/// As for [`edit`], and `Encrypted` where no passphrase opens it.
pub fn edit_key_slots<T: EditTarget>(
    mut target: T,
    device: DeviceIndex,
    keys: &SlotKeys<'_>,
    edit: &SlotEdit<'_>,
) -> Result<Edited, FormatError> {
    let image = Qcow2Image::open(Borrowed(&mut target), device, 4)?;
    let (header, place) = (image.header, image.extensions.encryption_header);
    let what = match header.encryption {
        Encryption::None => "it is not encrypted, and has no key slots",
        _ => "it is encrypted as versions before LUKS did it, which has no key slots",
    };
    let (Some(luks), Some(place)) = (image.luks, place) else {
        return Err(unsupported(device, what));
    };
    let mut editor = open(&mut target, device)?;
    editor.begin()?;
    editor.file.flush()?;
    let start = place.offset.value;
    let within = start..start.saturating_add(place.length);
    let changed = luks::edit_slots(&mut target, device, &luks, within, keys, edit)?;
    Ok(Edited {
        file_length: u64::MAX,
        virtual_size: SECTOR.round_down(header.size),
        key_slots: changed,
        ..Edited::default()
    })
}

/// Opens the image in `target` for writing its disk, which lies in `data` where that is another file.
///
/// # Errors
/// As for [`edit`].
pub fn open_writer<'a, T: EditTarget + 'a>(
    mut target: T,
    device: DeviceIndex,
    data: Option<(T, DeviceIndex)>,
    cipher: Option<Rc<dyn ContentCipher>>,
) -> Result<Box<dyn DiskWriter + 'a>, FormatError> {
    let image = Qcow2Image::open(Borrowed(&mut target), device, 4)?;
    let (header, extensions) = (image.header, image.extensions);
    if header.incompatible & features::INCOMPATIBLE_DIRTY != 0 {
        repair(&mut target, device, false)?;
        return open_writer(target, device, data, cipher);
    }
    // What is in use and counted as free would be given away.
    require_sound(&mut target, device, Format::Qcow2)?;
    let mut editor = Editor::of(StagedFile::new(target, device), header, extensions);
    editor.begin()?;
    if editor.header.has_data_file() {
        let Some((target, device)) = data else {
            let what = "its external data file is not there to be written to";
            return Err(editor.unsupported(what));
        };
        editor.data = Some(DataFile { target, device });
    }
    editor.cipher = cipher;
    editor.require_key()?;
    Ok(Box::new(Writer {
        editor,
        packed: Packed::default(),
        kept: None,
    }))
}

/// Where the file is to be cut.
fn keep_of<T>(editor: &Editor<T>) -> u64 {
    editor.keep.unwrap_or(u64::MAX)
}

/// Whether an edit takes clusters that count as free, or gives some back.
fn takes_clusters(edit: &Edit<'_>) -> bool {
    match edit {
        Edit::CreateSnapshot { .. }
        | Edit::ApplySnapshot(_)
        | Edit::DeleteSnapshot(_)
        | Edit::Resize { .. }
        | Edit::Bitmap { .. }
        | Edit::Amend(_) => true,
        Edit::Repair { .. } | Edit::SetBacking { .. } | Edit::Empty => false,
    }
}

fn is_repair(edit: &Edit<'_>) -> bool {
    matches!(edit, Edit::Repair { .. })
}

fn open<T: EditTarget>(target: &mut T, device: DeviceIndex) -> Result<Editor<&mut T>, FormatError> {
    let image = Qcow2Image::open(Borrowed(&mut *target), device, 4)?;
    let (header, extensions) = (image.header, image.extensions);
    Ok(Editor::of(
        StagedFile::new(target, device),
        header,
        extensions,
    ))
}

/// An image that is edited.
struct Editor<T> {
    file: StagedFile<T>,
    header: Header,
    extensions: Extensions,
    /// Number of the first cluster that may be free.
    first_free: u64,
    /// Number of the first cluster behind all that is used.
    end: u64,
    /// Where the file is to be cut.
    keep: Option<u64>,
    /// Numbers of clusters that hold metadata, whatever their refcounts say.
    metadata: Option<BTreeSet<u64>>,
    /// What content is encrypted by.
    cipher: Option<Rc<dyn ContentCipher>>,
    /// Where content is written, if that is another file.
    data: Option<DataFile<T>>,
    /// What got another place, where that is how clusters are overwritten.
    replaced: Option<Replaced>,
    /// A cluster of the disk that was written as a whole, with zeros behind the end of the disk where that is within it.
    padded: Option<u64>,
}

impl<T: EditTarget> Editor<T> {
    fn of(file: StagedFile<T>, header: Header, extensions: Extensions) -> Self {
        let end = header.cluster.count_for(file.size());
        Self {
            file,
            header,
            extensions,
            first_free: 0,
            end,
            keep: None,
            metadata: None,
            cipher: None,
            data: None,
            replaced: None,
            padded: None,
        }
    }

    /// Refuses an image that cannot be relied on, and takes back what will not be true any more.
    fn begin(&mut self) -> Result<(), FormatError> {
        if self.header.incompatible & features::INCOMPATIBLE_CORRUPT != 0 {
            let found = self.header.incompatible;
            return Err(self.repair_first(
                "incompatible_features",
                disk::header::INCOMPATIBLE_FEATURES.place(0),
                found,
            ));
        }
        let known = features::AUTOCLEAR_BITMAPS | features::AUTOCLEAR_DATA_FILE_RAW;
        let autoclear = self.header.autoclear.value;
        if autoclear & !known != 0 {
            self.header.autoclear.value = autoclear & known;
            let left = autoclear & known;
            self.file.put(0, disk::header::AUTOCLEAR_FEATURES, left)?;
        }
        Ok(())
    }

    /// Refuses an encrypted image whose content cannot be written, for want of its key.
    fn require_key(&self) -> Result<(), FormatError> {
        if self.header.encryption != Encryption::None && self.cipher.is_none() {
            return Err(FormatError::locked(self.file.device()));
        }
        Ok(())
    }

    /// Content as the file is to hold it, which lies at `host` in the file and at `disk` on the disk (byte offsets); `None`
    /// where it is what it is.
    fn encrypted(
        &self,
        host: u64,
        disk: u64,
        bytes: &[u8],
    ) -> Result<Option<Vec<u8>>, FormatError> {
        self.require_key()?;
        let Some(cipher) = &self.cipher else {
            return Ok(None);
        };
        let length = crate::arith::to_u64(bytes.len());
        let mut copy = crate::staged_file::zeros(self.file.device(), host, length)?;
        copy.copy_from_slice(bytes);
        cipher.encrypt(host, disk, &mut copy);
        Ok(Some(copy))
    }

    fn put_be64(&mut self, at: u64, value: u64) -> Result<(), FormatError> {
        self.file.write(at, &value.to_be_bytes())
    }

    fn error(&self, kind: ErrorKind, field: &'static str, at: u64, value: u64) -> FormatError {
        let expected = Expected::Sentence(match kind {
            ErrorKind::RepairFirst => "an image that check finds nothing wrong with",
            _ => "something else",
        });
        FormatError::new(kind, self.file.device(), field, at, value, expected)
    }

    fn repair_first(&self, field: &'static str, at: u64, value: u64) -> FormatError {
        self.error(ErrorKind::RepairFirst, field, at, value)
    }

    fn unsupported(&self, what: &str) -> FormatError {
        self.error(ErrorKind::UnsupportedEdit, "", 0, 0)
            .with_text(what.as_bytes())
    }

    /// The entries of an L1 table.
    fn read_l1(&mut self, offset: u64, entries: u64) -> Result<Vec<u64>, FormatError> {
        let bytes = entries.saturating_mul(l1::ENTRY_BYTES);
        let bytes = self.file.read_vec(offset, bytes)?;
        let (entries, _) = bytes.as_chunks::<8>();
        Ok(entries
            .iter()
            .map(|entry| u64::from_be_bytes(*entry))
            .collect())
    }

    /// Writes an L1 table to a new place, which is counted. Returns its offset; that of no entries is 0.
    fn new_l1(&mut self, entries: &[u64]) -> Result<u64, FormatError> {
        let bytes: Vec<u8> = entries
            .iter()
            .flat_map(|entry| entry.to_be_bytes())
            .collect();
        self.new_table(&bytes)
    }

    /// Writes a table to a new place, which is counted. Returns its offset; that of an empty one is 0.
    fn new_table(&mut self, bytes: &[u8]) -> Result<u64, FormatError> {
        let length = crate::arith::to_u64(bytes.len());
        let clusters = self.header.cluster.count_for(length);
        if clusters == 0 {
            return Ok(0);
        }
        let offset = self.allocate(clusters)?;
        // What lay there before is not to be read behind the table.
        let room = self.header.cluster.times(clusters).unwrap_or(u64::MAX);
        let mut whole = crate::staged_file::zeros(self.file.device(), offset, room)?;
        if let Some(head) = whole.get_mut(..bytes.len()) {
            head.copy_from_slice(bytes);
        }
        self.file.write(offset, &whole)?;
        Ok(offset)
    }

    /// Has the header name another active L1 table.
    fn put_active_l1(&mut self, offset: u64, entries: u64) -> Result<(), FormatError> {
        let count = u32::try_from(entries)
            .map_err(|_| self.unsupported("its L1 table would be too large"))?;
        self.file.put(0, disk::header::L1_SIZE, count)?;
        self.file.put(0, disk::header::L1_TABLE_OFFSET, offset)?;
        self.header.l1_entries = entries;
        self.header.l1_table_offset = offset;
        Ok(())
    }

    fn put_size(&mut self, size: u64) -> Result<(), FormatError> {
        self.file.put(0, disk::header::SIZE, size)?;
        self.header.size = size;
        Ok(())
    }
}
