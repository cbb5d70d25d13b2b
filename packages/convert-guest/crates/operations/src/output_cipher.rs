//! How an output is encrypted.

use alloc::rc::Rc;

use instar_abi::{OutputData, device_role, error_kind, image_format, secret_use};
use instar_guest_runtime::{secrets, with_key_memory, with_key_stack};
use instar_image_formats::{ContentCipher, DeviceIndex, FormatImage, KeyIndex, sector_cipher};

use crate::error::OperationError;
use crate::open_chain::GuestImage;
use crate::transform::SharedKeys;

/// The key of an output, and what the initialization vector of a sector is made of.
pub struct OutputCipher {
    keys: SharedKeys,
    key: KeyIndex,
    /// The sector's place in the file, in place of that on the disk.
    by_file: bool,
}

impl OutputCipher {
    /// The cipher that the config names, with the key among the secrets; `None` for an output that is not encrypted.
    pub fn of(
        data: &OutputData,
        target_format: u32,
        keys: &SharedKeys,
    ) -> Result<Option<Self>, OperationError> {
        let part = |bytes: &'static str| OperationError::plain(error_kind::BAD_CONFIG, 0, bytes);
        let text = |length: u32| usize::try_from(length).unwrap_or(usize::MAX);
        let cipher = data.cipher.get(..text(data.cipher_len));
        let mode = data.mode.get(..text(data.mode_len));
        let (Some(cipher), Some(mode)) = (cipher, mode) else {
            return Err(part("the name of a cipher is too long"));
        };
        if cipher.is_empty() {
            return Ok(None);
        }
        let secret = secrets()
            .find(|secret| secret.role == device_role::OUTPUT)
            .ok_or(part("the output has no key"))?;
        let key = with_key_memory(|| -> Result<KeyIndex, OperationError> {
            let cipher = sector_cipher(cipher, mode, secret.bytes)
                .ok_or(part("outputs are not encrypted by this cipher"))?;
            Ok(keys.borrow_mut().add(cipher, DeviceIndex(0))?)
        })?;
        Ok(Some(Self {
            keys: Rc::clone(keys),
            key,
            by_file: target_format == image_format::QCOW2,
        }))
    }

    /// The cipher of an image that is edited and was unlocked; `None` where it is not encrypted, or still locked.
    ///
    /// # Errors
    /// Nothing tells a wrong passphrase of the older method of qcow2: of several, none is taken.
    pub fn of_image(image: &GuestImage, keys: &SharedKeys) -> Result<Option<Self>, OperationError> {
        let Some(key) = image.key() else {
            return Ok(None);
        };
        let opening = secrets().filter(|secret| secret.purpose == secret_use::OPENS);
        if !key.is_known && opening.count() > 1 {
            let what = "it is encrypted as versions before LUKS did it, where nothing tells a wrong passphrase: give its own alone";
            return Err(OperationError::plain(
                error_kind::UNSUPPORTED_EDIT,
                image.device().0,
                what,
            ));
        }
        Ok(Some(Self {
            keys: Rc::clone(keys),
            key: key.index,
            by_file: key.by_file,
        }))
    }

    /// Whether what is behind the end of the disk is no part of the file.
    pub fn ends_with_disk(&self) -> bool {
        !self.by_file
    }

    /// Encrypts whole sectors that lie at `host` in the file and at `disk` on the disk (byte offsets).
    pub fn encrypt(&self, host: u64, disk: u64, bytes: &mut [u8]) {
        let keys = self.keys.borrow();
        if let Some(cipher) = keys.get(self.key) {
            let position = if self.by_file { host } else { disk };
            with_key_stack(|| cipher.encrypt(position, bytes));
        }
    }
}

impl ContentCipher for OutputCipher {
    fn encrypt(&self, host: u64, disk: u64, bytes: &mut [u8]) {
        Self::encrypt(self, host, disk, bytes);
    }
}
