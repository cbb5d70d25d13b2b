//! Apple Data Compression: literals, and copies of what was written before.

use crate::CodecError;

/// Fills `output` from the beginning of `input`.
pub(crate) fn decode(input: &[u8], output: &mut [u8]) -> Result<(), CodecError> {
    let mut input = input.iter().copied();
    let mut written = 0_usize;
    while written < output.len() {
        let code = input.next().ok_or(CodecError::ShortOutput)?;
        if code & 0x80 != 0 {
            for _ in 0..=(code & 0x7f) {
                let byte = input.next().ok_or(CodecError::ShortOutput)?;
                *output.get_mut(written).ok_or(CodecError::LongOutput)? = byte;
                written = written.saturating_add(1);
            }
            continue;
        }
        let mut next = || input.next().map(usize::from).ok_or(CodecError::ShortOutput);
        let (length, distance) = if code & 0x40 == 0 {
            let high = usize::from(code & 3) << 8;
            (
                usize::from((code & 0x3f) >> 2).saturating_add(3),
                high | next()?,
            )
        } else {
            let length = usize::from(code & 0x3f).saturating_add(4);
            (length, (next()? << 8) | next()?)
        };
        for _ in 0..length {
            let from = written.checked_sub(distance.saturating_add(1));
            let from = from.and_then(|from| output.get(from).copied());
            let byte = from.ok_or(CodecError::BadData)?;
            *output.get_mut(written).ok_or(CodecError::LongOutput)? = byte;
            written = written.saturating_add(1);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn literals_and_both_kinds_of_copies() {
        // "abc", 3 bytes from 3 back, 5 bytes from 1 back (a run), 4 bytes from 300 back is not valid.
        let input = [0x82, b'a', b'b', b'c', 0x00, 2, 0x41, 0, 0];
        let mut output = vec![0; 11];
        decode(&input, &mut output).unwrap();
        assert_eq!(output, b"abcabcccccc");
        let back = [0x80, b'x', 0x40, 1, 44];
        assert_eq!(decode(&back, &mut output), Err(CodecError::BadData));
        assert_eq!(decode(&input, &mut [0; 12]), Err(CodecError::ShortOutput));
        assert_eq!(decode(&input, &mut [0; 10]), Err(CodecError::LongOutput));
    }
}
