//! The check operation: whether an image's metadata agrees with itself.

use instar_abi::{
    CHECK_RESULT_MAGIC, ChainConfig, CheckResult, FindingRecord, device_role, finding_kind,
};
use instar_guest_runtime::{WindowPool, put_result};
use instar_image_formats::{
    DeviceIndex, Finding, FindingKind, Findings, FormatError, FormatImage, Image, SourceError,
};

use crate::commands::SharedCommands;
use crate::error::{OperationError, ending};
use crate::record_writer::RecordWriter;
use crate::setup::Setup;
use crate::text::put;

/// Checks the named image alone, writes findings to the output and leaves a CheckResult.
pub fn run(chain: &ChainConfig, commands: &SharedCommands, windows: WindowPool) -> u32 {
    let mut result = CheckResult::ZERO;
    result.magic = CHECK_RESULT_MAGIC;
    let done = check(chain, commands, windows, &mut result);
    let code;
    (result.status, result.error, code) = ending(done, commands);
    put_result(&result.to_bytes());
    code
}

fn check(
    chain: &ChainConfig,
    commands: &SharedCommands,
    mut windows: WindowPool,
    result: &mut CheckResult,
) -> Result<(), OperationError> {
    let setup = Setup::new(chain, commands, &mut windows)?;
    let mut image = setup.open_one(device_role::IMAGE)?;
    let mut list = List {
        writer: RecordWriter::new(chain, commands, &mut windows)?,
        failed: None,
    };
    let checked = image.check(&mut list);
    if let Some(error) = list.failed {
        return Err(error);
    }
    let Some(counts) = checked? else {
        // qemu-img wants the passphrase first, and says only then that there is nothing to check.
        setup.unlock(&mut image)?;
        if image.is_locked() {
            image.map(0, 1)?;
        }
        return Ok(());
    };
    list.writer.flush()?;
    result.supported = 1;
    result.corruptions = counts.corruptions;
    result.leaks = counts.leaks;
    result.total_clusters = counts.total_clusters;
    result.allocated_clusters = counts.allocated_clusters;
    result.compressed_clusters = counts.compressed_clusters;
    result.fragmented_clusters = counts.fragmented_clusters;
    result.image_end = counts.image_end;
    result.finding_count = list.writer.count();
    Ok(())
}

/// Writes findings as records.
struct List<'a> {
    writer: RecordWriter<'a>,
    failed: Option<OperationError>,
}

impl Findings for List<'_> {
    fn take(&mut self, finding: &Finding) -> Result<(), FormatError> {
        let mut record = FindingRecord {
            kind: match finding.kind {
                FindingKind::Corruption => finding_kind::CORRUPTION,
                FindingKind::Leak => finding_kind::LEAK,
            },
            offset: finding.offset,
            value: finding.value,
            expected: finding.expected,
            ..FindingRecord::ZERO
        };
        record.text_len = put(&mut record.text, finding.text.as_bytes());
        self.writer.put(&record.to_bytes()).map_err(|error| {
            self.failed.get_or_insert(error);
            let failed = SourceError::Failed { code: 0 };
            FormatError::of_source(DeviceIndex(0), finding.offset, failed)
        })
    }
}
