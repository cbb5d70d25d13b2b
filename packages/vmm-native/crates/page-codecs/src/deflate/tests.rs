use super::huffman::Codes;

/// Bits that the codes of an alphabet leave free, in units of the longest.
fn free(lengths: &[u8], limit: u32) -> i64 {
    let taken: i64 = lengths.iter().filter(|length| **length > 0).map(|length| 1 << (limit - u32::from(*length))).sum();
    (1 << limit) - taken
}

#[test]
fn codes_are_complete_and_no_longer_than_the_limit() {
    // Fibonacci numbers make the deepest trees.
    let mut fibonacci = [0_u32; 32];
    let (mut a, mut b) = (1, 1);
    for count in fibonacci.iter_mut().take(24) {
        *count = a;
        (a, b) = (b, a + b);
    }
    for (limit, counts) in [(15, fibonacci), (7, fibonacci), (15, [1; 32]), (5, [9; 32])] {
        let mut codes = Codes::<32>::none();
        codes.assign(&counts, limit);
        assert!(codes.lengths.iter().all(|length| usize::from(*length) <= limit));
        assert!(codes.lengths.iter().zip(counts).all(|(length, count)| (*length > 0) == (count > 0)));
        assert_eq!(free(&codes.lengths, u32::try_from(limit).unwrap_or(0)), 0);
        // What is more frequent has no longer code.
        for (one, length) in counts.iter().zip(codes.lengths) {
            for (other, more) in counts.iter().zip(codes.lengths) {
                assert!(!(one > other && *other > 0) || length <= more);
            }
        }
    }
}

#[test]
fn codes_are_as_short_as_can_be() {
    // The example of RFC 1951, 3.2.2, has lengths 2, 1, 3, 3 and codes 10, 0, 110, 111, here with their bits reversed.
    let mut codes = Codes::<4>::none();
    codes.assign(&[20, 50, 10, 11], 15);
    assert_eq!(codes.lengths, [2, 1, 3, 3]);
    codes.number();
    assert_eq!(codes.codes.map(|code| code & 0xffff), [0b01, 0b0, 0b011, 0b111]);
    // One symbol gets a code of one bit, and so does another one that is not used.
    let mut one = Codes::<4>::none();
    one.assign(&[0, 0, 0, 7], 15);
    assert_eq!(one.lengths.iter().filter(|length| **length == 1).count(), 2);
    assert_eq!(one.lengths[3], 1);
}
