//! Raw disks that were packed as a whole: gzip, xz, Zstandard, bzip2. The disk is what they unpack to, read from front to
//! back; an image of another format inside, or an archive, is refused by name, since it is read here and there.

mod bytes;
mod head;
mod size;
mod stream;

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use instar_codecs::{LARGE_WINDOW, Packing};

use crate::arith::SECTOR;
use crate::content::{Content, recognise};
use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::{Extent, ExtentKind, Image, clamp_request};
use crate::facts::{Facts, ListLimits};
use crate::probe::{Ends, Probe, probe, read_inside};
use crate::source::{ByteSource, DeviceIndex};
use crate::within::{Beyond, Within};

use head::Head;
pub use stream::PackedStream;

/// Bytes of a piece that is unpacked only to learn how many there are.
const PIECE: usize = 256 << 10;

macro_rules! packings {
    ($($module:ident, $packing:ident, $name:literal: $probe:expr;)*) => {$(
        #[doc = concat!("Files that ", $name, " has packed.")]
        pub(crate) mod $module {
            use super::*;

            /// Whether a file begins like one of these.
            pub(crate) fn probe(ends: &Ends<'_>) -> bool {
                BEGINS(ends.head)
            }

            const BEGINS: fn(&[u8]) -> bool = $probe;

            /// Opens a file, unpacking all of it where nothing else tells how large the disk is.
            ///
            /// # Errors
            /// `NotThisFormat`, `Damaged`, `UnsupportedVariant`, `PackedContent`, `UnpackedTooBig`, `SourceFailed`, `OutOfMemory`.
            pub(crate) fn open<'a, S: ByteSource + 'a>(
                mut source: S,
                device: DeviceIndex,
                options: OpenOptions,
            ) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
                require(&mut source, device, BEGINS)?;
                let disk = open_packed(source, device, Packing::$packing, options)?;
                Ok(Box::new(disk))
            }
        }
    )*};
}

packings! {
    gzip, Gzip, "gzip": |head| head.starts_with(b"\x1f\x8b\x08");
    xz, Xz, "xz": |head| head.starts_with(b"\xfd7zXZ\0");
    zstd, Zstd, "zstd": size::begins_like_zstd;
    bzip2, Bzip2, "bzip2": begins_like_bzip2;
}

/// Looks whether a file that somebody says is packed begins so.
fn require<S: ByteSource>(
    source: &mut S,
    device: DeviceIndex,
    begins: fn(&[u8]) -> bool,
) -> Result<(), FormatError> {
    let mut head = [0; 64];
    let read = read_inside(source, 0, &mut head);
    read.map_err(|error| FormatError::of_source(device, 0, error))?;
    if begins(&head) {
        return Ok(());
    }
    let [a, b, c, d, ..] = head;
    let found = u64::from(u32::from_be_bytes([a, b, c, d]));
    let expected = Expected::Sentence("the magic number of the format");
    let kind = ErrorKind::NotThisFormat;
    Err(FormatError::new(kind, device, "magic", 0, found, expected))
}

/// The magic number, the size of blocks, and the beginning of the first block or of the end.
fn begins_like_bzip2(head: &[u8]) -> bool {
    let sized = head.starts_with(b"BZh") && head.get(3).is_some_and(u8::is_ascii_digit);
    let first = head.get(4..10);
    sized
        && (first == Some(b"\x31\x41\x59\x26\x53\x59")
            || first == Some(b"\x17\x72\x45\x38\x50\x90"))
}

/// The command that unpacks.
fn remedy(packing: Packing) -> &'static str {
    match packing {
        Packing::Gzip => "gzip -dk",
        Packing::Xz => "xz -dk",
        Packing::Zstd => "zstd -d",
        Packing::Bzip2 => "bzip2 -dk",
    }
}

struct PackedDisk {
    device: DeviceIndex,
    packing: Packing,
    file_size: u64,
    /// Bytes that the file unpacks to.
    unpacked: u64,
    /// The same in whole sectors.
    size: u64,
    content: Content,
    beyond: Option<Beyond>,
    /// Nobody has looked behind its beginning for what its dictionaries take.
    may_need_memory: bool,
}

fn open_packed<S: ByteSource>(
    mut source: S,
    device: DeviceIndex,
    packing: Packing,
    options: OpenOptions,
) -> Result<PackedDisk, FormatError> {
    let file_size = source.size();
    let stated = match options.unpacked {
        Some(known) => Some(known),
        None => size::stated(&mut source, device, packing)?,
    };
    let most = options.most_unpacked;
    let within = |unpacked: u64, at: u64| {
        if unpacked <= most {
            return Ok(unpacked);
        }
        let kind = ErrorKind::UnpackedTooBig;
        let expected = Expected::AtMost(most);
        Err(FormatError::new(
            kind,
            device,
            "size of the disk",
            at,
            unpacked,
            expected,
        ))
    };
    if let Some(stated) = stated {
        within(stated, 0)?;
    }
    let mut stream = PackedStream::new(source, device, packing, stated, options.window)?;
    let mut head = Head::read(&mut stream)?;
    head.size = match stated {
        Some(stated) => stated,
        None => {
            let mut piece = Vec::new();
            let room = piece.try_reserve_exact(PIECE);
            room.map_err(|_| FormatError::out_of_memory(device, 0, stream.position()))?;
            piece.resize(PIECE, 0);
            while stream.read(&mut piece)? > 0 {
                within(stream.position(), stream.packed_position())?;
            }
            head.tail = *stream.tail();
            within(stream.position(), file_size)?
        }
    };
    let failed = |error| FormatError::of_source(device, 0, error);
    match probe(&mut head).map_err(failed)? {
        Probe::Raw { .. } => {}
        Probe::Known(format) | Probe::Ambiguous(format, _) => {
            return Err(refuse_content(device, packing, format.name()));
        }
    }
    let found = recognise(&mut head).map_err(failed)?;
    if found.content.is_packed() {
        return Err(refuse_content(device, packing, "archive or packed file"));
    }
    let unpacked = head.size;
    let size = SECTOR
        .round_up(unpacked)
        .unwrap_or(SECTOR.round_down(u64::MAX));
    Ok(PackedDisk {
        device,
        packing,
        file_size,
        unpacked,
        size,
        content: found.content,
        beyond: found.beyond,
        may_need_memory: stated.is_some()
            && matches!(packing, Packing::Xz | Packing::Zstd)
            && options.window < LARGE_WINDOW,
    })
}

/// Something inside that is no raw disk.
fn refuse_content(device: DeviceIndex, packing: Packing, what: &str) -> FormatError {
    let remedy = remedy(packing);
    let text = format!(
        "this is a packed {what}; unpack it first ({remedy}), or say -f raw to copy it as it is"
    );
    let expected = Expected::Sentence("a raw disk");
    FormatError::new(ErrorKind::PackedContent, device, "", 0, 0, expected)
        .with_text(text.as_bytes())
}

impl Image for PackedDisk {
    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        let length = clamp_request(self.size, offset, max_length)?;
        let left = self.unpacked.saturating_sub(offset);
        let (length, kind) = if left == 0 {
            (length, ExtentKind::Zero)
        } else {
            let kind = ExtentKind::Packed {
                device: self.device,
                packing: self.packing,
                file_size: self.file_size,
                unpacked: self.unpacked,
            };
            (length.min(left), kind)
        };
        Ok(Extent {
            start: offset,
            length,
            kind,
        })
    }
}

impl FormatImage for PackedDisk {
    fn facts(&mut self, _: ListLimits) -> Result<Facts, FormatError> {
        Ok(Facts {
            content: Some(self.content),
            may_need_memory: self.may_need_memory,
            ..Facts::default()
        })
    }

    fn within_file(&mut self, _: u64) -> Result<Within, FormatError> {
        Ok(self
            .beyond
            .map_or(Within::Whole(Vec::new()), Within::Beyond))
    }

    fn unpacked(&self) -> Option<u64> {
        Some(self.unpacked)
    }
}
