//! How often each value of a byte comes up, of a part of the bytes: what a code by frequency alone comes to.

/// Of each [`STRIDE`] bytes so many are counted.
const RUN: usize = 64;
const STRIDE: usize = 256;
/// Runs that fit a stride.
const PLACES: usize = STRIDE / RUN;
/// Bits behind the point of a logarithm.
const FRACTION: u32 = 8;

/// The parts of an input that are counted. They begin in another place of each stride, so that records whose length goes into a
/// stride, or is a multiple of it, are not counted by the same fields only.
pub(crate) fn sampled(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    input.chunks(STRIDE).enumerate().map(|(number, stride)| {
        let place = (number ^ (number >> 2) ^ (number >> 4)) % PLACES;
        let start = place.saturating_mul(RUN);
        stride
            .get(start..start.saturating_add(RUN))
            .unwrap_or(stride)
    })
}

/// How often each value of a byte came up.
pub(crate) struct Counts {
    of_value: [u32; 256],
    total: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            of_value: [0; 256],
            total: 0,
        }
    }
}

impl Counts {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(bytes.len() as u64);
        for byte in bytes {
            if let Some(count) = self.of_value.get_mut(usize::from(*byte)) {
                *count = count.saturating_add(1);
            }
        }
    }

    /// Whether two bytes are the same in no more cases than in `most` of a hundred times as many as chance has them.
    pub(crate) fn are_even(&self, most: u64) -> bool {
        // Of 2 MiB, a quarter of which is counted, squares and their sum fit.
        let pairs = |count: u64| count.saturating_mul(count.saturating_sub(1));
        let same = self.of_value.iter().fold(0_u64, |sum, count| {
            sum.saturating_add(pairs((*count).into()))
        });
        same.saturating_mul(256 * 100) <= pairs(self.total).saturating_mul(most)
    }

    /// What so many bytes of this kind come to where each is written as its frequency alone allows (bytes).
    pub(crate) fn coded_length(&self, length: u64) -> u64 {
        let whole = logarithm(self.total);
        let bits = self.of_value.iter().fold(0_u64, |sum, count| {
            let count = u64::from(*count);
            sum.saturating_add(count.saturating_mul(whole.saturating_sub(logarithm(count))))
        });
        // Of 2 MiB the product has less than 55 bits.
        bits.saturating_mul(length)
            .checked_div(self.total)
            .unwrap_or(0)
            >> (FRACTION + 3)
    }
}

/// The binary logarithm, of 0 as of 1, with [`FRACTION`] bits behind the point.
fn logarithm(value: u64) -> u64 {
    let Some(whole) = value.checked_ilog2() else {
        return 0;
    };
    // From 1 to less than 2, with 31 bits behind the point; each square has one bit of the fraction in front of it.
    let mut rest = (value << (63 - whole)) >> 32;
    let mut found = u64::from(whole);
    for _ in 0..FRACTION {
        rest = rest.saturating_mul(rest) >> 31;
        let bit = rest >> 32;
        rest >>= bit;
        found = (found << 1) | bit;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(input: &[u8]) -> Counts {
        let mut counts = Counts::default();
        sampled(input).for_each(|run| counts.add(run));
        counts
    }

    #[test]
    fn logarithms_are_those_of_the_processor() {
        for value in [1_u64, 2, 3, 5, 100, 4097, 65_535, 524_288, 1 << 40] {
            let exact = (value as f64).log2() * 256.0;
            let found = logarithm(value) as f64;
            assert!(found <= exact && exact - found < 1.01, "{value}: {found}");
        }
        assert_eq!(logarithm(0), 0);
    }

    #[test]
    fn a_code_by_frequency_takes_as_long_as_it_must() {
        let digits: Vec<u8> = (0..65_536_u32).map(|at| (at % 16) as u8).collect();
        assert_eq!(counted(&digits).coded_length(65_536), 32_768);
        assert_eq!(counted(&[7; 65_536]).coded_length(65_536), 0);
        let all: Vec<u8> = (0..65_536_u32).map(|at| (at % 256) as u8).collect();
        assert_eq!(counted(&all).coded_length(65_536), 65_536);
        assert_eq!(counted(&[]).coded_length(0), 0);
    }

    #[test]
    fn each_field_of_a_record_is_counted() {
        for record in [128, 256, 512, 1024, 2048, 4096] {
            let mut fields = vec![0_u8; 65_536];
            for (at, byte) in fields.iter_mut().enumerate() {
                *byte = u8::try_from(at % record * 8 / record).unwrap();
            }
            let counts = counted(&fields);
            for (field, count) in counts.of_value.iter().take(8).enumerate() {
                assert!(*count > 1000, "{record}: {field} {count}");
            }
        }
    }
}
