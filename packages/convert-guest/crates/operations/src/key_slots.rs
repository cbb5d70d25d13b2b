//! Edits of key slots, with the secrets of the run.

use alloc::vec::Vec;

use instar_abi::{EditConfig, edit_action, edit_flag, secret_use};
use instar_guest_runtime::{key_memory, secrets, with_key_memory};
use instar_image_formats::{DeviceIndex, Edited, Format, SlotEdit, SlotKeys, edit_key_slots};

use crate::edit::bad_config;
use crate::edited_file::EditedFile;
use crate::error::OperationError;
use crate::unlock::RESERVE;

/// Whether an edit is one of key slots.
pub fn is_of_key_slots(config: &EditConfig) -> bool {
    matches!(
        config.action,
        edit_action::KEY_SLOT_FILL | edit_action::KEY_SLOT_EMPTY | edit_action::KEY_SLOT_WIPE
    )
}

/// The first secret of the run that is for a purpose.
fn secret(purpose: u32) -> Option<&'static [u8]> {
    secrets()
        .find(|secret| secret.purpose == purpose)
        .map(|secret| secret.bytes)
}

/// Carries out an edit of key slots. Keys are made in memory, and on a stack, that nothing dumps.
pub fn edit(
    config: &EditConfig,
    format: Format,
    file: EditedFile,
    device: DeviceIndex,
) -> Result<Edited, OperationError> {
    let has = |flag: u32| config.flags & flag != 0;
    let slot = (!has(edit_flag::ANY_SLOT)).then_some(config.number);
    let force = has(edit_flag::FORCE);
    let edit = match config.action {
        edit_action::KEY_SLOT_FILL => SlotEdit::Fill {
            slot,
            passphrase: secret(secret_use::NEW).ok_or_else(|| bad_config("a secret is missing"))?,
            iterations: config.iterations,
            force,
        },
        edit_action::KEY_SLOT_EMPTY => SlotEdit::Empty {
            slot,
            holding: secret(secret_use::OLD),
            force,
        },
        _ => SlotEdit::Wipe(config.number),
    };
    let seed = secret(secret_use::SEED).ok_or_else(|| bad_config("a seed is missing"))?;
    let opens = secrets().filter(|secret| secret.purpose == secret_use::OPENS);
    let passphrases: Vec<&[u8]> = opens.map(|secret| secret.bytes).collect();
    let keys = SlotKeys {
        passphrases: &passphrases,
        seed,
        memory: key_memory().saturating_sub(RESERVE),
    };
    with_key_memory(|| Ok(edit_key_slots(format, file, device, &keys, &edit)?))
}
