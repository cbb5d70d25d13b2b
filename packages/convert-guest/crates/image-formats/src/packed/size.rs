//! How large the disk is, as far as the packed file says so. What it says is compared once all of it was unpacked.

use instar_codecs::{Packing, crc32};

use crate::arith::{to_u64, to_usize};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::source::{ByteSource, DeviceIndex};

/// Bytes of an xz stream's header, and of its footer (xz file format, 2.1.1 and 2.1.2).
const XZ_END: u64 = 12;
/// Bytes that are read at once.
const PIECE: usize = 4096;
const ZSTD_MAGIC: u32 = 0xfd2f_b528;
const SKIPPABLE: u32 = 0x184d_2a50;

/// The size of the disk (bytes); `None` where only unpacking tells: gzip counts modulo 2³², bzip2 does not count.
pub(super) fn stated<S: ByteSource>(
    source: &mut S,
    device: DeviceIndex,
    packing: Packing,
) -> Result<Option<u64>, FormatError> {
    let mut file = File {
        source,
        device,
        piece: [0; PIECE],
        start: 0,
        length: 0,
    };
    match packing {
        Packing::Gzip | Packing::Bzip2 => Ok(None),
        Packing::Xz => xz(&mut file).map(Some),
        Packing::Zstd => zstd(&mut file),
    }
}

/// A file of which small things are read.
struct File<'a, S> {
    source: &'a mut S,
    device: DeviceIndex,
    /// What was read last, and where it lies.
    piece: [u8; PIECE],
    start: u64,
    length: usize,
}

impl<S: ByteSource> File<'_, S> {
    fn read(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), FormatError> {
        let end = at.checked_add(to_u64(buffer.len()));
        if end.is_none_or(|end| end > self.source.size()) {
            return Err(self.damaged("packed data", at, "more of it: the file ends too early"));
        }
        if !self.take(at, buffer) {
            let left = self.source.size().saturating_sub(at);
            self.length = PIECE.min(to_usize(left));
            self.start = at;
            let piece = self.piece.get_mut(..self.length).unwrap_or_default();
            let device = self.device;
            let read = self.source.read_exact_at(at, piece);
            read.map_err(|error| FormatError::of_source(device, at, error))?;
            self.take(at, buffer);
        }
        Ok(())
    }

    /// Fills a buffer that is no longer than a piece from what was read last, if it lies there.
    fn take(&self, at: u64, buffer: &mut [u8]) -> bool {
        let from = at.checked_sub(self.start).map(to_usize);
        let read = self.piece.get(..self.length).unwrap_or_default();
        let bytes = from
            .and_then(|from| read.get(from..))
            .and_then(|rest| rest.get(..buffer.len()));
        if let Some(bytes) = bytes {
            buffer.copy_from_slice(bytes);
        }
        bytes.is_some()
    }

    fn word(&mut self, at: u64) -> Result<u32, FormatError> {
        let mut bytes = [0; 4];
        self.read(at, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn damaged(&self, field: &'static str, at: u64, expected: &'static str) -> FormatError {
        let expected = Expected::Sentence(expected);
        FormatError::new(ErrorKind::Damaged, self.device, field, at, 0, expected)
    }
}

/// Adds up the indexes of all streams, from the last to the first.
fn xz<S: ByteSource>(file: &mut File<'_, S>) -> Result<u64, FormatError> {
    let mut end = file.source.size();
    let mut total = 0_u64;
    while end > 0 {
        let mut footer = [0; 12];
        let start = end.saturating_sub(XZ_END);
        let cut = file.damaged("stream footer", start, "an xz stream that is whole");
        if end < XZ_END.saturating_mul(2) {
            return Err(cut);
        }
        file.read(start, &mut footer)?;
        if footer.ends_with(&[0; 4]) {
            end = without_padding(file, end)?;
            continue;
        }
        if !footer.ends_with(b"YZ") {
            return Err(cut);
        }
        let [.., a, b, c, d, _, _, _, _] = footer;
        let length = u64::from(u32::from_le_bytes([a, b, c, d]));
        let length = length.saturating_add(1).saturating_mul(4);
        let Some(index) = start.checked_sub(length) else {
            return Err(cut);
        };
        let (unpacked, packed) = index_of(file, index, length)?;
        total = total.saturating_add(unpacked);
        let before = packed
            .checked_add(XZ_END)
            .and_then(|all| index.checked_sub(all));
        end = before
            .ok_or_else(|| file.damaged("index", index, "blocks that lie inside the file"))?;
    }
    Ok(total)
}

/// Where the padding begins that ends at `end`; it consists of words (2.2).
fn without_padding<S: ByteSource>(file: &mut File<'_, S>, end: u64) -> Result<u64, FormatError> {
    let mut at = end;
    let mut piece = [0; PIECE];
    while at > 0 {
        let length = PIECE.min(to_usize(at));
        let start = at.saturating_sub(to_u64(length));
        let part = piece.get_mut(..length).unwrap_or_default();
        file.read(start, part)?;
        if let Some(last) = part.iter().rposition(|byte| *byte != 0) {
            let behind = start.saturating_add(to_u64(last)).saturating_add(1);
            let padding = end.saturating_sub(behind);
            return Ok(end.saturating_sub(padding & !3));
        }
        at = start;
    }
    Err(file.damaged("stream footer", 0, "an xz stream that is whole"))
}

/// Bytes that the blocks of an index unpack to, and that they take in the file (4.3).
fn index_of<S: ByteSource>(
    file: &mut File<'_, S>,
    at: u64,
    length: u64,
) -> Result<(u64, u64), FormatError> {
    let wrong = file.damaged("index", at, "an index whose checksum agrees");
    let mut crc = 0;
    let (mut unpacked, mut packed) = (0_u64, 0_u64);
    let mut numbers = Numbers::default();
    let mut records = None;
    let mut block = None;
    let body = length.saturating_sub(4);
    let mut done = 0_u64;
    let mut piece = [0; PIECE];
    while done < body {
        let size = PIECE.min(to_usize(body.saturating_sub(done)));
        let part = piece.get_mut(..size).unwrap_or_default();
        file.read(at.saturating_add(done), part)?;
        crc = crc32(crc, part);
        // The first byte tells an index from a block.
        let skip = usize::from(done == 0);
        for byte in part.iter().skip(skip) {
            if records == Some(0) {
                break;
            }
            let Some(number) = numbers.take(*byte) else {
                continue;
            };
            match (&mut records, block) {
                (None, _) => records = Some(number),
                (Some(_), None) => block = Some(number),
                (Some(left), Some(size)) => {
                    unpacked = unpacked.saturating_add(number);
                    packed =
                        packed.saturating_add(size.checked_next_multiple_of(4).unwrap_or(u64::MAX));
                    *left = left.saturating_sub(1);
                    block = None;
                }
            }
        }
        done = done.saturating_add(to_u64(size));
    }
    if records != Some(0) || file.word(at.saturating_add(body))? != crc {
        return Err(wrong);
    }
    Ok((unpacked, packed))
}

/// Numbers of seven bits a byte, the lowest first (1.2).
#[derive(Default)]
struct Numbers {
    value: u64,
    shift: u32,
}

impl Numbers {
    fn take(&mut self, byte: u8) -> Option<u64> {
        let bits = u64::from(byte & 0x7f).checked_shl(self.shift).unwrap_or(0);
        self.value |= bits;
        if byte & 0x80 != 0 {
            self.shift = self.shift.saturating_add(7);
            return None;
        }
        let value = self.value;
        *self = Self::default();
        Some(value)
    }
}

/// Whether a file begins with a frame, behind a skippable one perhaps, which parallel packers write.
pub(super) fn begins_like_zstd(head: &[u8]) -> bool {
    let word = |at: usize| {
        let bytes = head.get(at..).and_then(<[u8]>::first_chunk::<4>);
        bytes.map(|bytes| u32::from_le_bytes(*bytes))
    };
    match (word(0), word(4)) {
        (Some(ZSTD_MAGIC), _) => true,
        (Some(magic), Some(length)) if magic & !0xf == SKIPPABLE => {
            let next = to_usize(u64::from(length).saturating_add(8));
            word(next) == Some(ZSTD_MAGIC)
        }
        _ => false,
    }
}

/// Adds up what all frames say of their content, going from block to block (RFC 8878, 3.1.1); `None` where one says nothing.
fn zstd<S: ByteSource>(file: &mut File<'_, S>) -> Result<Option<u64>, FormatError> {
    let size = file.source.size();
    let mut total = 0_u64;
    let mut at = 0_u64;
    while at < size {
        let magic = file.word(at)?;
        if magic & !0xf == SKIPPABLE {
            let length = file.word(at.saturating_add(4))?;
            at = at.saturating_add(8).saturating_add(length.into());
            continue;
        }
        if magic != ZSTD_MAGIC {
            return Err(file.damaged("frame", at, "nothing behind the last frame, or another one"));
        }
        at = at.saturating_add(4);
        let mut descriptor = [0];
        file.read(at, &mut descriptor)?;
        let [descriptor] = descriptor;
        let single = descriptor & 0x20 != 0;
        let dictionary = [0, 1, 2, 4]
            .get(usize::from(descriptor & 3))
            .copied()
            .unwrap_or(0);
        let field = match descriptor >> 6 {
            0 => usize::from(single),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        at = at
            .saturating_add(1)
            .saturating_add(u64::from(!single))
            .saturating_add(dictionary);
        if field == 0 {
            return Ok(None);
        }
        let mut bytes = [0; 8];
        file.read(at, bytes.get_mut(..field).unwrap_or_default())?;
        let stated = u64::from_le_bytes(bytes);
        // Two bytes count from 256 on.
        let stated = stated.saturating_add(if field == 2 { 256 } else { 0 });
        total = total.saturating_add(stated);
        at = at.saturating_add(to_u64(field));
        loop {
            let mut header = [0; 3];
            file.read(at, &mut header)?;
            let [a, b, c] = header;
            let header = u32::from_le_bytes([a, b, c, 0]);
            let length = match header >> 1 & 3 {
                1 => 1,
                _ => u64::from(header >> 3),
            };
            at = at.saturating_add(3).saturating_add(length);
            if header & 1 != 0 {
                break;
            }
        }
        at = at.saturating_add(if descriptor & 4 == 0 { 0 } else { 4 });
    }
    if at > size {
        return Err(file.damaged("frame", at, "more of it: the file ends too early"));
    }
    Ok(Some(total))
}
