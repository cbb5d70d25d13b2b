//! The info operation: what an image says of itself.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use instar_abi::{
    BitmapRecord, ChainConfig, INFO_MAX_BITMAPS, INFO_MAX_SNAPSHOTS, INFO_RESULT_MAGIC, InfoConfig,
    InfoResult, SnapshotRecord, error_kind, info_flag, raw_content,
};
use instar_codecs::Decoder;
use instar_guest_runtime::{WindowPool, put_result};
use instar_image_formats::qcow2::bitmap::Bitmap;
use instar_image_formats::qcow2::features::{
    COMPATIBLE_LAZY_REFCOUNTS, INCOMPATIBLE_CORRUPT, INCOMPATIBLE_DIRTY,
};
use instar_image_formats::qcow2::header::Encryption;
use instar_image_formats::qcow2::snapshot::Snapshot;
use instar_image_formats::qcow2::{Beyond, Tail, Within};
use instar_image_formats::{
    ByteSource, Codec, Content, DeviceIndex, DiskImage, FormatError, Image, Qcow2Image, recognise,
};

use crate::commands::SharedCommands;
use crate::convert::METADATA_WINDOW;
use crate::device_source::DeviceSource;
use crate::error::{OperationError, ending};
use crate::open_chain::{Opener, devices};
use crate::text::put;

/// Bytes of tables that are looked at: those of 2 TiB in clusters of 64 KiB.
const MOST_TABLE_BYTES: u64 = 256 << 20;

/// Looks at one device and leaves an InfoResult.
pub fn run(
    config: &[u8],
    chain: &ChainConfig,
    commands: &SharedCommands,
    windows: WindowPool,
) -> u32 {
    let mut result = Box::new(InfoResult::ZERO);
    result.magic = INFO_RESULT_MAGIC;
    let done = look(config, chain, commands, windows, &mut result);
    let code;
    (result.status, result.error, code) = ending(done, commands);
    put_result(&result.to_bytes());
    code
}

fn look(
    config: &[u8],
    chain: &ChainConfig,
    commands: &SharedCommands,
    mut windows: WindowPool,
    result: &mut InfoResult,
) -> Result<(), OperationError> {
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
        metadata_window: &window,
    };
    let mut image = opener.open(config.device)?;
    result.format = image.format().code();
    result.virtual_size = image.virtual_size();
    let size = devices(chain)
        .find(|(index, _)| *index == config.device)
        .map_or(0, |(_, device)| device.file_size);
    let mut source = DeviceSource::new(commands, &window, config.device, size);
    match &mut image {
        DiskImage::Raw(_) => describe_raw(&mut source, result),
        DiskImage::Qcow2(qcow2) => {
            describe_qcow2(qcow2, result)?;
            check_extents(qcow2, &mut source, result)
        }
    }
}

/// What a raw disk holds, and whether that lies inside the file.
fn describe_raw(source: &mut DeviceSource, result: &mut InfoResult) -> Result<(), OperationError> {
    let failed = |error| FormatError::of_source(DeviceIndex(0), 0, error);
    let found = recognise(source).map_err(failed)?;
    result.content = content_code(found.content);
    if found.content == Content::Iso9660 {
        result.flags |= info_flag::ISO_HINT;
    }
    result.flags |= info_flag::EXTENTS_CHECKED;
    if let Some(beyond) = found.beyond {
        put_beyond(result, &beyond);
    }
    Ok(())
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
    image: &mut Qcow2Image<DeviceSource>,
    source: &mut DeviceSource,
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
    let size = usize::try_from(image.header().cluster.size()).unwrap_or(0);
    let mut decoder = Decoder::new();
    let mut decoded = Vec::new();
    for tail in tails {
        let length = usize::try_from(tail.length).unwrap_or(0);
        let mut input = Vec::new();
        let room = input.try_reserve_exact(length).is_ok() && decoded.try_reserve(size).is_ok();
        if !room {
            result.flags &= !info_flag::EXTENTS_CHECKED;
            return Ok(());
        }
        input.resize(length, 0);
        decoded.resize(size, 0);
        let failed = |error| FormatError::of_source(image.device(), tail.offset, error);
        source
            .read_exact_at(tail.offset, &mut input)
            .map_err(failed)?;
        let codec = image.header().compression;
        if decoder.decode_cluster(codec, &input, &mut decoded).is_err() {
            let Tail { at, end, .. } = tail;
            let field = "compressed cluster";
            put_beyond(result, &Beyond { field, at, end });
            return Ok(());
        }
    }
    Ok(())
}

fn describe_qcow2<S: ByteSource>(
    image: &mut Qcow2Image<S>,
    result: &mut InfoResult,
) -> Result<(), OperationError> {
    let header = image.header();
    let incompatible = header.incompatible;
    result.version = header.version;
    result.cluster_size = u32::try_from(header.cluster.size()).unwrap_or(0);
    result.refcount_bits = header.refcount_bits;
    result.compression_type = match header.compression {
        Codec::Deflate => 0,
        Codec::Zstd => 1,
    };
    result.crypt_method = match header.encryption {
        Encryption::None => 0,
        Encryption::Aes => 1,
        Encryption::Luks => 2,
    };
    result.incompatible_features = incompatible;
    result.compatible_features = header.compatible;
    result.autoclear_features = header.autoclear.value;
    let facts = [
        (info_flag::BACKING_FILE, image.backing_name().is_some()),
        (info_flag::DATA_FILE, header.has_data_file()),
        (info_flag::DATA_FILE_RAW, header.is_data_file_raw()),
        (
            info_flag::LAZY_REFCOUNTS,
            header.compatible & COMPATIBLE_LAZY_REFCOUNTS != 0,
        ),
        (info_flag::DIRTY, incompatible & INCOMPATIBLE_DIRTY != 0),
        (info_flag::CORRUPT, incompatible & INCOMPATIBLE_CORRUPT != 0),
        (info_flag::EXTENDED_L2, header.has_extended_l2()),
        (info_flag::ENCRYPTED, header.encryption != Encryption::None),
    ];
    for (flag, set) in facts {
        if set {
            result.flags |= flag;
        }
    }
    result.backing_file_len = put(
        &mut result.backing_file,
        image.backing_name().unwrap_or_default(),
    );
    let extensions = image.extensions();
    let backing_format = extensions.backing_format.as_deref().unwrap_or_default();
    result.backing_format_len = put(&mut result.backing_format, backing_format);
    let data_file = extensions.data_file_name.as_deref().unwrap_or_default();
    result.data_file_len = put(&mut result.data_file, data_file);
    if data_file.len() > result.data_file.len() {
        let detail = "the name of the external data file is longer than 1024 bytes";
        return Err(OperationError::plain(
            error_kind::BAD_EXTENSION,
            image.device().0,
            detail,
        ));
    }

    let snapshot_limit = INFO_MAX_SNAPSHOTS as usize;
    let snapshots = image.snapshots(snapshot_limit.saturating_add(1))?;
    if snapshots.len() > snapshot_limit {
        result.flags |= info_flag::SNAPSHOTS_CUT;
    }
    result.snapshot_count = u32::try_from(snapshots.len().min(snapshot_limit)).unwrap_or(0);
    for (record, snapshot) in result.snapshots.iter_mut().zip(&snapshots) {
        *record = snapshot_record(snapshot);
    }

    let bitmap_limit = INFO_MAX_BITMAPS as usize;
    let bitmaps = image.bitmaps(bitmap_limit.saturating_add(1))?;
    if bitmaps.len() > bitmap_limit {
        result.flags |= info_flag::BITMAPS_CUT;
    }
    result.bitmap_count = u32::try_from(bitmaps.len().min(bitmap_limit)).unwrap_or(0);
    for (record, bitmap) in result.bitmaps.iter_mut().zip(&bitmaps) {
        *record = bitmap_record(bitmap);
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
