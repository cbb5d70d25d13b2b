//! From the bytes of a file to those of a disk: decoded or decrypted.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use instar_codecs::Decoder;
use instar_guest_runtime::with_key_stack;
use instar_image_formats::{Codec, KeyIndex, KeyRing};

/// Keys of the images of an operation.
pub type SharedKeys = Rc<RefCell<KeyRing>>;

/// How the bytes of a file become those of a disk.
#[derive(Clone, Copy, Debug)]
pub enum Transform {
    /// As they are.
    None,
    /// Decoded as a whole.
    Decode(Codec),
    /// Decrypted sector by sector, the first at this position.
    Decrypt {
        /// The key.
        key: KeyIndex,
        /// What the first sector's initialization vector is made of (bytes).
        position: u64,
    },
}

/// Why bytes could not be transformed.
pub struct Broken;

/// Transforms pieces one after the other.
pub struct Transformer {
    decoder: Decoder,
    keys: SharedKeys,
    scratch: Vec<u8>,
}

impl Transformer {
    /// With the keys of the images.
    pub fn new(keys: &SharedKeys) -> Self {
        Self {
            decoder: Decoder::new(),
            keys: Rc::clone(keys),
            scratch: Vec::new(),
        }
    }

    /// Bytes of the file that decrypting `length` bytes takes which begin `skip` bytes after the beginning of a sector.
    pub fn sectors(&self, key: KeyIndex, skip: u64, length: u64) -> Option<u64> {
        let keys = self.keys.borrow();
        let sector = u64::try_from(keys.get(key)?.sector_size()).ok()?;
        skip.checked_add(length)?.checked_next_multiple_of(sector)
    }

    /// Fills `target` with what `input` transforms to, without its first `skip` bytes. `whole` is how many bytes that are
    /// in all.
    pub fn apply(
        &mut self,
        transform: Transform,
        input: &[u8],
        (skip, whole): (usize, usize),
        target: &mut [u8],
    ) -> Result<(), Broken> {
        if skip == 0 && target.len() == whole {
            return self.fill(transform, input, target);
        }
        let mut scratch = core::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.try_reserve_exact(whole).map_err(|_| Broken)?;
        scratch.resize(whole, 0);
        let done = self.fill(transform, input, &mut scratch).and_then(|()| {
            let end = skip.saturating_add(target.len());
            target.copy_from_slice(scratch.get(skip..end).ok_or(Broken)?);
            Ok(())
        });
        self.scratch = scratch;
        done
    }

    fn fill(
        &mut self,
        transform: Transform,
        input: &[u8],
        target: &mut [u8],
    ) -> Result<(), Broken> {
        match transform {
            Transform::Decode(codec) => self
                .decoder
                .decode_cluster(codec, input, target)
                .map_err(|_| Broken),
            Transform::None | Transform::Decrypt { .. } => {
                target.copy_from_slice(input.get(..target.len()).ok_or(Broken)?);
                if let Transform::Decrypt { key, position } = transform {
                    let keys = self.keys.borrow();
                    let cipher = keys.get(key).ok_or(Broken)?;
                    with_key_stack(|| cipher.decrypt(position, target));
                }
                Ok(())
            }
        }
    }
}
