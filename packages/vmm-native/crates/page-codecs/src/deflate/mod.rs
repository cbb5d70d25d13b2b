//! Stores pages as zlib streams (RFC 1950, RFC 1951) of one block. It is made for pages: its table of positions stays in
//! the first level of the cache, where a compressor of files clears more memory for each page than the page has, and
//! pages beside each other share their codes, as making codes takes longer than using them for one page.

mod bits;
mod block;
mod huffman;
mod matches;
#[cfg(test)]
mod tests;

use bits::BitWriter;
use block::Block;
use matches::{Matches, Positions};

/// Symbols for bytes, the end of a block and lengths, of which the format leaves some unused.
const LITERALS: usize = 288;
/// Symbols for distances, as for lengths.
const DISTANCES: usize = 32;

/// `CMF` and `FLG` of RFC 1950: a window of 32 KiB, the fastest level, no dictionary.
const ZLIB_HEADER: [u8; 2] = [0x78, 0x01];
/// Bytes of the header and of the sum behind the data.
const WRAPPER: usize = 6;
/// Bytes behind a page that are overwritten while it is written.
pub const SLACK: usize = 16;
/// Pages that share their codes.
pub const GROUP: usize = 4;

/// Buffers for one thread.
#[derive(Default)]
pub struct PageDeflate {
    positions: Positions,
    found: [Matches; GROUP],
    block: Block,
}

impl PageDeflate {
    /// Compresses up to `GROUP` pages of at most 64 KiB each. `store` gets in turn the stream of each, or the page where that
    /// is not longer, and returns what is noted as its size. `room` has `SLACK` more bytes than a page.
    pub fn compress(&mut self, pages: &mut [(&[u8], &mut u32)], room: &mut [u8], store: &mut impl FnMut(&[u8]) -> u32) {
        let mut literals = [0_u32; LITERALS];
        let mut distances = [0_u32; DISTANCES];
        for (found, (page, _)) in self.found.iter_mut().zip(pages.iter()) {
            found.find(page, &mut self.positions);
            if !found.is_noise() {
                add(&mut literals, &found.literals);
                add(&mut distances, &found.distances);
            }
        }
        self.block.prepare(literals, &distances);
        for (found, (page, size)) in self.found.iter().zip(pages) {
            let stream = if found.is_noise() { None } else { write(&self.block, found, page, room) };
            **size = store(stream.and_then(|length| room.get(..length)).unwrap_or(page));
        }
    }
}

fn add<const N: usize>(sums: &mut [u32; N], counts: &[u32; N]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum = sum.wrapping_add(*count);
    }
}

/// The stream of a page at the start of `room`; returns its length, or nothing where it is no shorter than the page.
fn write(block: &Block, found: &Matches, page: &[u8], room: &mut [u8]) -> Option<usize> {
    let plan = block.plan(found);
    let most = page.len().checked_sub(WRAPPER)?;
    if plan.bits.div_ceil(8) >= most {
        return None;
    }
    let (header, rest) = room.split_first_chunk_mut::<2>()?;
    *header = ZLIB_HEADER;
    let mut bits = BitWriter::new(rest);
    block.write(&plan, found, page, &mut bits);
    let used = bits.finish()?;
    let sum = libdeflater::adler32(page).to_be_bytes();
    rest.get_mut(used..)?.first_chunk_mut::<4>()?.copy_from_slice(&sum);
    used.checked_add(WRAPPER)
}
