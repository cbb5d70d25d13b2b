//! The property list, as far as it matters: the base64 text in its `<data>` elements, decoded while it is read.

const OPEN: &[u8] = b"<data>";

/// What a byte of the list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Nothing that matters.
    None,
    /// A data element begins.
    Begin,
    /// A decoded byte.
    Byte(u8),
    /// The data element ends.
    End,
}

/// Follows the text byte by byte.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// Bytes of the tag that have been seen.
    matched: usize,
    inside: bool,
    bits: u32,
    /// Bits that wait for more.
    waiting: u32,
}

fn value_of(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte.wrapping_sub(b'A'),
        b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
        b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

impl Scanner {
    pub fn take(&mut self, byte: u8) -> Event {
        if self.inside {
            return self.take_inside(byte);
        }
        if OPEN.get(self.matched) == Some(&byte) {
            self.matched = self.matched.saturating_add(1);
        } else {
            self.matched = usize::from(byte == b'<');
        }
        if self.matched < OPEN.len() {
            return Event::None;
        }
        *self = Self {
            inside: true,
            ..Self::default()
        };
        Event::Begin
    }

    fn take_inside(&mut self, byte: u8) -> Event {
        if byte == b'<' {
            *self = Self {
                matched: 1,
                ..Self::default()
            };
            return Event::End;
        }
        let Some(value) = value_of(byte) else {
            return Event::None;
        };
        self.bits = (self.bits << 6) | value;
        self.waiting = self.waiting.saturating_add(6);
        if self.waiting < 8 {
            return Event::None;
        }
        self.waiting = self.waiting.saturating_sub(8);
        let [.., low] = self.bits.wrapping_shr(self.waiting).to_be_bytes();
        Event::Byte(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_elements_are_decoded_whatever_lies_between_their_characters() {
        let text = b"<key>Data</key><<data>\n\tbWlz\n\taAD/\n</data><data>AQ==</data>";
        let mut scanner = Scanner::default();
        let events: Vec<_> = text
            .iter()
            .map(|byte| scanner.take(*byte))
            .filter(|event| *event != Event::None)
            .collect();
        let bytes = b"mish\0\xff".map(Event::Byte);
        let second = [Event::Begin, Event::Byte(1), Event::End];
        let expected = [&[Event::Begin][..], &bytes, &[Event::End], &second].concat();
        assert_eq!(events, expected);
    }
}
