//! The check operation: whether an image's metadata agrees with itself.

use instar_abi::{
    CheckConfig, CheckResult, FilePartRecord, FindingRecord, device_role, finding_kind,
};
use instar_image_formats::{
    DeviceIndex, FilePart, Finding, FindingKind, Findings, FormatError, FormatImage, Image,
    SourceError,
};

use crate::error::OperationError;
use crate::operation::Request;
use crate::record_writer::RecordWriter;
use crate::setup::{Setup, config_bytes};
use crate::text::put;

/// Checks the named image alone, writes findings to the output and leaves a CheckResult.
pub fn check(request: Request<'_>, result: &mut CheckResult) -> Result<(), OperationError> {
    let Request {
        config,
        chain,
        commands,
        mut windows,
    } = request;
    let config = CheckConfig::from_bytes(config_bytes(config)?);
    let setup = Setup::new(chain, commands, &mut windows)?;
    let mut image = setup.open_one(device_role::IMAGE)?;
    let mut list = List {
        writer: RecordWriter::new(chain, commands, &mut windows)?,
        failed: None,
        parts: config.parts,
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
    /// Parts of the file whose uses are told.
    parts: u32,
}

impl List<'_> {
    fn put(&mut self, record: &[u8], offset: u64) -> Result<(), FormatError> {
        self.writer.put(record).map_err(|error| {
            self.failed.get_or_insert(error);
            let failed = SourceError::Failed { code: 0 };
            FormatError::of_source(DeviceIndex(0), offset, failed)
        })
    }
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
        self.put(&record.to_bytes(), finding.offset)
    }

    fn parts(&self) -> u32 {
        self.parts
    }

    fn take_part(&mut self, part: &FilePart) -> Result<(), FormatError> {
        let record = FilePartRecord {
            kind: finding_kind::PART,
            number: part.number,
            header: part.header,
            tables: part.tables,
            data: part.data,
            compressed: part.compressed,
            leaked: part.leaked,
            free: part.free,
            ..FilePartRecord::ZERO
        };
        self.put(&record.to_bytes(), 0)
    }
}
