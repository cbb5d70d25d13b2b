//! Tells lies about the note for dumps, and asks for items that make no sense.

use core::arch::asm;

use instar_abi::{FwCfgVmCoreInfo, item};
use instar_guest_runtime::{item_read, item_write};

use crate::PIERCED;
use crate::config::Config;

/// Describes a note by the arguments (host format, guest format, size, address), then crashes.
pub fn describe_note(config: &Config) -> u32 {
    let entry = FwCfgVmCoreInfo {
        host_format: config.argument(0) as u16,
        guest_format: config.argument(1) as u16,
        size: config.argument(2) as u32,
        paddr: config.argument(3),
    };
    item_write(item::VMCOREINFO, &entry.to_bytes());
    // SAFETY: none: the guest ends here.
    unsafe { asm!("ud2", options(noreturn)) }
}

/// Writes only a part of the note's description, then crashes.
pub fn describe_partly(config: &Config) -> u32 {
    let bytes = [0xff; FwCfgVmCoreInfo::SIZE];
    let length = (config.argument(0) as usize).min(bytes.len());
    if item_write(item::VMCOREINFO, &bytes[..length]) != Some(0) {
        return PIERCED;
    }
    // SAFETY: none: the guest ends here.
    unsafe { asm!("ud2", options(noreturn)) }
}

/// Reads what it has written, and the item of argument 0 that does not exist.
pub fn read_back(config: &Config) -> u32 {
    let mut bytes = [0; FwCfgVmCoreInfo::SIZE];
    let read = item_read(item::VMCOREINFO, &mut bytes);
    let entry = FwCfgVmCoreInfo::from_bytes(&bytes);
    let known = read == Some(16) && entry.host_format == 1 && entry.guest_format == 1;
    let unknown = item_read(config.argument(0) as u32, &mut bytes);
    let too_long = item_read(item::VMCOREINFO, &mut [0; 17]);
    let much_too_long = item_read(item::VMCOREINFO, &mut [0; 4096]);
    let refused = [unknown, too_long, much_too_long]
        .into_iter()
        .all(|status| status.is_some_and(|code| code < 0));
    if known && refused { 0 } else { PIERCED }
}
