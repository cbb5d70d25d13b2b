//! The header of LUKS2 (LUKS2 On-Disk Format Specification 1.1.1): two copies of a binary part with a checksum and of a
//! text in JSON, of which the whole one with the higher sequence number counts.

use alloc::string::String;
use alloc::vec::Vec;

use instar_ciphers::Hash;

use crate::arith::{to_u64, to_usize};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::luks::header::{Header, text};
use crate::luks::metadata;
use crate::metadata_cache::MetadataCache;
use crate::source::{ByteSource, DeviceIndex};
use crate::structure::Structure;
use crate::structures::luks2::header;

const MAGIC: &[u8; 6] = b"LUKS\xba\xbe";
const SECOND_MAGIC: &[u8; 6] = b"SKUL\xba\xbe";
/// Bytes of the binary part; the text follows.
/// Lengths that a copy can have, and so the places where the second one can begin (bytes).
const LENGTHS: [u64; 9] = [
    0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000, 0x40_0000,
];

/// One copy whose checksum is right.
struct Copy {
    sequence: u64,
    uuid: Vec<u8>,
    json: Vec<u8>,
    /// Where the text begins (byte offset in the file).
    at: u64,
}

/// Reads the copy that counts.
///
/// # Errors
/// What is wrong with the first copy where the second one is of no use either, and with the text.
pub(super) fn read<S: ByteSource>(cache: &mut MetadataCache<S>) -> Result<Header, FormatError> {
    let first = read_copy(cache, 0, MAGIC);
    let second = match &first {
        // The text of a copy fills it, so that the other one follows.
        Ok(copy) => {
            let next = copy.at.saturating_add(to_u64(copy.json.len()));
            read_copy(cache, next, SECOND_MAGIC)
        }
        Err(_) => find_second(cache),
    };
    let copy = match (first, second) {
        (Ok(first), Ok(second)) if second.sequence > first.sequence => second,
        (Ok(first), _) => first,
        (Err(_), Ok(second)) => second,
        (Err(error), Err(_)) => return Err(error),
    };
    let end = copy.json.iter().position(|byte| *byte == 0);
    let json = copy.json.get(..end.unwrap_or(copy.json.len()));
    metadata::read(json.unwrap_or_default(), copy.at, copy.uuid, cache.device())
}

/// The second copy, wherever it is.
pub(super) fn has_second<S: ByteSource>(cache: &mut MetadataCache<S>) -> bool {
    find_second(cache).is_ok()
}

fn find_second<S: ByteSource>(cache: &mut MetadataCache<S>) -> Result<Copy, FormatError> {
    let mut last = None;
    for offset in LENGTHS {
        match read_copy(cache, offset, SECOND_MAGIC) {
            Ok(copy) => return Ok(copy),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| FormatError::out_of_range(0, 0)))
}

fn read_copy<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    offset: u64,
    magic: &[u8; 6],
) -> Result<Copy, FormatError> {
    let device = cache.device();
    let mut binary = cache.read_vec(offset, header::BYTES)?;
    let head = Structure::new(&binary, offset, device, ErrorKind::BadHeader);
    let found = head.bytes(header::MAGIC)?;
    let version = head.get(header::VERSION)?;
    if found != magic || version.value != 2 {
        let expected = Expected::Value(2);
        return Err(version.refuse(ErrorKind::UnsupportedVersion, expected));
    }
    let length = head.get(header::HEADER_SIZE)?;
    if !LENGTHS.contains(&length.value) || (offset != 0 && length.value != offset) {
        let expected =
            Expected::Sentence("a power of two from 16 KiB to 4 MiB, the same in both copies");
        return Err(length.refuse(ErrorKind::BadHeader, expected));
    }
    let sequence = head.get(header::SEQUENCE_NUMBER)?;
    let at_algorithm = header::CHECKSUM_ALGORITHM.place(offset);
    let algorithm = text(head.bytes(header::CHECKSUM_ALGORITHM)?);
    let uuid = text(head.bytes(header::UUID)?);
    let own = head.get(header::HEADER_OFFSET)?;
    if own.value != offset {
        return Err(own.refuse(ErrorKind::BadHeader, Expected::Value(offset)));
    }
    let Some(hash) = Hash::from_name(&algorithm) else {
        let kind = ErrorKind::UnsupportedEncryption;
        let expected = Expected::Sentence("sha1, sha224, sha256, sha384 or sha512");
        let error = FormatError::new(
            kind,
            device,
            "checksum algorithm",
            at_algorithm,
            0,
            expected,
        );
        return Err(error.with_text(&algorithm));
    };
    let at = offset.saturating_add(to_u64(header::BYTES));
    let json = cache.read_vec(at, to_usize(length.value).saturating_sub(header::BYTES))?;
    let place = binary.get_mut(header::CHECKSUM.range()).unwrap_or_default();
    let stated = place.to_vec();
    place.fill(0);
    let digest = hash.digest(&[&binary, &json]);
    if digest.get(..hash.length()) != stated.get(..hash.length()) {
        let expected = Expected::Sentence("the checksum of the header and its text");
        let kind = ErrorKind::ChecksumMismatch;
        let at = offset.saturating_add(to_u64(header::CHECKSUM.offset()));
        return Err(FormatError::new(kind, device, "checksum", at, 0, expected));
    }
    Ok(Copy {
        sequence: sequence.value,
        uuid,
        json,
        at,
    })
}

/// What is wrong with the text.
pub(super) fn bad_text(device: DeviceIndex, at: u64, what: String) -> FormatError {
    let expected = Expected::Sentence("metadata as cryptsetup writes them");
    let kind = ErrorKind::BadDescriptor;
    FormatError::new(kind, device, "LUKS2 metadata", at, 0, expected).with_text(what.as_bytes())
}

/// A number that stands in the text.
pub(super) fn number(name: &'static str, at: u64, value: u64, device: DeviceIndex) -> Field<u64> {
    Field {
        value,
        name,
        offset: at,
        device,
    }
}
