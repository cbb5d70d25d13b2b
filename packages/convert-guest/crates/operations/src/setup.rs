//! What every operation on images begins with.

use alloc::rc::Rc;
use core::cell::RefCell;

use instar_abi::{ChainConfig, error_kind};
use instar_guest_runtime::{Window, WindowPool};
use instar_image_formats::{Chain, ContentCipher, Format};

use crate::commands::SharedCommands;
use crate::convert::METADATA_WINDOW;
use crate::device_source::DeviceSource;
use crate::error::OperationError;
use crate::holes::Holes;
use crate::open_chain::{GuestImage, Opener};
use crate::output_cipher::OutputCipher;
use crate::transform::SharedKeys;
use crate::unlock::unlock;

/// A state that should not occur.
pub fn internal(detail: &'static str) -> OperationError {
    OperationError::plain(error_kind::INTERNAL, 0, detail)
}

/// The bytes of an operation's config struct.
pub fn config_bytes<const SIZE: usize>(config: &[u8]) -> Result<&[u8; SIZE], OperationError> {
    config
        .first_chunk()
        .ok_or_else(|| internal("the config page is too short"))
}

/// Chains of images and the holes of their files, open for one operation.
pub struct Setup<'a> {
    opener: Opener<'a>,
    /// Where the files have holes.
    pub holes: Holes<'a>,
}

impl<'a> Setup<'a> {
    /// Takes the windows that reading metadata needs.
    pub fn new(
        chain: &'a ChainConfig,
        commands: &'a SharedCommands,
        windows: &mut WindowPool,
    ) -> Result<Self, OperationError> {
        let window = windows
            .take(METADATA_WINDOW)
            .ok_or_else(|| internal("no window for metadata"))?;
        let holes = Holes::new(commands, chain, windows)
            .ok_or_else(|| internal("no window for extents of files"))?;
        let opener = Opener {
            chain,
            commands,
            metadata_window: Rc::new(RefCell::new(window)),
            keys: SharedKeys::default(),
            most_unpacked: u64::MAX,
        };
        Ok(Self { opener, holes })
    }

    /// The window that metadata is read through.
    pub fn metadata_window(&self) -> &Rc<RefCell<Window>> {
        &self.opener.metadata_window
    }

    /// Keys of the images that were opened.
    pub fn keys(&self) -> &SharedKeys {
        &self.opener.keys
    }

    /// Opens the image of a role alone, without what lies below it.
    pub fn open_one(&self, role: u32) -> Result<GuestImage, OperationError> {
        let index = self.opener.index_of(role)?;
        self.opener.open_itself(index)
    }

    /// The format of the image of a role, its file, and the index of that.
    pub fn file_of(&self, role: u32) -> Result<(Format, DeviceSource, u32), OperationError> {
        let index = self.opener.index_of(role)?;
        let format = self.opener.open_itself(index)?.format();
        Ok((format, self.opener.source_of(index)?, index))
    }

    /// Tries the passphrases of the run on an image that was opened alone.
    pub fn unlock(&self, image: &mut GuestImage) -> Result<(), OperationError> {
        let index = image.device().0;
        unlock(image, index, self.opener.chain, &self.opener.keys)
    }

    /// What content is encrypted by that is written to an image which was opened alone; `None` where it is not encrypted, or no
    /// passphrase opens it.
    pub fn cipher(
        &self,
        image: &mut GuestImage,
    ) -> Result<Option<Rc<dyn ContentCipher>>, OperationError> {
        self.unlock(image)?;
        let cipher = OutputCipher::of_image(image, &self.opener.keys)?;
        Ok(cipher.map(|cipher| -> Rc<dyn ContentCipher> { Rc::new(cipher) }))
    }

    /// Opens the image in a device with everything below it.
    pub fn open_from(&self, index: u32) -> Result<Chain<GuestImage>, OperationError> {
        self.opener.open_from(index)
    }

    /// Opens the image in a device alone.
    pub fn open_itself(&self, index: u32) -> Result<GuestImage, OperationError> {
        self.opener.open_itself(index)
    }

    /// Opens the image of a role with everything below it.
    pub fn open(&self, role: u32) -> Result<Chain<GuestImage>, OperationError> {
        self.opener.open_all(role)
    }
}
