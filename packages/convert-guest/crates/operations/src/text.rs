//! Text and names into fixed fields of the ABI.

use core::fmt::{self, Write};

/// Copies as much of `bytes` as fits and returns how much that was.
pub fn put(target: &mut [u8], bytes: &[u8]) -> u32 {
    let length = bytes.len().min(target.len());
    if let (Some(to), Some(from)) = (target.get_mut(..length), bytes.get(..length)) {
        to.copy_from_slice(from);
    }
    u32::try_from(length).unwrap_or(0)
}

/// Formats into a fixed field; what does not fit is cut.
pub fn format(target: &mut [u8], arguments: fmt::Arguments<'_>) -> u32 {
    let mut cut = Cut { target, used: 0 };
    // Only a full field ends the formatting, which is the cut that is wanted.
    let _ = cut.write_fmt(arguments);
    u32::try_from(cut.used).unwrap_or(0)
}

struct Cut<'a> {
    target: &'a mut [u8],
    used: usize,
}

impl Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.target.get_mut(self.used..).unwrap_or_default();
        let put = usize::try_from(put(room, text.as_bytes())).unwrap_or(0);
        self.used = self.used.saturating_add(put);
        if put < text.len() {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}
