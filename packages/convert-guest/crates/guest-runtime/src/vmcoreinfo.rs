//! Tells the host where the note lies that makes a dump of this guest self-describing: what a Linux kernel keeps in its
//! `VMCOREINFO` note, for tools that look for it, and what this guest is.

use core::fmt::{self, Write};

use instar_abi::{
    ABI_VERSION_MAJOR, ABI_VERSION_MINOR, FINGERPRINT, FwCfgVmCoreInfo, PAGE_SIZE, item,
    vm_core_info_format,
};

use crate::call_table::{item_write, page_tables};

const HEADER: usize = 12;
const NAME: [u8; 12] = *b"VMCOREINFO\0\0";
const NAME_SIZE: u32 = 11;
const TEXT: usize = 1012;

/// An ELF note as it lies in memory: the sizes of name and descriptor, type 0, the name, the descriptor.
#[repr(C, align(8))]
struct Note {
    header: [u32; HEADER / 4],
    name: [u8; NAME.len()],
    text: [u8; TEXT],
}

static mut NOTE: Note = Note {
    header: [0; HEADER / 4],
    name: NAME,
    text: [0; TEXT],
};

/// Bytes of a GNU build id (SHA-1's, whichever hash made it).
const BUILD_ID_SIZE: usize = 20;

/// The note by which debuggers match a program and its dump. The build fills the id in, over the program as linked.
#[repr(C)]
struct BuildId {
    header: [u32; HEADER / 4],
    name: [u8; 4],
    id: [u8; BUILD_ID_SIZE],
}

const NT_GNU_BUILD_ID: u32 = 3;

#[used]
// Under its own name: the linker drops ids of objects. The linker script renames it.
#[unsafe(link_section = ".note.instar.build-id")]
static BUILD_ID: BuildId = BuildId {
    header: [4, BUILD_ID_SIZE as u32, NT_GNU_BUILD_ID],
    name: *b"GNU\0",
    id: [0; BUILD_ID_SIZE],
};

unsafe extern "C" {
    safe static _start: u8;
}

/// Writes what fits.
struct Text<'a> {
    bytes: &'a mut [u8],
    used: usize,
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.used.saturating_add(text.len());
        let target = self.bytes.get_mut(self.used..end).ok_or(fmt::Error)?;
        target.copy_from_slice(text.as_bytes());
        self.used = end;
        Ok(())
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn describe(text: &mut Text<'_>, tables: u64) -> fmt::Result {
    let version = option_env!("INSTAR_GUEST_VERSION").unwrap_or("unknown");
    // SAFETY: a static that lives for ever; volatile, because the build changes it after the compiler has seen it.
    let id = unsafe { (&raw const BUILD_ID.id).read_volatile() };
    writeln!(text, "OSRELEASE=instar-{version}")?;
    writeln!(text, "BUILD-ID={}", Hex(&id))?;
    writeln!(text, "PAGESIZE={PAGE_SIZE}")?;
    writeln!(text, "SYMBOL(swapper_pg_dir)={tables:x}")?;
    writeln!(text, "KERNELOFFSET=0")?;
    writeln!(text, "NUMBER(phys_base)=0")?;
    writeln!(text, "SYMBOL(_start)={:x}", (&raw const _start) as usize)?;
    writeln!(
        text,
        "SYMBOL(vmcoreinfo_note)={:x}",
        (&raw const NOTE) as usize
    )?;
    writeln!(text, "INSTAR_ABI={ABI_VERSION_MAJOR}.{ABI_VERSION_MINOR}")?;
    writeln!(text, "INSTAR_FINGERPRINT={}", Hex(&FINGERPRINT))
}

/// Writes the note and registers it, where the host takes one. A host that does not makes no difference to the guest.
///
/// # Safety
/// Must be called once, before anything else runs.
pub unsafe fn register() {
    let Some(tables) = page_tables() else { return };
    // SAFETY: the caller's promise: nothing else refers to the note.
    let note: &mut Note = unsafe { (&raw mut NOTE).as_mut_unchecked() };
    let mut text = Text {
        bytes: &mut note.text,
        used: 0,
    };
    // What does not fit is left out.
    let _ = describe(&mut text, tables);
    let used = text.used;
    note.header = [NAME_SIZE, used as u32, 0];
    let entry = FwCfgVmCoreInfo {
        host_format: vm_core_info_format::ELF as u16,
        guest_format: vm_core_info_format::ELF as u16,
        size: (HEADER + NAME.len() + used.next_multiple_of(4)) as u32,
        paddr: (&raw const NOTE) as u64,
    };
    item_write(item::VMCOREINFO, &entry.to_bytes());
}
