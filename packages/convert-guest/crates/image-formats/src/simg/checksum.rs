//! CRC-32 of a whole image, made of the checksums of its parts: what is repeated, or nothing, is never written out.

use instar_codecs::crc32;

use crate::arith::{to_u64, to_usize};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::metadata_cache::MetadataCache;
use crate::simg::chunks::{Chunk, ChunkKind, Walk};
use crate::simg::{Header, WORD};
use crate::source::ByteSource;

const POLYNOMIAL: u32 = 0xedb8_8320;
/// The highest bit stands for x⁰.
const ONE: u32 = 1 << 31;
const X_TO_8: u32 = 1 << 23;
/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// The product of two polynomials, modulo that of the checksum.
fn product(one: u32, mut other: u32) -> u32 {
    let (mut sum, mut bit) = (0, ONE);
    while bit != 0 {
        if one & bit != 0 {
            sum ^= other;
        }
        let carried = if other & 1 == 0 { 0 } else { POLYNOMIAL };
        other = (other >> 1) ^ carried;
        bit >>= 1;
    }
    sum
}

/// The checksum of two parts one after the other, of which the second has `length` bytes.
fn joined(first: u32, second: u32, mut length: u64) -> u32 {
    let (mut power, mut square) = (ONE, X_TO_8);
    while length != 0 {
        if length & 1 != 0 {
            power = product(square, power);
        }
        square = product(square, square);
        length >>= 1;
    }
    product(power, first) ^ second
}

/// The checksum of `count` equal parts of `length` bytes.
fn repeated(mut part: u32, mut length: u64, mut count: u64) -> u32 {
    let mut all = 0;
    while count != 0 {
        if count & 1 != 0 {
            all = joined(all, part, length);
        }
        part = joined(part, part, length);
        length = length.saturating_mul(2);
        count >>= 1;
    }
    all
}

/// The checksum of all chunks so far. AOSP counts blocks of which nothing is said as zeros where it reads, and not at all
/// where it writes: an image that fits either is whole.
#[derive(Default)]
struct Sums {
    with_zeros: u32,
    without: u32,
}

impl Sums {
    fn add(&mut self, part: u32, length: u64, is_nothing: bool) {
        self.with_zeros = joined(self.with_zeros, part, length);
        if !is_nothing {
            self.without = joined(self.without, part, length);
        }
    }

    fn fit(&self, stored: u32) -> bool {
        stored == self.with_zeros || stored == self.without
    }
}

/// Compares the checksums of an image, where it has any; of one that is cut off those that lie before the cut.
///
/// # Errors
/// `ChecksumMismatch`, and whatever the walk refuses.
pub(super) fn verify<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    header: &Header,
) -> Result<(), FormatError> {
    let mut walk = Walk::new(header);
    let mut sums = Sums::default();
    let device = cache.device();
    let refuse = |field, at, stored: u32, sums: &Sums| {
        let expected = Expected::Value(sums.with_zeros.into());
        let kind = ErrorKind::ChecksumMismatch;
        FormatError::new(kind, device, field, at, stored.into(), expected)
    };
    while let Some(chunk) = walk.next(cache, header)? {
        if chunk.end > cache.file_size() {
            return Ok(());
        }
        match chunk.kind {
            ChunkKind::Checksum => {
                let stored = word(cache, &chunk)?;
                if !sums.fit(u32::from_le_bytes(stored)) {
                    let stored = u32::from_le_bytes(stored);
                    return Err(refuse("CRC32 chunk", chunk.data, stored, &sums));
                }
            }
            ChunkKind::Nothing => {
                let zeros = repeated(crc32(0, &[0]), 1, chunk.length);
                sums.add(zeros, chunk.length, true);
            }
            ChunkKind::Fill => {
                let part = crc32(0, &word(cache, &chunk)?);
                let count = chunk.length.checked_div(WORD).unwrap_or(0);
                sums.add(repeated(part, WORD, count), chunk.length, false);
            }
            ChunkKind::Data => {
                let part = of_data(cache, &chunk)?;
                sums.add(part, chunk.length, false);
            }
        }
    }
    let stored = header.checksum;
    if stored.value != 0 && !sums.fit(stored.value) {
        return Err(refuse("image_checksum", stored.offset, stored.value, &sums));
    }
    Ok(())
}

fn word<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    chunk: &Chunk,
) -> Result<[u8; 4], FormatError> {
    let mut word = [0; 4];
    cache.read(chunk.data, &mut word)?;
    Ok(word)
}

fn of_data<S: ByteSource>(cache: &mut MetadataCache<S>, chunk: &Chunk) -> Result<u32, FormatError> {
    let (mut crc, mut done) = (0, 0_u64);
    while done < chunk.length {
        let most = PIECE.min(to_usize(chunk.length.saturating_sub(done)));
        let bytes = cache.view(chunk.data.saturating_add(done), most)?;
        crc = crc32(crc, bytes);
        done = done.saturating_add(to_u64(bytes.len()).max(1));
    }
    Ok(crc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_give_the_checksum_of_the_whole() {
        let bytes: alloc::vec::Vec<u8> = (0..1000_u32).map(|at| (at * 7) as u8).collect();
        for at in [0, 1, 500, 999, 1000] {
            let (one, other) = bytes.split_at(at);
            let sum = joined(crc32(0, one), crc32(0, other), other.len() as u64);
            assert_eq!(sum, crc32(0, &bytes));
        }
    }

    #[test]
    fn repetitions_give_the_checksum_of_all_of_them() {
        for count in [0, 1, 2, 3, 1000] {
            let all = b"word".repeat(count);
            assert_eq!(repeated(crc32(0, b"word"), 4, count as u64), crc32(0, &all));
        }
    }
}
