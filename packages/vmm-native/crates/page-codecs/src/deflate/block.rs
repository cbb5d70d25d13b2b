//! One block of RFC 1951 (3.2.3): with codes of its own, or with the fixed ones where those are shorter.

use super::bits::{BitWriter, Prefix};
use super::huffman::Codes;
use super::matches::{distance_symbol, length_symbol, Matches};
use super::{DISTANCES, LITERALS};

/// The symbol that ends a block.
const END: usize = 256;
/// In this order the lengths of the codes of code lengths are stored (3.2.7).
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// Symbols with which codes of their own are not tried: their description would be longer than what they save.
const FEW: u32 = 40;

/// The last block of its stream, and its kind (3.2.3).
const FIXED: u32 = 0b011;
const OWN: u32 = 0b101;
/// More bytes than codes are described in: 3 bits for each length of 19, 14 bits for each of 320 others.
const MOST_DESCRIPTION: usize = 600;

/// A run of code lengths: its symbol, and its extra bits.
#[derive(Clone, Copy)]
struct Run {
    symbol: u8,
    extra: u8,
    extra_bits: u8,
}

/// Codes that several pages share, and the fixed ones of the format.
pub struct Block {
    own: Codebook,
    fixed: Codebook,
    code_lengths: Codes<19>,
    runs: Vec<Run>,
    has_own: bool,
}

/// The codes of a block, and the bits at its start.
struct Codebook {
    literals: Codes<LITERALS>,
    distances: Codes<DISTANCES>,
    prefix: Prefix,
    prefix_bits: usize,
}

/// How a page is stored in the fewest bits.
pub struct Plan {
    pub bits: usize,
    is_fixed: bool,
}

impl Default for Block {
    fn default() -> Self {
        let mut fixed_literals = Codes::none();
        for (symbol, length) in fixed_literals.lengths.iter_mut().enumerate() {
            *length = match symbol {
                0..=143 => 8,
                144..=255 => 9,
                256..=279 => 7,
                _ => 8,
            };
        }
        fixed_literals.number();
        let mut fixed_distances = Codes::none();
        fixed_distances.lengths.fill(5);
        fixed_distances.number();
        let mut fixed = Codebook { literals: fixed_literals, distances: fixed_distances, ..Codebook::default() };
        fixed.set_prefix(|bits| bits.put(FIXED, 3));
        Self { own: Codebook::default(), fixed, code_lengths: Codes::none(), runs: Vec::new(), has_own: false }
    }
}

fn cost(counts: &[u32], lengths: &[u8]) -> usize {
    counts.iter().zip(lengths).map(|(count, length)| count.wrapping_mul(u32::from(*length))).sum::<u32>() as usize
}

/// Symbols up to the last that is used, but not fewer than the format can say.
fn described(lengths: &[u8], least: usize) -> usize {
    lengths.iter().rposition(|length| *length > 0).map_or(least, |last| last.wrapping_add(1).max(least))
}

impl Block {
    /// Makes codes for pages in which symbols occur so often altogether.
    pub fn prepare(&mut self, mut literals: [u32; LITERALS], distances: &[u32; DISTANCES]) {
        self.has_own = literals.iter().sum::<u32>() >= FEW;
        if !self.has_own {
            return;
        }
        if let Some(end) = literals.get_mut(END) {
            *end = 1;
        }
        self.own.literals.assign(&literals, 15);
        self.own.distances.assign(distances, 15);
        self.own.literals.number();
        self.own.distances.number();
        let (described, stored) = self.describe();
        let (lengths, runs) = (&self.code_lengths, &self.runs);
        self.own.set_prefix(|bits| write_description(bits, described, stored, lengths, runs));
    }

    /// Which codes a page takes.
    pub fn plan(&self, matches: &Matches) -> Plan {
        let fixed = self.fixed.cost(matches);
        let own = if self.has_own { self.own.cost(matches) } else { usize::MAX };
        Plan { bits: own.min(fixed), is_fixed: fixed <= own }
    }

    /// Plans how the codes are described: symbols of literals and of distances, and lengths of codes of lengths.
    fn describe(&mut self) -> ((usize, usize), usize) {
        let Codebook { literals: own_literals, distances: own_distances, .. } = &self.own;
        let (literals, distances) = (described(&own_literals.lengths, 257), described(&own_distances.lengths, 1));
        let mut lengths = [0_u8; LITERALS + DISTANCES];
        for (target, length) in lengths.iter_mut().zip(own_literals.lengths.iter().take(literals)) {
            *target = *length;
        }
        for (target, length) in lengths.iter_mut().skip(literals).zip(&own_distances.lengths) {
            *target = *length;
        }
        let lengths = lengths.get(..literals.wrapping_add(distances)).unwrap_or_default();
        self.runs.clear();
        let mut counts = [0_u32; 19];
        for run in lengths.chunk_by(|a, b| a == b) {
            let value = run.first().copied().unwrap_or(0);
            split_run(value, run.len(), &mut self.runs);
        }
        for run in &self.runs {
            if let Some(count) = counts.get_mut(usize::from(run.symbol)) {
                *count = count.wrapping_add(1);
            }
        }
        self.code_lengths.assign(&counts, 7);
        self.code_lengths.number();
        let stored = ORDER
            .iter()
            .rposition(|symbol| self.code_lengths.lengths.get(*symbol).is_some_and(|length| *length > 0))
            .map_or(4, |last| last.wrapping_add(1).max(4));
        ((literals, distances), stored)
    }

    /// Writes the block.
    pub fn write(&self, plan: &Plan, matches: &Matches, page: &[u8], out: &mut BitWriter<'_>) {
        let Codebook { literals, distances, prefix, .. } = if plan.is_fixed { &self.fixed } else { &self.own };
        out.start(prefix);
        let mut at = 0_usize;
        for sequence in &matches.sequences {
            let end = at.wrapping_add(sequence.literals as usize);
            let (threes, rest) = page.get(at..end).unwrap_or_default().as_chunks::<3>();
            for three in threes {
                for byte in three {
                    put(out, literals, usize::from(*byte));
                }
                out.flush();
            }
            // Both at once, as a choice between them would be guessed wrong half of the time.
            for place in 0..2 {
                let code =
                    rest.get(place).and_then(|byte| literals.codes.get(usize::from(*byte))).copied().unwrap_or(0);
                out.put(code & 0xffff, code >> 16);
            }
            out.flush();
            at = end.wrapping_add(usize::from(sequence.length));
            if sequence.length > 0 {
                let (symbol, bits, value) = length_symbol(sequence.length);
                put(out, literals, symbol);
                out.put(value, bits);
                let (symbol, bits, value) = distance_symbol(sequence.distance);
                put(out, distances, symbol);
                out.put(value, bits);
                out.flush();
            }
        }
        put(out, literals, END);
        out.flush();
    }
}

impl Default for Codebook {
    fn default() -> Self {
        Self { literals: Codes::none(), distances: Codes::none(), prefix: Prefix::default(), prefix_bits: 0 }
    }
}

impl Codebook {
    fn set_prefix(&mut self, write: impl FnOnce(&mut BitWriter<'_>)) {
        let mut room = [0_u8; MOST_DESCRIPTION];
        let mut bits = BitWriter::new(&mut room);
        write(&mut bits);
        bits.into_prefix(&mut self.prefix);
        self.prefix_bits = self.prefix.bits();
    }

    /// Bits of a page; more than any page has where a symbol of it has no code.
    fn cost(&self, matches: &Matches) -> usize {
        let symbols = cost(&matches.literals, &self.literals.lengths)
            .wrapping_add(cost(&matches.distances, &self.distances.lengths));
        let end = usize::from(self.literals.lengths.get(END).copied().unwrap_or(0));
        self.prefix_bits.wrapping_add(symbols).wrapping_add(end).wrapping_add(matches.extra_bits)
    }
}

fn write_description(
    out: &mut BitWriter<'_>,
    (literals, distances): (usize, usize),
    stored: usize,
    lengths: &Codes<19>,
    runs: &[Run],
) {
    let small = |value: usize, least: usize| u32::try_from(value.wrapping_sub(least)).unwrap_or(0);
    out.put(OWN, 3);
    out.put(small(literals, 257), 5);
    out.put(small(distances, 1), 5);
    out.put(small(stored, 4), 4);
    out.flush();
    for symbol in ORDER.iter().take(stored) {
        out.put(u32::from(lengths.lengths.get(*symbol).copied().unwrap_or(0)), 3);
        out.flush();
    }
    for run in runs {
        put(out, lengths, usize::from(run.symbol));
        out.put(u32::from(run.extra), u32::from(run.extra_bits));
        out.flush();
    }
}

#[inline(always)]
fn put<const N: usize>(out: &mut BitWriter<'_>, codes: &Codes<N>, symbol: usize) {
    if let Some(code) = codes.codes.get(symbol) {
        out.put(code & 0xffff, code >> 16);
    }
}

/// Splits equal lengths into the runs that the format has: 3 to 6 times the last one, 3 to 10 or 11 to 138 times none.
fn split_run(value: u8, count: usize, runs: &mut Vec<Run>) {
    let mut left = count;
    let byte = |value: usize| u8::try_from(value).unwrap_or(0);
    if value > 0 {
        runs.push(Run { symbol: value, extra: 0, extra_bits: 0 });
        left = left.saturating_sub(1);
    }
    while left >= 3 {
        let (symbol, least, most, extra_bits) = match (value, left) {
            (0, 11..) => (18, 11, 138, 7),
            (0, _) => (17, 3, 10, 3),
            _ => (16, 3, 6, 2),
        };
        let taken = left.min(most);
        runs.push(Run { symbol, extra: byte(taken.saturating_sub(least)), extra_bits });
        left = left.saturating_sub(taken);
    }
    for _ in 0..left {
        runs.push(Run { symbol: value, extra: 0, extra_bits: 0 });
    }
}
