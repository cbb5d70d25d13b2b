//! What a file answers to when nobody has said what it is.
//!
//! A file is believed only when one format claims it: images with two faces have been used to make
//! two programs see two different disks.

use instar_abi::image_format;

use crate::arith::to_u64;
use crate::driver;
use crate::source::{ByteSource, SourceError};
use crate::structures;

macro_rules! formats {
    ($($variant:ident = $code:ident, $name:literal;)*) => {
        /// Formats that are known by name; [`READ`](crate::driver::READ) lists those that are read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Format {
            $(#[doc = $name] $variant = image_format::$code,)*
        }

        impl Format {
            /// Every format.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number that crosses the ABI.
            pub const fn code(self) -> u32 {
                match self { $(Self::$variant => image_format::$code,)* }
            }

            /// The format of a number that crossed the ABI.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code { $(image_format::$code => Some(Self::$variant),)* _ => None }
            }

            /// The name, as `qemu-img` spells it where it knows the format.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The format of a name.
            pub fn from_name(name: &[u8]) -> Option<Self> {
                Self::ALL.iter().copied().find(|format| format.name().as_bytes() == name)
            }
        }
    };
}

instar_abi::for_each_format!(formats);

/// What a probe may look at.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    /// The first 2 KiB of the file; bytes that it does not have are zero.
    pub head: &'a [u8],
    /// The last 512 bytes of the file; all zero where it is shorter.
    pub trailer: &'a [u8],
}

/// What the probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// No image format claims the file.
    Raw {
        /// It holds an ISO 9660 file system.
        iso: bool,
    },
    /// One format claims it.
    Known(Format),
    /// At least these two claim it.
    Ambiguous(Format, Format),
}

const HEAD_LENGTH: usize = 2048;
const TRAILER_LENGTH: usize = 512;
const ISO_OFFSET: u64 = 32769;

impl Format {
    /// Where in a file the format is recognised; 0 for those that are recognised at the end.
    pub fn magic_offset(self) -> u64 {
        match self {
            Self::Iso9660 => ISO_OFFSET,
            Self::Vdi => to_u64(structures::vdi::header::SIGNATURE.offset()),
            _ => 0,
        }
    }
}

/// Asks every known format whether the file is one of its images.
///
/// # Errors
/// What the source reports.
pub fn probe<S: ByteSource + ?Sized>(source: &mut S) -> Result<Probe, SourceError> {
    let size = source.size();
    let mut head = [0; HEAD_LENGTH];
    read_inside(source, 0, &mut head)?;
    let mut trailer = [0; TRAILER_LENGTH];
    if let Some(start) = size.checked_sub(to_u64(TRAILER_LENGTH)) {
        source.read_exact_at(start, &mut trailer)?;
    }
    let mut iso = [0; 5];
    read_inside(source, ISO_OFFSET, &mut iso)?;

    let ends = Ends {
        head: &head,
        trailer: &trailer,
    };
    let mut found = claimants(ends);
    let iso = iso == *b"CD001";
    Ok(match (found.next(), found.next(), iso) {
        (None, _, iso) => Probe::Raw { iso },
        (Some(format), None, false) => Probe::Known(format),
        (Some(format), None, true) => Probe::Ambiguous(format, Format::Iso9660),
        (Some(first), Some(second), _) => Probe::Ambiguous(first, second),
    })
}

/// Fills as much of `buffer` as the file reaches; the rest stays zero.
pub(crate) fn read_inside<S: ByteSource + ?Sized>(
    source: &mut S,
    offset: u64,
    buffer: &mut [u8],
) -> Result<(), SourceError> {
    let left = crate::arith::to_usize(source.size().saturating_sub(offset));
    let length = left.min(buffer.len());
    match buffer.get_mut(..length) {
        Some(part) if !part.is_empty() => source.read_exact_at(offset, part),
        _ => Ok(()),
    }
}

fn claimants<'a>(ends: Ends<'a>) -> impl Iterator<Item = Format> + use<'a> {
    Format::ALL
        .iter()
        .copied()
        .filter(move |format| driver::claims(*format, &ends).unwrap_or(false))
}

/// The format whose images are recognised at their end, if a file that ends so is one.
pub(crate) fn claimed_by_its_end(trailer: &[u8; TRAILER_LENGTH]) -> Option<Format> {
    let head = &[0; HEAD_LENGTH];
    claimants(Ends { head, trailer }).next()
}

pub(crate) fn has(bytes: &[u8], offset: usize, magic: &[u8]) -> bool {
    bytes
        .get(offset..)
        .is_some_and(|rest| rest.starts_with(magic))
}

pub(crate) fn qcow_version(head: &[u8]) -> Option<u32> {
    let (magic, rest) = head.split_first_chunk::<4>()?;
    let (version, _) = rest.split_first_chunk::<4>()?;
    (*magic == crate::qcow2::header::MAGIC.to_be_bytes()).then(|| u32::from_be_bytes(*version))
}
