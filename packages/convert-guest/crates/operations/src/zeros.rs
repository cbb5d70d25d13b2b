//! Finding zeros.

/// Whether all bytes are zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    rest.iter().all(|byte| *byte == 0) && words.iter().all(|word| *word == [0; 8])
}
