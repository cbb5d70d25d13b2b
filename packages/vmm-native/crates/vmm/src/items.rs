//! Items that guest and host share by selector, as QEMU's fw_cfg has them: `etc/vmcoreinfo`, in which a guest says where
//! the note for its dumps lies. Everything in it is a claim of the guest; no failure of it is more than a warning.

use instar_abi::{item, item_request, vm_core_info_format, FwCfgVmCoreInfo, ItemMailbox, MEMORY_SIZE};

use crate::memory::GuestMemory;

/// Most bytes of a note (QEMU takes exactly 1 MiB as well).
const NOTE_LIMIT: u64 = 1 << 20;
/// Bytes of an ELF note's header: size of the name, size of the descriptor, type.
const NOTE_HEADER: usize = 12;
const NOTE_NAME: &[u8] = b"VMCOREINFO\0";

/// What the guest has left in items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemStore {
    vmcoreinfo: FwCfgVmCoreInfo,
}

impl Default for ItemStore {
    fn default() -> Self {
        let vmcoreinfo = FwCfgVmCoreInfo {
            host_format: u16::try_from(vm_core_info_format::ELF).unwrap_or(0),
            ..FwCfgVmCoreInfo::ZERO
        };
        Self { vmcoreinfo }
    }
}

/// The note for dumps, as the guest described it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VmCoreInfo {
    /// Whether the guest described one (its format is not 0).
    pub present: bool,
    /// Format that the host takes.
    pub host_format: u16,
    /// Format that the guest stated.
    pub guest_format: u16,
    /// Bytes that the guest stated.
    pub size: u32,
    /// Guest physical address that the guest stated.
    pub paddr: u64,
    /// Address and length of a note that holds what its header claims.
    pub note: Option<(u64, u64)>,
    /// Why there is none.
    pub warning: Option<String>,
}

impl ItemStore {
    /// Answers a private copy of a request in place.
    pub fn answer(&mut self, request: &mut ItemMailbox) {
        let answered = match (request.request, request.selector) {
            (item_request::READ, item::VMCOREINFO) => self.read(request),
            (item_request::WRITE, item::VMCOREINFO) => Ok(self.write(request)),
            (item_request::READ | item_request::WRITE, _) => Err(libc::ENOENT),
            _ => Err(libc::EINVAL),
        };
        request.status = match answered {
            Ok(moved) => i32::try_from(moved).unwrap_or(i32::MAX),
            Err(code) => code.saturating_neg(),
        };
    }

    fn read(&self, request: &mut ItemMailbox) -> Result<usize, i32> {
        let bytes = self.vmcoreinfo.to_bytes();
        let range = || {
            let start = usize::try_from(request.offset).ok()?;
            bytes.get(start..start.checked_add(usize::try_from(request.length).ok()?)?)
        };
        let found = range().ok_or(libc::EINVAL)?;
        request.data.get_mut(..found.len()).ok_or(libc::EINVAL)?.copy_from_slice(found);
        Ok(found.len())
    }

    /// Only a whole write counts; any other is ignored.
    fn write(&mut self, request: &ItemMailbox) -> usize {
        let whole = usize::try_from(request.length) == Ok(FwCfgVmCoreInfo::SIZE) && request.offset == 0;
        let Some(bytes) = request.data.first_chunk::<{ FwCfgVmCoreInfo::SIZE }>().filter(|_| whole) else { return 0 };
        let host_format = self.vmcoreinfo.host_format;
        self.vmcoreinfo = FwCfgVmCoreInfo { host_format, ..FwCfgVmCoreInfo::from_bytes(bytes) };
        FwCfgVmCoreInfo::SIZE
    }

    /// The note for dumps, checked against guest memory.
    pub fn vmcoreinfo(&self, memory: &GuestMemory) -> VmCoreInfo {
        let FwCfgVmCoreInfo { host_format, guest_format, size, paddr } = self.vmcoreinfo;
        let present = u32::from(guest_format) != vm_core_info_format::NONE;
        let (note, warning) = match (present, check_note(memory, &self.vmcoreinfo)) {
            (false, _) => (None, None),
            (true, Ok(length)) => (Some((paddr, length)), None),
            (true, Err(text)) => (None, Some(format!("the guest's VMCOREINFO note is left out: {text}"))),
        };
        VmCoreInfo { present, host_format, guest_format, size, paddr, note, warning }
    }
}

/// Bytes of the note at the stated place.
fn check_note(memory: &GuestMemory, stated: &FwCfgVmCoreInfo) -> Result<u64, String> {
    let FwCfgVmCoreInfo { guest_format, size, paddr, .. } = *stated;
    if u32::from(guest_format) != vm_core_info_format::ELF {
        return Err(format!("its format is {guest_format}, expected {}", vm_core_info_format::ELF));
    }
    let size = u64::from(size);
    if size < NOTE_HEADER as u64 || size > NOTE_LIMIT {
        return Err(format!("its size is {size} bytes, expected {NOTE_HEADER} to {NOTE_LIMIT}"));
    }
    // Keys, which lie behind, are no more in a dump than what is no memory at all.
    if paddr.checked_add(size).is_none_or(|end| end > u64::from(MEMORY_SIZE)) {
        return Err(format!("{size} bytes at {paddr:#x} are not in guest memory"));
    }
    let mut head = [0; NOTE_HEADER + NOTE_NAME.len()];
    let most = usize::try_from(size).unwrap_or(usize::MAX).min(head.len());
    if let Some(head) = head.get_mut(..most) {
        memory.read(paddr, head).map_err(|_| format!("{paddr:#x} is not in guest memory"))?;
    }
    let word = |at: usize| {
        let bytes = head.get(at..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
        u64::from(u32::from_le_bytes(bytes))
    };
    let (name, descriptor) = (word(0), word(4));
    let length = [name, descriptor]
        .iter()
        .map(|size| size.next_multiple_of(4))
        .fold(NOTE_HEADER as u64, |sum, size| sum.saturating_add(size));
    if length > size {
        return Err(format!("its header claims {length} bytes, its size is {size}"));
    }
    if name != NOTE_NAME.len() as u64 || !head.ends_with(NOTE_NAME) {
        return Err("its name is not VMCOREINFO".into());
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
