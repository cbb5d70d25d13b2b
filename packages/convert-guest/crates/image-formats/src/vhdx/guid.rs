//! GUIDs as they are stored: the first three parts little-endian.

use alloc::format;
use alloc::string::String;

pub(crate) type Guid = [u8; 16];

const fn guid(first: u32, second: u16, third: u16, rest: [u8; 8]) -> Guid {
    let [a, b, c, d] = first.to_le_bytes();
    let [e, f] = second.to_le_bytes();
    let [g, h] = third.to_le_bytes();
    let [i, j, k, l, m, n, o, p] = rest;
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

pub(crate) const BAT: Guid = guid(
    0x2dc2_7766,
    0xf623,
    0x4200,
    [0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08],
);
pub(crate) const METADATA: Guid = guid(
    0x8b7c_a206,
    0x4790,
    0x4b9a,
    [0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e],
);
pub(crate) const FILE_PARAMETERS: Guid = guid(
    0xcaa1_6737,
    0xfa36,
    0x4d43,
    [0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b],
);
pub(crate) const VIRTUAL_DISK_SIZE: Guid = guid(
    0x2fa5_4224,
    0xcd1b,
    0x4876,
    [0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8],
);
pub(crate) const VIRTUAL_DISK_ID: Guid = guid(
    0xbeca_12ab,
    0xb2e6,
    0x4523,
    [0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46],
);
pub(crate) const LOGICAL_SECTOR_SIZE: Guid = guid(
    0x8141_bf1d,
    0xa96f,
    0x4709,
    [0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f],
);
pub(crate) const PHYSICAL_SECTOR_SIZE: Guid = guid(
    0xcda3_48c7,
    0x445d,
    0x4471,
    [0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56],
);
/// The one type of parent locators: a VHDX.
pub(crate) const VHDX_PARENT: Guid = guid(
    0xb04a_efb7,
    0xd19e,
    0x4a81,
    [0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13],
);
pub(crate) const PARENT_LOCATOR: Guid = guid(
    0xa8d3_5f2d,
    0xb30b,
    0x454d,
    [0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c],
);

/// The GUID of a text such as `{83ed0ec3-24c8-49a6-a959-5e4bd1288791}`.
pub(crate) fn parse(text: &str) -> Option<Guid> {
    let text = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut parts = text.split('-');
    let mut number = |digits: usize| {
        let part = parts.next()?;
        let fits = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(part, 16).ok().filter(|_| fits)
    };
    let first = u32::try_from(number(8)?).ok()?;
    let second = u16::try_from(number(4)?).ok()?;
    let third = u16::try_from(number(4)?).ok()?;
    let [.., g, h] = number(4)?.to_be_bytes();
    let [_, _, i, j, k, l, m, n] = number(12)?.to_be_bytes();
    parts
        .next()
        .is_none()
        .then(|| guid(first, second, third, [g, h, i, j, k, l, m, n]))
}

/// The text of a GUID, in braces.
pub(crate) fn text(guid: &Guid) -> String {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *guid;
    let first = u32::from_le_bytes([a, b, c, d]);
    let (second, third) = (u16::from_le_bytes([e, f]), u16::from_le_bytes([g, h]));
    let fourth = u16::from_be_bytes([i, j]);
    let last = u64::from_be_bytes([0, 0, k, l, m, n, o, p]);
    format!("{{{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{last:012x}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_guid_or_none() {
        let text = "{2dc27766-F623-4200-9D64-115e9bfd4a08}";
        assert_eq!(parse(text), Some(BAT));
        assert_eq!(super::text(&BAT), text.to_lowercase());
        for text in [
            "",
            "{}",
            "2dc27766-f623-4200-9d64-115e9bfd4a08",
            "{2dc27766-f623-4200-9d64-115e9bfd4a08-}",
            "{+dc27766-f623-4200-9d64-115e9bfd4a08}",
            "{2dc27766f6-23-4200-9d64-115e9bfd4a08}",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
