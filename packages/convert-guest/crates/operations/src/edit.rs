//! The edit operation: an image is changed in place.

use instar_abi::{
    ChainConfig, ChainDevice, EditConfig, EditResult, device_flag, device_role, edit_action,
    edit_flag, error_kind,
};
use instar_image_formats::{
    Amendment, BitmapEdit, DeviceIndex, Edit, FormatImage, Identity, Take, Time, bitmaps_of,
    edit as edit_image, take_bitmaps,
};

use crate::edit_content;
use crate::edited_file::EditedFile;
use crate::error::OperationError;
use crate::key_slots;
use crate::open_chain::{devices, new_parent};
use crate::operation::Request;
use crate::setup::{Setup, config_bytes};

pub fn bad_config(detail: &'static str) -> OperationError {
    OperationError::plain(error_kind::BAD_CONFIG, 0, detail)
}

/// Edits the named image, and leaves an EditResult.
pub fn edit(request: Request<'_>, result: &mut EditResult) -> Result<(), OperationError> {
    let Request {
        config,
        chain,
        commands,
        mut windows,
    } = request;
    let config = EditConfig::from_bytes(config_bytes(config)?);
    if moves_content(&config, chain) {
        return edit_content::edit(&config, chain, commands, &mut windows, result);
    }
    let (index, device) = edited_device(chain)?;
    let setup = Setup::new(chain, commands, &mut windows)?;
    let mut image = setup.open_one(device_role::IMAGE)?;
    let format = image.format();
    let file = EditedFile::new(commands, setup.metadata_window(), index, device.file_size);
    let target = DeviceIndex(index);
    let edited = match taken_bitmaps(&config)? {
        None if key_slots::is_of_key_slots(&config) => {
            key_slots::edit(&config, format, file, target)?
        }
        Some(take) => {
            let (other_format, source, other) = setup.file_of(device_role::COMPARED)?;
            let mut other = bitmaps_of(other_format, source, DeviceIndex(other))?;
            take_bitmaps(format, file, target, &mut *other, take)?
        }
        None => {
            let parent = match new_parent(chain) {
                Some((index, _)) => setup.open_itself(index)?.identity(),
                None => None,
            };
            let cipher = if needs_key(&config) {
                setup.cipher(&mut image)?
            } else {
                None
            };
            edit_image(format, file, target, &request_of(&config, parent)?, cipher)?
        }
    };
    result.file_length = edited.file_length;
    result.virtual_size = edited.virtual_size;
    result.corruptions_fixed = edited.corruptions_fixed;
    result.leaks_fixed = edited.leaks_fixed;
    result.key_slots = edited.key_slots;
    Ok(())
}

/// Whether an edit writes content of the disk: COMMIT, REBASE, FILL, and RESIZE of an image whose chain is there to be read.
fn moves_content(config: &EditConfig, chain: &ChainConfig) -> bool {
    match config.action {
        edit_action::COMMIT | edit_action::REBASE | edit_action::FILL => true,
        edit_action::RESIZE => {
            devices(chain).any(|(_, device)| device.role == device_role::COMPARED)
        }
        _ => false,
    }
}

/// Whether an edit may write content.
fn needs_key(config: &EditConfig) -> bool {
    let has = |flag: u32| config.flags & flag != 0;
    match config.action {
        edit_action::AMEND => has(edit_flag::VERSION_2),
        edit_action::RESIZE => has(edit_flag::PREALLOCATE),
        _ => false,
    }
}

/// The device that is edited.
pub fn edited_device(chain: &ChainConfig) -> Result<(u32, &ChainDevice), OperationError> {
    devices(chain)
        .find(|(_, device)| device.role == device_role::IMAGE)
        .filter(|(_, device)| device.flags & device_flag::EDITED != 0)
        .ok_or_else(|| bad_config("no device is an image that is edited"))
}

/// The external data file of the image that is edited, where content is written into it.
pub fn edited_data(chain: &ChainConfig, image: u32) -> Option<(u32, &ChainDevice)> {
    devices(chain).find(|(_, device)| {
        device.role == device_role::DATA_FILE
            && device.parent == image
            && device.flags & device_flag::EDITED != 0
    })
}

/// The names that an edit is about.
fn names(config: &EditConfig) -> Result<(&[u8], &[u8]), OperationError> {
    let length = usize::try_from(config.name_len).unwrap_or(usize::MAX);
    let name = config.name.get(..length);
    let name = name.ok_or_else(|| bad_config("the name is longer than its place"))?;
    let length = usize::try_from(config.other_len).unwrap_or(usize::MAX);
    let other = config.other.get(..length);
    let other = other.ok_or_else(|| bad_config("the other name is longer than its place"))?;
    Ok((name, other))
}

/// What is taken of another image's bitmaps, where the edit is that.
fn taken_bitmaps(config: &EditConfig) -> Result<Option<Take<'_>>, OperationError> {
    let (name, other) = names(config)?;
    let has = |flag: u32| config.flags & flag != 0;
    Ok(match config.action {
        edit_action::BITMAPS_COPY => Some(Take::All {
            skip_broken: has(edit_flag::SKIP_BROKEN),
        }),
        edit_action::BITMAP_MERGE if has(edit_flag::OTHER_IMAGE) => Some(Take::Bits {
            from: other,
            to: name,
        }),
        _ => None,
    })
}

fn request_of(config: &EditConfig, parent: Option<Identity>) -> Result<Edit<'_>, OperationError> {
    let (name, other) = names(config)?;
    let bitmap = |edit| Ok(Edit::Bitmap { name, edit });
    let has = |flag: u32| config.flags & flag != 0;
    match config.action {
        edit_action::SNAPSHOT_CREATE => Ok(Edit::CreateSnapshot {
            name,
            time: Time {
                seconds: config.time,
                nanoseconds: config.time_nsec,
            },
        }),
        edit_action::SNAPSHOT_APPLY => Ok(Edit::ApplySnapshot(name)),
        edit_action::SNAPSHOT_DELETE => Ok(Edit::DeleteSnapshot(name)),
        edit_action::RESIZE => Ok(Edit::Resize {
            size: config.size,
            shrink: has(edit_flag::SHRINK),
            preallocate: has(edit_flag::PREALLOCATE),
        }),
        edit_action::REPAIR => Ok(Edit::Repair {
            leaks_only: has(edit_flag::LEAKS_ONLY),
        }),
        edit_action::BITMAP_ADD => bitmap(BitmapEdit::Add {
            granularity_bits: u8::try_from(config.number).ok().filter(|bits| *bits > 0),
        }),
        edit_action::BITMAP_REMOVE => bitmap(BitmapEdit::Remove),
        edit_action::BITMAP_CLEAR => bitmap(BitmapEdit::Clear),
        edit_action::BITMAP_ENABLE => bitmap(BitmapEdit::Record(true)),
        edit_action::BITMAP_DISABLE => bitmap(BitmapEdit::Record(false)),
        edit_action::BITMAP_MERGE => bitmap(BitmapEdit::Merge(other)),
        edit_action::SET_BACKING => Ok(Edit::SetBacking {
            name,
            format: other,
            parent,
        }),
        edit_action::EMPTY => Ok(Edit::Empty),
        edit_action::AMEND => Ok(Edit::Amend(Amendment {
            version: match (has(edit_flag::VERSION_2), has(edit_flag::VERSION_3)) {
                (true, _) => Some(2),
                (_, true) => Some(3),
                _ => None,
            },
            lazy_refcounts: match (has(edit_flag::LAZY_ON), has(edit_flag::LAZY_OFF)) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                _ => None,
            },
            refcount_bits: (config.number > 0).then_some(config.number),
            data_file: has(edit_flag::DATA_FILE).then_some(name),
            data_file_raw: match (
                has(edit_flag::DATA_FILE_RAW_ON),
                has(edit_flag::DATA_FILE_RAW_OFF),
            ) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                _ => None,
            },
        })),
        _ => Err(bad_config("the edit has an unknown number")),
    }
}
