//! The map operation: what every range of a disk is made of, as records.

use instar_abi::{MapConfig, MapRecord, MapResult, device_role, map_flag};
use instar_image_formats::{DeviceIndex, ExtentKind, Format, FormatImage, Image, Located};

use crate::error::OperationError;
use crate::operation::Request;
use crate::record_writer::RecordWriter;
use crate::setup::{Setup, config_bytes};

/// Maps the disk, writes records to the output and leaves a MapResult.
pub fn map(request: Request<'_>, result: &mut MapResult) -> Result<(), OperationError> {
    let Request {
        config,
        chain: chain_config,
        commands,
        mut windows,
    } = request;
    let config = MapConfig::from_bytes(config_bytes(config)?);
    let mut setup = Setup::new(chain_config, commands, &mut windows)?;
    let mut chain = setup.open(device_role::IMAGE)?;
    let mut records = Records {
        writer: RecordWriter::new(chain_config, commands, &mut windows)?,
        pending: None,
    };
    let size = chain.virtual_size();
    result.virtual_size = size;
    let end = config.end.min(size);
    let mut offset = config.start;
    while offset < end {
        let located = chain.locate(offset, end.saturating_sub(offset))?;
        let raw = chain
            .layers()
            .get(located.depth)
            .filter(|layer| located.present && layer.format() == Format::Raw)
            .map(|layer| layer.device());
        let holes = raw.is_some()
            || chain
                .layers()
                .get(located.depth)
                .is_some_and(FormatImage::keeps_holes);
        let seen = if holes {
            setup.holes.see(located.extent)?
        } else {
            located.extent
        };
        let record = record_of(located, raw, seen.kind, seen.length);
        records.push(record)?;
        offset = offset.saturating_add(seen.length);
        if config.most_records != 0 && records.writer.count() >= config.most_records {
            // The last one may go on: whoever asks for more gets it then, as a whole.
            if let Some(pending) = records.pending.take() {
                offset = pending.start;
            }
            break;
        }
    }
    result.next = offset;
    result.record_count = records.finish()?;
    Ok(())
}

/// The record of the beginning of an extent. In a raw file everything has its place, holes and what is missing of the last
/// sector as well.
fn record_of(
    located: Located,
    raw: Option<DeviceIndex>,
    seen: ExtentKind,
    length: u64,
) -> MapRecord {
    let mut record = MapRecord {
        start: located.extent.start,
        length,
        depth: u32::try_from(located.depth).unwrap_or(u32::MAX),
        ..MapRecord::ZERO
    };
    if located.present {
        record.flags |= map_flag::PRESENT;
    }
    record.flags |= match seen {
        ExtentKind::Zero | ExtentKind::Unallocated => map_flag::ZERO,
        ExtentKind::Data { .. } | ExtentKind::Encrypted { .. } => map_flag::DATA,
        ExtentKind::Compressed { .. } | ExtentKind::Packed { .. } => {
            map_flag::DATA | map_flag::COMPRESSED
        }
    };
    // Zeros that have a place, in a format that has places for all of its disk.
    if raw.is_none() && seen != located.extent.kind {
        record.flags |= map_flag::DATA;
    }
    let place = match (raw, located.extent.kind) {
        (Some(device), _) => Some((device, located.extent.start)),
        (None, ExtentKind::Data { device, offset }) => Some((device, offset)),
        (None, _) => None,
    };
    if let Some((device, offset)) = place {
        (record.device, record.offset) = (device.0, offset);
        record.flags |= map_flag::HAS_OFFSET;
    }
    record
}

/// Extents on their way to the output, neighbours as one.
struct Records<'a> {
    writer: RecordWriter<'a>,
    /// The last extent, which the next one may continue.
    pending: Option<MapRecord>,
}

/// Whether a record goes on where another ends, in the file as well.
fn continues(earlier: &MapRecord, later: &MapRecord) -> bool {
    let in_file = earlier.flags & map_flag::HAS_OFFSET == 0
        || earlier.offset.checked_add(earlier.length) == Some(later.offset);
    earlier.flags == later.flags
        && earlier.depth == later.depth
        && earlier.device == later.device
        && earlier.start.checked_add(earlier.length) == Some(later.start)
        && in_file
}

impl Records<'_> {
    fn push(&mut self, record: MapRecord) -> Result<(), OperationError> {
        if let Some(pending) = &mut self.pending
            && continues(pending, &record)
        {
            pending.length = pending.length.saturating_add(record.length);
            return Ok(());
        }
        self.put()?;
        self.pending = Some(record);
        Ok(())
    }

    fn put(&mut self) -> Result<(), OperationError> {
        match self.pending.take() {
            Some(record) => self.writer.put(&record.to_bytes()),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<u64, OperationError> {
        self.put()?;
        self.writer.flush()?;
        Ok(self.writer.count())
    }
}
