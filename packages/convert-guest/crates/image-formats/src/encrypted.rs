//! What formats with encrypted clusters share: the extents, what is written, and the key of QEMU's first method.

use instar_ciphers::{IvGenerator, Mode, SectorCipher, Zeroizing};

use crate::arith::SECTOR;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::{Extent, ExtentKind};
use crate::keys::{KeyIndex, Unlocking};
use crate::source::DeviceIndex;

/// Bytes of a key that is the passphrase itself.
const AES_KEY: usize = 16;

/// An open key, and what the initialization vector of a sector is made of.
#[derive(Clone, Copy, Debug)]
pub struct ClusterKey {
    /// The key.
    pub index: KeyIndex,
    /// The sector's place in the file, in place of that on the disk.
    pub by_file: bool,
    /// A wrong passphrase would have been noticed.
    pub is_known: bool,
}

/// Encrypts what is written to a disk.
pub trait ContentCipher {
    /// Encrypts whole sectors in place that lie at `host` in the file and at `disk` on the disk (byte offsets).
    fn encrypt(&self, host: u64, disk: u64, bytes: &mut [u8]);
}

impl ClusterKey {
    /// The same extent, of which data is encrypted. Sectors that the file of `file_size` bytes does not have as a whole
    /// are zeros, as what lies behind it is.
    pub fn encrypt(self, extent: Extent, file_size: u64) -> Extent {
        let ExtentKind::Data { device, offset } = extent.kind else {
            return extent;
        };
        let skip = SECTOR.offset_within(offset);
        let sector = SECTOR.round_down(offset);
        let whole = SECTOR
            .round_down(file_size)
            .saturating_sub(sector)
            .saturating_sub(skip);
        if whole == 0 {
            let kind = ExtentKind::Zero;
            return Extent { kind, ..extent };
        }
        let position = if self.by_file {
            sector
        } else {
            extent.start.saturating_sub(skip)
        };
        let kind = ExtentKind::Encrypted {
            device,
            key: self.index,
            offset: sector,
            position,
            skip,
        };
        Extent { kind, ..extent }.cut_to(whole)
    }
}

/// The key of QEMU's first method: the passphrase, cut at or padded to 16 bytes. Nothing tells whether it is right.
pub(crate) fn aes_key(
    with: &mut Unlocking<'_>,
    device: DeviceIndex,
) -> Result<ClusterKey, FormatError> {
    let mut key = Zeroizing::new([0; AES_KEY]);
    for (target, source) in key.iter_mut().zip(with.passphrase) {
        *target = *source;
    }
    let size = SECTOR.in_memory();
    let cipher = SectorCipher::new(Mode::Cbc, IvGenerator::Plain64, &key[..], size);
    let cipher = cipher.map_err(|_| {
        let kind = ErrorKind::UnsupportedEncryption;
        FormatError::new(
            kind,
            device,
            "crypt_method",
            0,
            1,
            Expected::Sentence("AES"),
        )
    })?;
    let index = with.keys.add(cipher, device)?;
    Ok(ClusterKey {
        index,
        by_file: false,
        is_known: false,
    })
}
