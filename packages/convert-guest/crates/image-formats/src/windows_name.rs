//! Names of files as Windows programs store them: UTF-16, with backslashes and drives.

use alloc::string::String;
use alloc::vec::Vec;

/// A stored name as one that can be looked up beside the image: `.\a\b.vhd` is `a/b.vhd`. What stands on a drive, on a
/// server or at a root there has no place here, so that only its last part is left. `None` for bytes that are no name.
pub(crate) fn from_windows(units: impl IntoIterator<Item = u16>) -> Option<Vec<u8>> {
    let units = units.into_iter().take_while(|unit| *unit != 0);
    let name: Result<String, _> = char::decode_utf16(units).collect();
    let name = name.ok()?.replace('\\', "/");
    let has_drive = name.as_bytes().get(1) == Some(&b':');
    let name = if has_drive || name.starts_with('/') {
        name.rsplit(['/', ':']).next().unwrap_or("")
    } else {
        name.strip_prefix("./").unwrap_or(&name)
    };
    (!name.is_empty()).then(|| name.as_bytes().to_vec())
}

/// The name of a file beside an image, as Windows programs store it: `a/b.vhd` is `.\\a\\b.vhd`. `None` for what they cannot name.
pub(crate) fn to_windows(name: &[u8]) -> Option<Vec<u16>> {
    let name = core::str::from_utf8(name).ok()?;
    let strange = |letter: char| matches!(letter, '\\' | ':' | '\0');
    if name.is_empty() || name.starts_with('/') || name.contains(strange) {
        return None;
    }
    let front = if name.starts_with("../") { "" } else { ".\\" };
    let name = name.replace('/', "\\");
    Some(front.encode_utf16().chain(name.encode_utf16()).collect())
}

/// Units of UTF-16 in bytes, the lower byte first.
pub(crate) fn little_endian(bytes: &[u8]) -> impl Iterator<Item = u16> {
    let (pairs, _) = bytes.as_chunks::<2>();
    pairs.iter().map(|pair| u16::from_le_bytes(*pair))
}

/// Units of UTF-16 in bytes, the higher byte first.
pub(crate) fn big_endian(bytes: &[u8]) -> impl Iterator<Item = u16> {
    let (pairs, _) = bytes.as_chunks::<2>();
    pairs.iter().map(|pair| u16::from_be_bytes(*pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_files_beside_the_image() {
        for (stored, expected) in [
            (".\\base.vhd", Some("base.vhd")),
            ("..\\disks\\ba se.vhd", Some("../disks/ba se.vhd")),
            ("sub\\b.vhd\0rest", Some("sub/b.vhd")),
            ("C:\\Disks\\b.vhd", Some("b.vhd")),
            ("c:b.vhd", Some("b.vhd")),
            ("\\\\server\\share\\b\u{fc}ro.vhd", Some("b\u{fc}ro.vhd")),
            ("\\\\?\\Volume{1}\\b.vhd", Some("b.vhd")),
            ("C:\\Disks\\", None),
            ("", None),
        ] {
            let bytes: Vec<u8> = stored.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let name = from_windows(little_endian(&bytes));
            assert_eq!(name.as_deref(), expected.map(str::as_bytes), "{stored}");
        }
        assert_eq!(from_windows(big_endian(&[0xd8, 0, 0, 65])), None);
        for name in ["base.vhd", "a b/\u{fc}.vhd", "../x.vhd"] {
            let stored = to_windows(name.as_bytes()).unwrap();
            assert_eq!(from_windows(stored).as_deref(), Some(name.as_bytes()));
        }
        for name in ["", "/x.vhd", "a\\b.vhd", "c:b.vhd"] {
            assert_eq!(to_windows(name.as_bytes()), None, "{name}");
        }
    }
}
