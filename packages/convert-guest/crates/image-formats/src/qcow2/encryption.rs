//! Encrypted clusters (qcow2.txt "crypt_method", "Full disk encryption header pointer").

use crate::encrypted::{ClusterKey, aes_key};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::keys::Unlocking;
use crate::luks;
use crate::metadata_cache::MetadataCache;
use crate::qcow2::Qcow2Image;
use crate::qcow2::extensions::Extensions;
use crate::qcow2::header::{Encryption, Header};
use crate::source::ByteSource;

/// The LUKS header of an image that has one.
pub(super) fn read_header<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    header: &Header,
    extensions: &Extensions,
) -> Result<Option<luks::Header>, FormatError> {
    match extensions.encryption_header {
        Some(place) if header.encryption == Encryption::Luks => {
            luks::Header::read(cache, place.offset.value).map(Some)
        }
        _ => Ok(None),
    }
}

impl<S: ByteSource> Qcow2Image<S> {
    pub(super) fn lacks_key(&self) -> bool {
        self.header.encryption != Encryption::None && self.key.is_none()
    }

    pub(super) fn try_key(&mut self, with: &mut Unlocking<'_>) -> Result<bool, FormatError> {
        self.key = match (self.header.encryption, &self.luks) {
            (Encryption::None, _) => return Ok(true),
            (Encryption::Aes, _) => Some(aes_key(with, self.cache.device())?),
            (Encryption::Luks, Some(luks)) => {
                luks.unlock(&mut self.cache, with)?.map(|index| ClusterKey {
                    index,
                    by_file: true,
                    is_known: true,
                })
            }
            (Encryption::Luks, None) => {
                let expected =
                    Expected::Sentence("a header extension that says where the LUKS header is");
                let field = self.header.crypt_method;
                return Err(field.refuse(ErrorKind::BadExtension, expected));
            }
        };
        Ok(self.key.is_some())
    }
}
