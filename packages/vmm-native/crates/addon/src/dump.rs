//! What JavaScript sees of a dump.

use napi::bindgen_prelude::BigInt;
use napi_derive::napi;

/// The note that the guest registered for its dumps, as it claims.
#[napi(object)]
pub struct VmCoreInfoReport {
    /// Whether it registered one.
    pub present: bool,
    /// Format that the host takes.
    pub host_format: u32,
    /// Format that the guest stated.
    pub guest_format: u32,
    /// Bytes that the guest stated.
    pub size: u32,
    /// Guest physical address that the guest stated.
    pub paddr: BigInt,
    /// Where a note lies that holds what its header claims.
    pub note: Option<NoteRange>,
    /// Why there is none.
    pub warning: Option<String>,
}

/// A range of guest memory.
#[napi(object)]
pub struct NoteRange {
    /// Guest physical address.
    pub address: BigInt,
    /// Bytes.
    pub length: BigInt,
}

/// Selectors and bases of the segments.
#[napi(object)]
pub struct SegmentReport {
    /// Selector.
    pub cs: u32,
    /// Selector.
    pub ss: u32,
    /// Selector.
    pub ds: u32,
    /// Selector.
    pub es: u32,
    /// Selector.
    pub fs: u32,
    /// Selector.
    pub gs: u32,
    /// Base address.
    pub fs_base: BigInt,
    /// Base address.
    pub gs_base: BigInt,
}

/// A dump of guest memory that was taken.
#[napi(object)]
pub struct DumpReport {
    /// Why: the outcome of the run, `panic`, or `request`.
    pub reason: String,
    /// Registers in the order of the ABI's RegistersX86_64.
    pub registers: Vec<BigInt>,
    /// Segments.
    pub segments: SegmentReport,
    /// Control register 0.
    pub cr0: BigInt,
    /// Address of the last page fault.
    pub cr2: BigInt,
    /// Guest physical address of the top page table.
    pub cr3: BigInt,
    /// Control register 4.
    pub cr4: BigInt,
    /// The guest's note.
    pub vmcoreinfo: VmCoreInfoReport,
    /// Bytes of memory that were written.
    pub bytes: BigInt,
    /// Why memory could not be written, where it could not.
    pub error: Option<String>,
}

impl From<instar_vmm::dump::DumpReport> for DumpReport {
    fn from(report: instar_vmm::dump::DumpReport) -> Self {
        let cpu = report.cpu;
        let [cs, ss, ds, es, fs, gs] = cpu.selectors.map(u32::from);
        let info = report.vmcoreinfo;
        let note = info.note.map(|(address, length)| NoteRange { address: address.into(), length: length.into() });
        Self {
            reason: report.reason,
            registers: cpu.registers.values.iter().map(|value| BigInt::from(*value)).collect(),
            segments: SegmentReport {
                cs,
                ss,
                ds,
                es,
                fs,
                gs,
                fs_base: cpu.fs_base.into(),
                gs_base: cpu.gs_base.into(),
            },
            cr0: cpu.cr0.into(),
            cr2: cpu.cr2.into(),
            cr3: cpu.cr3.into(),
            cr4: cpu.cr4.into(),
            vmcoreinfo: VmCoreInfoReport {
                present: info.present,
                host_format: u32::from(info.host_format),
                guest_format: u32::from(info.guest_format),
                size: info.size,
                paddr: info.paddr.into(),
                note,
                warning: info.warning,
            },
            bytes: report.bytes.into(),
            error: report.error,
        }
    }
}
