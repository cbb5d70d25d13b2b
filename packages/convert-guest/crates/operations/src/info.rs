//! The info operation: what an image says of itself.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use instar_abi::{
    BitmapRecord, INFO_MAX_BITMAPS, INFO_MAX_SNAPSHOTS, InfoConfig, InfoResult, SnapshotRecord,
    error_kind, extent_file_kind, info_flag, raw_content,
};
use instar_codecs::Decoder;
use instar_image_formats::{
    Beyond, Bitmap, ByteSource, Codec, Content, DeviceIndex, Encryption, ExtentFileKind, Facts,
    FormatError, FormatImage, Image, ListLimits, Snapshot, Tail, Within,
};

use crate::convert::METADATA_WINDOW;
use crate::device_source::DeviceSource;
use crate::error::OperationError;
use crate::open_chain::{GuestImage, Opener, devices};
use crate::operation::Request;
use crate::text::put;
use crate::transform::SharedKeys;

/// Bytes of tables that are looked at: those of 2 TiB in clusters of 64 KiB.
const MOST_TABLE_BYTES: u64 = 256 << 20;
/// What an InfoResult has room for.
const LIST_LIMITS: ListLimits = ListLimits {
    snapshots: INFO_MAX_SNAPSHOTS as usize,
    bitmaps: INFO_MAX_BITMAPS as usize,
};

/// Looks at one device and leaves an InfoResult.
pub fn look(request: Request<'_>, result: &mut InfoResult) -> Result<(), OperationError> {
    let Request {
        config,
        chain,
        commands,
        mut windows,
    } = request;
    let internal = |detail| OperationError::plain(error_kind::INTERNAL, 0, detail);
    let config: &[u8; InfoConfig::SIZE] = config
        .first_chunk()
        .ok_or_else(|| internal("the config page is too short"))?;
    let config = InfoConfig::from_bytes(config);
    let window = windows
        .take(METADATA_WINDOW)
        .ok_or_else(|| internal("no window for metadata"))?;
    let window = Rc::new(RefCell::new(window));
    let opener = Opener {
        chain,
        commands,
        metadata_window: Rc::clone(&window),
        keys: SharedKeys::default(),
        most_unpacked: match config.most_unpacked {
            0 => u64::MAX,
            most => most,
        },
    };
    let mut image = opener.open(config.device)?;
    result.format = image.format().code();
    result.virtual_size = image.virtual_size();
    let size = devices(chain)
        .find(|(index, _)| *index == config.device)
        .map_or(0, |(_, device)| device.file_size);
    let mut source = DeviceSource::new(commands, &window, config.device, size);
    let facts = image.facts(LIST_LIMITS)?;
    put_facts(&facts, config.device, result)?;
    if config.facts_only != 0 {
        return Ok(());
    }
    check_extents(&mut image, &mut source, config.device, result)
}

/// The number that crosses the ABI.
fn content_code(content: Content) -> u32 {
    match content {
        Content::Unknown => raw_content::UNKNOWN,
        Content::Mbr => raw_content::MBR,
        Content::Gpt => raw_content::GPT,
        Content::Iso9660 => raw_content::ISO9660,
        Content::FileSystem => raw_content::FILE_SYSTEM,
        Content::Gzip => raw_content::GZIP,
        Content::Xz => raw_content::XZ,
        Content::Zstd => raw_content::ZSTD,
        Content::Bzip2 => raw_content::BZIP2,
        Content::Zip => raw_content::ZIP,
        Content::Tar => raw_content::TAR,
        Content::Lz4 => raw_content::LZ4,
        Content::SevenZip => raw_content::SEVEN_ZIP,
        Content::Rar => raw_content::RAR,
        Content::AndroidSparse => raw_content::ANDROID_SPARSE,
    }
}

fn put_beyond(result: &mut InfoResult, beyond: &Beyond) {
    result.flags |= info_flag::BEYOND_FILE;
    result.beyond_offset = beyond.at;
    result.beyond_end = beyond.end;
    result.beyond_field_len = put(&mut result.beyond_field, beyond.field.as_bytes());
}

/// Looks at every table for what lies behind the end of the file, and tries the streams that end with it.
fn check_extents(
    image: &mut GuestImage,
    source: &mut DeviceSource,
    device: u32,
    result: &mut InfoResult,
) -> Result<(), OperationError> {
    let tails = match image.within_file(MOST_TABLE_BYTES)? {
        Within::TooMany => return Ok(()),
        Within::Beyond(beyond) => {
            result.flags |= info_flag::EXTENTS_CHECKED;
            put_beyond(result, &beyond);
            return Ok(());
        }
        Within::Fault(error) => {
            result.flags |= info_flag::TABLE_FAULT;
            result.error = OperationError::Format(error).record();
            return Ok(());
        }
        Within::Whole(tails) => tails,
    };
    result.flags |= info_flag::EXTENTS_CHECKED;
    let mut decoder = Decoder::new();
    let mut decoded = Vec::new();
    for tail in tails {
        let length = usize::try_from(tail.length).unwrap_or(0);
        let size = usize::try_from(tail.decoded).unwrap_or(0);
        let mut input = Vec::new();
        let room = input.try_reserve_exact(length).is_ok() && decoded.try_reserve(size).is_ok();
        if !room {
            result.flags &= !info_flag::EXTENTS_CHECKED;
            return Ok(());
        }
        input.resize(length, 0);
        decoded.resize(size, 0);
        let failed = |error| FormatError::of_source(DeviceIndex(device), tail.offset, error);
        source
            .read_exact_at(tail.offset, &mut input)
            .map_err(failed)?;
        if decoder
            .decode_cluster(tail.codec, &input, &mut decoded)
            .is_err()
        {
            let Tail { at, end, .. } = tail;
            let field = "compressed cluster";
            put_beyond(result, &Beyond { field, at, end });
            return Ok(());
        }
    }
    Ok(())
}

fn put_facts(facts: &Facts, device: u32, result: &mut InfoResult) -> Result<(), OperationError> {
    result.version = facts.version;
    result.cluster_size = u32::try_from(facts.cluster_size).unwrap_or(0);
    result.refcount_bits = facts.refcount_bits;
    result.compression_type = match facts.compression {
        Some(Codec::Zstd) => 1,
        _ => 0,
    };
    result.crypt_method = match facts.encryption {
        Encryption::None => 0,
        Encryption::Aes => 1,
        Encryption::Luks => 2,
    };
    [
        result.incompatible_features,
        result.compatible_features,
        result.autoclear_features,
    ] = facts.features;
    let yes_or_no = [
        (info_flag::BACKING_FILE, facts.backing_file.is_some()),
        (info_flag::DATA_FILE, facts.has_data_file),
        (info_flag::DATA_FILE_RAW, facts.data_file_raw),
        (info_flag::LAZY_REFCOUNTS, facts.lazy_refcounts),
        (info_flag::DIRTY, facts.dirty),
        (info_flag::CORRUPT, facts.corrupt),
        (info_flag::EXTENDED_L2, facts.extended_l2),
        (info_flag::ENCRYPTED, facts.encryption != Encryption::None),
        (info_flag::SNAPSHOTS_CUT, facts.more_snapshots),
        (info_flag::BITMAPS_CUT, facts.more_bitmaps),
        (info_flag::MORE_MEMORY, facts.may_need_memory),
        (info_flag::ISO_HINT, facts.content == Some(Content::Iso9660)),
    ];
    for (flag, set) in yes_or_no {
        if set {
            result.flags |= flag;
        }
    }
    if let Some(content) = facts.content {
        result.content = content_code(content);
    }
    let name = |name: &Option<Vec<u8>>| name.clone().unwrap_or_default();
    result.backing_file_len = put(&mut result.backing_file, &name(&facts.backing_file));
    result.backing_format_len = put(&mut result.backing_format, &name(&facts.backing_format));
    let data_file = name(&facts.data_file);
    result.data_file_len = put(&mut result.data_file, &data_file);
    if data_file.len() > result.data_file.len() {
        let detail = "the name of the external data file is longer than 1024 bytes";
        let kind = error_kind::BAD_EXTENSION;
        return Err(OperationError::plain(kind, device, detail));
    }
    put_luks(facts, result);
    put_extent_files(facts, device, result)?;
    result.snapshot_count = u32::try_from(facts.snapshots.len()).unwrap_or(0);
    for (record, snapshot) in result.snapshots.iter_mut().zip(&facts.snapshots) {
        *record = snapshot_record(snapshot);
    }
    result.bitmap_count = u32::try_from(facts.bitmaps.len()).unwrap_or(0);
    for (record, bitmap) in result.bitmaps.iter_mut().zip(&facts.bitmaps) {
        *record = bitmap_record(bitmap);
    }
    Ok(())
}

/// What the header of an encrypted image says.
fn put_luks(facts: &Facts, result: &mut InfoResult) {
    let Some(luks) = &facts.luks else {
        return;
    };
    let record = &mut result.luks;
    record.version = luks.version;
    record.slot_count = u32::try_from(luks.slots.len()).unwrap_or(0);
    record.master_key_iterations = luks.master_key_iterations;
    record.payload_offset = luks.payload_offset;
    put(&mut record.cipher, &luks.cipher);
    put(&mut record.mode, &luks.mode);
    put(&mut record.iv_generator, &luks.iv_generator);
    put(&mut record.hash, &luks.hash);
    put(&mut record.uuid, &luks.uuid);
    let mut active = 0;
    for ((number, slot), record) in (0_u32..).zip(&luks.slots).zip(&mut record.slots) {
        let bit = 1_u32.wrapping_shl(number);
        if slot.active {
            active |= bit;
        }
        record.iterations = slot.iterations;
        record.stripes = slot.stripes;
        record.key_offset = slot.offset;
    }
    result.luks.active_slots = active;
}

/// What a disk in several files says of them.
fn put_extent_files(
    facts: &Facts,
    device: u32,
    result: &mut InfoResult,
) -> Result<(), OperationError> {
    result.variant_len = put(&mut result.variant, &facts.variant);
    result.content_id = facts.content_id.unwrap_or(0);
    result.parent_content_id = facts.parent_content_id.unwrap_or(u32::MAX);
    if facts.extent_files.len() > result.extent_files.len() {
        let detail = "the disk lies in more than 60 files";
        let kind = error_kind::BAD_DESCRIPTOR;
        return Err(OperationError::plain(kind, device, detail));
    }
    result.extent_file_count = u32::try_from(facts.extent_files.len()).unwrap_or(0);
    for (record, extent) in result.extent_files.iter_mut().zip(&facts.extent_files) {
        record.kind = match extent.kind {
            ExtentFileKind::None => extent_file_kind::NONE,
            ExtentFileKind::Flat => extent_file_kind::FLAT,
            ExtentFileKind::Sparse => extent_file_kind::SPARSE,
            ExtentFileKind::Zero => extent_file_kind::ZERO,
            ExtentFileKind::Vmfs => extent_file_kind::VMFS,
            ExtentFileKind::VmfsSparse => extent_file_kind::VMFS_SPARSE,
            ExtentFileKind::SeSparse => extent_file_kind::SE_SPARSE,
        };
        record.name_len = put(&mut record.name, &extent.name);
        record.virtual_size = extent.virtual_size;
        record.file_offset = extent.file_offset;
        record.cluster_size = u32::try_from(extent.cluster_size).unwrap_or(0);
        record.compressed = u32::from(extent.compressed);
    }
    Ok(())
}

fn snapshot_record(snapshot: &Snapshot) -> SnapshotRecord {
    let mut record = SnapshotRecord {
        vm_state_size: snapshot.vm_state_size,
        date_sec: snapshot.date_seconds,
        date_nsec: snapshot.date_nanoseconds,
        vm_clock_nsec: snapshot.vm_clock_nanoseconds,
        disk_size: snapshot.disk_size,
        icount: snapshot
            .instruction_count
            .and_then(|count| i64::try_from(count).ok())
            .unwrap_or(-1),
        ..SnapshotRecord::ZERO
    };
    record.id_len = put(&mut record.id, &snapshot.id);
    record.name_len = put(&mut record.name, &snapshot.name);
    record
}

fn bitmap_record(bitmap: &Bitmap) -> BitmapRecord {
    let mut record = BitmapRecord {
        flags: u32::from(bitmap.in_use) | u32::from(bitmap.auto) << 1,
        granularity_bits: bitmap.granularity.trailing_zeros(),
        ..BitmapRecord::ZERO
    };
    record.name_len = put(&mut record.name, &bitmap.name);
    record
}
