//! Finds what repeats in a page, greedily, by one table of positions.

use super::{DISTANCES, LITERALS};

/// Bits of an index of the table: as many entries as a page of 4 KiB has bytes.
const HASH_BITS: u32 = 12;
/// Shortest match that is looked for. The format allows 3: shorter ones cost more time than they save bytes.
const SHORTEST: usize = 5;
/// Bits of a word that are not among the first bytes of it that are compared.
const BEYOND: u32 = 64 - 8 * 5;
/// Longest match of the format.
pub const LONGEST: usize = 258;
/// Farthest match of the format.
const FARTHEST: usize = 1 << 15;
/// Positions that are tried one by one before a search without a match takes longer steps, as a power of two.
const PATIENCE: u32 = 5;
/// Sequences of a page in which hardly anything repeats.
const FEW_SEQUENCES: usize = 8;
/// 2 to the power of 7.75: squares of frequencies sum up to less than one part in so many where bytes are noise.
const NOISE: u64 = 215;
/// Bytes that one position reads.
const WORD: usize = 8;

/// Literals, and a match behind them.
#[derive(Clone, Copy)]
pub struct Sequence {
    pub literals: u32,
    /// Bytes that repeat; 0 only at the end of the page.
    pub length: u16,
    pub distance: u16,
}

/// Where bytes were seen last.
pub struct Positions(Box<[u16; 1 << HASH_BITS]>);

impl Default for Positions {
    fn default() -> Self {
        Self(Box::new([0; 1 << HASH_BITS]))
    }
}

/// What was found in a page, and how often each symbol of RFC 1951 (3.2.5) is needed for it.
pub struct Matches {
    pub sequences: Vec<Sequence>,
    pub literals: [u32; LITERALS],
    /// Counts of every second byte until the end of a search: equal bytes in a row would wait for each other's count.
    every_second: [u32; 256],
    pub distances: [u32; DISTANCES],
    /// Bits of lengths and distances that no code has.
    pub extra_bits: usize,
}

impl Default for Matches {
    fn default() -> Self {
        Self {
            sequences: Vec::new(),
            literals: [0; LITERALS],
            every_second: [0; 256],
            distances: [0; DISTANCES],
            extra_bits: 0,
        }
    }
}

/// The symbol of a length from 3 to 258, and its extra bits: how many and which.
#[inline(always)]
pub fn length_symbol(length: u16) -> (usize, u32, u32) {
    let over = u32::from(length).wrapping_sub(3);
    if over == 255 {
        return (285, 0, 0);
    }
    if over < 8 {
        return (257 + over as usize, 0, 0);
    }
    let extra = 29_u32.wrapping_sub(over.leading_zeros());
    let symbol = 257_u32.wrapping_add(extra.wrapping_mul(4)).wrapping_add(over >> extra);
    (symbol as usize, extra, over & (1_u32 << extra).wrapping_sub(1))
}

/// The symbol of a distance from 1 to 32768, and its extra bits.
#[inline(always)]
pub fn distance_symbol(distance: u16) -> (usize, u32, u32) {
    let over = u32::from(distance).wrapping_sub(1);
    if over < 4 {
        return (over as usize, 0, 0);
    }
    let extra = 30_u32.wrapping_sub(over.leading_zeros());
    let symbol = extra.wrapping_mul(2).wrapping_add(over >> extra);
    (symbol as usize, extra, over & (1_u32 << extra).wrapping_sub(1))
}

#[inline(always)]
fn word_at(page: &[u8], at: usize) -> Option<u64> {
    page.get(at..)?.first_chunk::<WORD>().map(|bytes| u64::from_le_bytes(*bytes))
}

/// An index of the table, by the bytes of a word that a match must have.
#[inline(always)]
fn hash(word: u64) -> usize {
    ((word << BEYOND).wrapping_mul(0x9e37_79b1_85eb_ca87) >> (64 - HASH_BITS)) as usize
}

#[inline(always)]
fn narrow(value: usize) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

#[inline(always)]
fn count<const N: usize>(counts: &mut [u32; N], symbol: usize) {
    if let Some(count) = counts.get_mut(symbol) {
        *count = count.wrapping_add(1);
    }
}

/// Bytes that are the same at two places, `from` the earlier one, up to the longest match.
#[inline(always)]
fn common(page: &[u8], from: usize, at: usize) -> usize {
    let most = LONGEST.min(page.len().saturating_sub(at));
    let mut same = 0_usize;
    while same < most {
        let (a, b) = (from.wrapping_add(same), at.wrapping_add(same));
        match (word_at(page, a), word_at(page, b)) {
            (Some(x), Some(y)) if x == y => same = same.wrapping_add(WORD),
            (Some(x), Some(y)) => return most.min(same.wrapping_add(((x ^ y).trailing_zeros() >> 3) as usize)),
            _ if page.get(a) == page.get(b) => same = same.wrapping_add(1),
            _ => break,
        }
    }
    most.min(same)
}

impl Matches {
    /// Looks through a page of at most 64 KiB.
    pub fn find(&mut self, page: &[u8], Positions(table): &mut Positions) {
        table.fill(0);
        self.sequences.clear();
        self.literals.fill(0);
        self.every_second.fill(0);
        self.distances.fill(0);
        self.extra_bits = 0;
        let (mut at, mut anchor, mut misses) = (1_usize, 0_usize, 0_usize);
        while let Some(word) = word_at(page, at) {
            let Some(entry) = table.get_mut(hash(word)) else { break };
            // Where nothing was seen yet this is the first position: it is compared as any other.
            let from = usize::from(*entry);
            *entry = narrow(at);
            let distance = at.wrapping_sub(from);
            let same = word_at(page, from).is_some_and(|seen| (seen ^ word) << BEYOND == 0);
            if !same || distance > FARTHEST || distance == 0 {
                at = at.wrapping_add(1).wrapping_add(misses >> PATIENCE);
                misses = misses.wrapping_add(1);
                continue;
            }
            let length = common(page, from, at).max(SHORTEST);
            self.add(page, anchor, at, length, distance);
            // A position near the end of the match, so that what follows it is found again.
            let end = at.wrapping_add(length);
            let before = end.wrapping_sub(2);
            if let Some(entry) = word_at(page, before).and_then(|word| table.get_mut(hash(word))) {
                *entry = narrow(before);
            }
            (at, anchor, misses) = (end, end, 0);
        }
        self.add(page, anchor, page.len(), 0, 0);
        for (count, more) in self.literals.iter_mut().zip(&self.every_second) {
            *count = count.wrapping_add(*more);
        }
    }

    /// Whether nothing repeats and no byte is much more frequent than others: no code makes such a page much shorter.
    pub fn is_noise(&self) -> bool {
        let literals: u32 = self.literals.iter().sum();
        let squares: u64 = self.literals.iter().map(|count| u64::from(*count).wrapping_mul(u64::from(*count))).sum();
        let all = u64::from(literals).wrapping_mul(u64::from(literals));
        // The collision entropy is no higher than Shannon's: above 7.75 bits of 8, the gain is below a thirtieth.
        self.sequences.len() < FEW_SEQUENCES && squares.wrapping_mul(NOISE) < all
    }

    #[inline(always)]
    fn add(&mut self, page: &[u8], anchor: usize, at: usize, length: usize, distance: usize) {
        let bytes = page.get(anchor..at).unwrap_or_default();
        let (pairs, rest) = bytes.as_chunks::<2>();
        for [first, second] in pairs {
            count(&mut self.literals, usize::from(*first));
            count(&mut self.every_second, usize::from(*second));
        }
        if let [last] = rest {
            count(&mut self.literals, usize::from(*last));
        }
        let literals = u32::try_from(bytes.len()).unwrap_or(0);
        let sequence = Sequence { literals, length: narrow(length), distance: narrow(distance) };
        self.sequences.push(sequence);
        if length == 0 {
            return;
        }
        let (symbol, length_bits, _) = length_symbol(sequence.length);
        count(&mut self.literals, symbol);
        let (symbol, distance_bits, _) = distance_symbol(sequence.distance);
        count(&mut self.distances, symbol);
        self.extra_bits = self.extra_bits.wrapping_add(length_bits.wrapping_add(distance_bits) as usize);
    }
}
