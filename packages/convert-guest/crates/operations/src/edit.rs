//! The edit operation: an image is changed in place.

use instar_abi::{
    ChainConfig, EDIT_RESULT_MAGIC, EditConfig, EditResult, device_flag, device_role, edit_action,
    edit_flag, error_kind,
};
use instar_guest_runtime::{WindowPool, put_result};
use instar_image_formats::{DeviceIndex, Edit, Time, edit as edit_image};

use crate::commands::SharedCommands;
use crate::edited_file::EditedFile;
use crate::error::{OperationError, ending};
use crate::open_chain::devices;
use crate::setup::{Setup, config_bytes};

/// Edits the named image, and leaves an EditResult.
pub fn run(
    config: &[u8],
    chain: &ChainConfig,
    commands: &SharedCommands,
    windows: WindowPool,
) -> u32 {
    let mut result = EditResult::ZERO;
    result.magic = EDIT_RESULT_MAGIC;
    let done = edit(config, chain, commands, windows, &mut result);
    let code;
    (result.status, result.error, code) = ending(done, commands);
    put_result(&result.to_bytes());
    code
}

fn bad_config(detail: &'static str) -> OperationError {
    OperationError::plain(error_kind::BAD_CONFIG, 0, detail)
}

fn edit(
    config: &[u8],
    chain: &ChainConfig,
    commands: &SharedCommands,
    mut windows: WindowPool,
    result: &mut EditResult,
) -> Result<(), OperationError> {
    let config = EditConfig::from_bytes(config_bytes(config)?);
    let request = request_of(&config)?;
    let (index, device) = devices(chain)
        .find(|(_, device)| device.role == device_role::IMAGE)
        .filter(|(_, device)| device.flags & device_flag::EDITED != 0)
        .ok_or_else(|| bad_config("no device is an image that is edited"))?;
    let setup = Setup::new(chain, commands, &mut windows)?;
    let format = setup.open_one(device_role::IMAGE)?.format();
    let file = EditedFile::new(commands, setup.metadata_window(), index, device.file_size);
    let edited = edit_image(format, file, DeviceIndex(index), &request)?;
    result.file_length = edited.file_length;
    result.virtual_size = edited.virtual_size;
    Ok(())
}

fn request_of(config: &EditConfig) -> Result<Edit<'_>, OperationError> {
    let length = usize::try_from(config.name_len).unwrap_or(usize::MAX);
    let name = config.name.get(..length);
    let name = name.ok_or_else(|| bad_config("the name is longer than its place"))?;
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
        }),
        _ => Err(bad_config("the edit has an unknown number")),
    }
}
