//! Bytes that no encoder of this crate makes shorter, such as media, archives and what is encrypted: disks are full of them, and
//! looking for repetitions in vain is the slowest that an encoder can do.

use crate::byte_counts::{Counts, sampled};

/// Shorter inputs are not judged.
const LEAST: usize = 4096;
/// Two bytes that are chosen at random are the same in one of 256 cases where all values come up equally. From so many times as
/// many (as a percentage) on, a code by frequency saves more than a hundredth.
const MOST_PAIRS: u64 = 106;
/// The same of what is looked at first, so many strides, which is less certain.
const FIRST: usize = 32;
const MOST_PAIRS_AT_FIRST: u64 = 200;
/// Of so many sampled places less than one may repeat what stood before.
const SAMPLES_OF_A_REPEAT: usize = 64;
/// Bits of the index into the places.
const PLACE_BITS: u32 = 12;
/// One position in 2 to the power of these many is sampled: which, its bytes decide, so that both ends of a repeat are.
const SAMPLE_BITS: u32 = 4;
/// Bytes that a repeat has at least.
const REPEAT: usize = 8;

/// Places of sampled positions, by their bytes.
pub(crate) type Places = [u32; 1 << PLACE_BITS];

/// Memory for them.
pub(crate) const PLACES: Places = [0; 1 << PLACE_BITS];

/// Whether an input is taken for one that does not become shorter: its bytes come up about equally often, and hardly anything
/// comes up again. `places` is memory for it.
pub(crate) fn is_incompressible(input: &[u8], places: &mut Places) -> bool {
    input.len() >= LEAST && has_even_bytes(input) && !repeats(input, places)
}

/// Whether all values of bytes come up about equally often.
fn has_even_bytes(input: &[u8]) -> bool {
    let mut counts = Counts::default();
    for (number, run) in sampled(input).enumerate() {
        // What is plainly uneven is seen at its beginning.
        if number == FIRST && !counts.are_even(MOST_PAIRS_AT_FIRST) {
            return false;
        }
        counts.add(run);
    }
    counts.are_even(MOST_PAIRS)
}

/// Whether more than a few of the sampled positions begin what stood before.
fn repeats(input: &[u8], places: &mut Places) -> bool {
    places.fill(0);
    let most = (input.len() >> SAMPLE_BITS) / SAMPLES_OF_A_REPEAT;
    let mut found = 0_usize;
    for (at, bytes) in input.windows(REPEAT).enumerate() {
        let &[a, b, c, d, ..] = bytes else { continue };
        let hash = u32::from_le_bytes([a, b, c, d]).wrapping_mul(0x9e37_79b1);
        if hash >> (u32::BITS - SAMPLE_BITS) != 0 {
            continue;
        }
        let index = usize::try_from(hash >> (u32::BITS - SAMPLE_BITS - PLACE_BITS));
        let Some(place) = index.ok().and_then(|index| places.get_mut(index)) else {
            continue;
        };
        let before = usize::try_from(*place).unwrap_or(0);
        *place = u32::try_from(at).unwrap_or(0);
        if before > 0 && input.get(before..before.saturating_add(REPEAT)) == Some(bytes) {
            found = found.saturating_add(1);
            if found > most {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a generator (xorshift64*), which no encoder makes shorter.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        (0..length)
            .map(|_| {
                state ^= state >> 12;
                state ^= state << 25;
                state ^= state >> 27;
                state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()[7]
            })
            .collect()
    }

    fn judged(input: &[u8]) -> bool {
        is_incompressible(input, &mut [0; 1 << PLACE_BITS])
    }

    #[test]
    fn noise_is_of_any_length_but_short_ones() {
        for length in [LEAST, 5000, 65_536, 2 << 20] {
            assert!(judged(&noise(length)), "{length}");
        }
        assert!(!judged(&noise(LEAST - 1)));
    }

    #[test]
    fn what_comes_up_again_is_not() {
        // A repeat at any distance, also an odd one.
        for distance in [4097, 30_000, 60_001] {
            let mut input = noise(65_536);
            let length = (65_536 - distance).min(6000);
            input.copy_within(..length, distance);
            assert!(!judged(&input), "{distance}");
        }
    }

    #[test]
    fn records_that_begin_with_noise_are_not() {
        // What follows is digits, of which no eight come up again.
        for record in [128, 256, 512, 1024, 4096] {
            let mut input = noise(65_536);
            for part in input.chunks_mut(record) {
                for byte in part.iter_mut().skip(record / 4) {
                    *byte = b'0' + *byte % 10;
                }
            }
            assert!(!judged(&input), "{record}");
        }
    }

    #[test]
    fn text_zeros_and_digits_in_noise_are_not() {
        let mut input = noise(65_536);
        for (at, byte) in input.iter_mut().enumerate() {
            if at % 4 == 0 {
                *byte = 0;
            }
        }
        assert!(!judged(&input));
        assert!(!judged(&[0; 65_536]));
        let text: Vec<u8> = noise(65_536).iter().map(|byte| b'a' + byte % 64).collect();
        assert!(!judged(&text));
        // A part of it is enough.
        let mut part = noise(65_536);
        part[40_000..50_000].fill(b'-');
        assert!(!judged(&part));
    }
}
