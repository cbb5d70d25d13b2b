//! Key slots that are filled and emptied. The disk and its key stay what they are.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use instar_ciphers::{Hash, Zeroizing, pbkdf2, split};

use crate::arith::{to_u64, to_usize};
use crate::edit::{Borrowed, EditTarget, unsupported};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::keys::{KeyRing, Unlocking};
use crate::luks::header::{Header, hash_of};
use crate::luks::slots::{SECTOR, SlotPlace, place};
use crate::luks::version1::{ACTIVE, INACTIVE, STRIPES};
use crate::metadata_cache::MetadataCache;
use crate::source::DeviceIndex;
use crate::structure::put;
use crate::structures::luks::key_slot;

/// Blocks of the file that are kept while slots are tried.
const CACHE_BLOCKS: usize = 8;
const SALT_BYTES: usize = 32;
/// Bytes at the beginning that are the header's, whatever it fills: stripes lie at multiples of it.
const HEADER_BYTES: u64 = 4096;

/// What is done to key slots.
#[derive(Clone, Copy, Debug)]
pub enum SlotEdit<'a> {
    /// A slot gets to hold the key, which another passphrase then opens as well.
    Fill {
        /// Its number; the first empty one where there is none.
        slot: Option<u32>,
        /// The passphrase.
        passphrase: &'a [u8],
        /// Iterations of PBKDF2.
        iterations: u32,
        /// Also a slot that holds the key: its passphrase opens nothing any more.
        force: bool,
    },
    /// Slots lose the key. Their stripes stay, without the salt that opens them.
    Empty {
        /// Number of the only one.
        slot: Option<u32>,
        /// They are those that this opens.
        holding: Option<&'a [u8]>,
        /// Also empty ones, and all that hold the key: nobody can read the disk then.
        force: bool,
    },
    /// Overwrites the stripes of empty slots: bit n stands for slot n.
    Wipe(u32),
}

/// What a change of key slots is made with.
#[derive(Clone, Copy, Debug)]
pub struct SlotKeys<'a> {
    /// Passphrases of which one opens the disk.
    pub passphrases: &'a [&'a [u8]],
    /// Random bytes, of which salts and stripes are made.
    pub seed: &'a [u8],
    /// Memory that making a key may take (bytes).
    pub memory: u64,
}

/// Changes key slots. Those of a header that begins at `within.start` in the file, and the disk or other data at its end.
/// Returns the changed slots, as bits.
///
/// # Errors
/// `UnsupportedEdit`, `Encrypted` where no passphrase opens the disk, `BadHeader` where slots overlap.
pub(crate) fn edit_slots<T: EditTarget>(
    target: &mut T,
    device: DeviceIndex,
    header: &Header,
    within: Range<u64>,
    keys: &SlotKeys<'_>,
    edit: &SlotEdit<'_>,
) -> Result<u32, FormatError> {
    if header.places.is_empty() {
        let what = "key slots of LUKS 2 are not changed here; cryptsetup does that (luksAddKey, luksKillSlot)";
        return Err(unsupported(device, what));
    }
    let slots = Slots {
        target,
        device,
        header,
        keys,
    };
    slots.require_room(&within)?;
    match *edit {
        SlotEdit::Fill {
            slot,
            passphrase,
            iterations,
            force,
        } => slots.fill(slot, passphrase, iterations, force),
        SlotEdit::Empty {
            slot,
            holding,
            force,
        } => slots.empty(slot, holding, force),
        SlotEdit::Wipe(numbers) => slots.wipe(numbers),
    }
}

struct Slots<'a, T> {
    target: &'a mut T,
    device: DeviceIndex,
    header: &'a Header,
    keys: &'a SlotKeys<'a>,
}

impl<T: EditTarget> Slots<'_, T> {
    /// Bytes of the stripes of a slot, in whole sectors.
    fn material_length(&self) -> usize {
        let stripes = self.header.key_bytes.saturating_mul(STRIPES.into());
        to_usize(stripes).next_multiple_of(SECTOR)
    }

    /// Refuses a header whose stripes lie over each other, over itself, or over what is behind it.
    fn require_room(&self, within: &Range<u64>) -> Result<(), FormatError> {
        let length = to_u64(self.material_length());
        let mut free = within.start.saturating_add(HEADER_BYTES);
        let mut places: Vec<&SlotPlace> = self.header.places.iter().collect();
        places.sort_by_key(|slot| slot.offset);
        for slot in places {
            let end = slot.offset.saturating_add(length);
            if slot.offset < free || end > within.end {
                let expected = Expected::Between(free, within.end.saturating_sub(length).max(free));
                let at = key_slot::KEY_MATERIAL_OFFSET.place(slot.at);
                let value = to_usize(slot.offset);
                let field = place("key material offset", at, value, self.device);
                return Err(field.refuse(ErrorKind::BadHeader, expected));
            }
            free = end;
        }
        Ok(())
    }

    fn unsupported(&self, what: &str) -> FormatError {
        unsupported(self.device, what)
    }

    fn place_of(&self, number: u32) -> Result<SlotPlace, FormatError> {
        let found = self.header.places.iter().find(|slot| slot.number == number);
        found.copied().ok_or_else(|| {
            let last = self.header.places.len().saturating_sub(1);
            self.unsupported(&format!("key slot {number} is none of 0 to {last}"))
        })
    }

    fn active(&self) -> usize {
        let active = self.header.places.iter().filter(|slot| slot.active);
        active.count()
    }

    fn with<'k>(&self, passphrase: &'k [u8], keys: &'k mut KeyRing) -> Unlocking<'k> {
        Unlocking {
            passphrase,
            keys,
            memory: self.keys.memory,
        }
    }

    /// The key of the disk.
    fn find_key(&mut self) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let mut ring = KeyRing::new();
        for passphrase in self.keys.passphrases {
            let with = self.with(passphrase, &mut ring);
            let source = Borrowed(&mut *self.target);
            let mut cache = MetadataCache::new(source, self.device, CACHE_BLOCKS);
            if let Some(key) = self.header.find_key(&mut cache, &with)? {
                return Ok(key);
            }
        }
        Err(FormatError::locked(self.device))
    }

    /// Numbers of the slots that a passphrase opens, of those that are asked for.
    fn opened_by(&mut self, passphrase: &[u8], only: Option<u32>) -> Result<Vec<u32>, FormatError> {
        let mut ring = KeyRing::new();
        let with = self.with(passphrase, &mut ring);
        let source = Borrowed(&mut *self.target);
        let mut cache = MetadataCache::new(source, self.device, CACHE_BLOCKS);
        let mut found = Vec::new();
        for slot in &self.header.slots {
            let wanted = only.is_none_or(|number| number == slot.number);
            if wanted && self.header.open_slot(slot, &mut cache, &with)?.is_some() {
                found.push(slot.number);
            }
        }
        Ok(found)
    }

    fn fill(
        mut self,
        slot: Option<u32>,
        passphrase: &[u8],
        iterations: u32,
        force: bool,
    ) -> Result<u32, FormatError> {
        let slot = match slot {
            Some(number) => self.place_of(number)?,
            None => {
                let empty = self.header.places.iter().find(|slot| !slot.active);
                *empty.ok_or_else(|| {
                    self.unsupported("all key slots hold the key; one has to be emptied first")
                })?
            }
        };
        let number = slot.number;
        if slot.active && !force {
            let what = format!("key slot {number} holds the key; it has to be emptied first");
            return Err(self.unsupported(&what));
        }
        let key = self.find_key()?;
        let hash_place = place("hash spec", 0, 0, self.device);
        let hash = hash_of(&self.header.facts.hash, &hash_place)?;
        let mut salt = [0; SALT_BYTES];
        self.random(b"salt", number, &mut salt)?;
        let mut slot_key = Zeroizing::new(vec![0; key.len()]);
        self.derive(hash, passphrase, &salt, iterations, &mut slot_key)?;
        let mut material = Zeroizing::new(vec![0; self.material_length()]);
        let stripes = key.len().saturating_mul(to_usize(STRIPES.into()));
        if let Some(stripes) = material.get_mut(..stripes) {
            self.random(b"stripes", number, stripes)?;
            split(hash, &key, stripes);
        }
        let cipher = self.header.cipher.with_key(&slot_key, SECTOR)?;
        cipher.encrypt(0, &mut material);
        self.write(slot.offset, &material)?;
        self.describe(&slot, ACTIVE, iterations, &salt)?;
        Ok(bit(number))
    }

    fn empty(
        mut self,
        slot: Option<u32>,
        holding: Option<&[u8]>,
        force: bool,
    ) -> Result<u32, FormatError> {
        let slots = match (slot, holding) {
            (Some(number), holding) => {
                let slot = self.place_of(number)?;
                if let Some(passphrase) = holding
                    && self.opened_by(passphrase, Some(number))?.is_empty()
                {
                    let what =
                        format!("key slot {number} is not opened by the passphrase that is to go");
                    return Err(self.unsupported(&what));
                }
                if !slot.active && !force {
                    return Err(self.unsupported(&format!("key slot {number} is empty already")));
                }
                if self.active() == 1 && !force {
                    let what = format!(
                        "key slot {number} is the only one that holds the key, without which nobody can read the disk"
                    );
                    return Err(self.unsupported(&what));
                }
                vec![slot]
            }
            (None, Some(passphrase)) => {
                let numbers = self.opened_by(passphrase, None)?;
                if numbers.is_empty() {
                    let what = "no key slot is opened by the passphrase that is to go";
                    return Err(self.unsupported(what));
                }
                if numbers.len() == self.active() && !force {
                    let what = "the passphrase that is to go opens all key slots that hold the key, without which nobody can read the disk";
                    return Err(self.unsupported(what));
                }
                let slots = numbers.iter().map(|number| self.place_of(*number));
                slots.collect::<Result<_, _>>()?
            }
            (None, None) => {
                let what =
                    "key slots are emptied by their number or by the passphrase that opens them";
                return Err(self.unsupported(what));
            }
        };
        // Who cannot read the disk does not take it from others.
        if self.active() > 0 {
            self.find_key()?;
        }
        for slot in &slots {
            self.describe(slot, INACTIVE, 0, &[0; SALT_BYTES])?;
        }
        Ok(slots.iter().fold(0, |bits, slot| bits | bit(slot.number)))
    }

    fn wipe(mut self, numbers: u32) -> Result<u32, FormatError> {
        let places = self.header.places.iter();
        let slots: Vec<SlotPlace> = places
            .filter(|slot| numbers & bit(slot.number) != 0 && !slot.active)
            .copied()
            .collect();
        let mut noise = vec![0; self.material_length()];
        for slot in &slots {
            self.random(b"noise", slot.number, &mut noise)?;
            self.write(slot.offset, &noise)?;
        }
        Ok(slots.iter().fold(0, |bits, slot| bits | bit(slot.number)))
    }

    /// Fills `bytes` with what the seed gives for a purpose and a slot.
    fn random(&self, purpose: &[u8], number: u32, bytes: &mut [u8]) -> Result<(), FormatError> {
        let label = [purpose, &number.to_be_bytes()].concat();
        self.derive(Hash::Sha512, self.keys.seed, &label, 1, bytes)
    }

    fn derive(
        &self,
        hash: Hash,
        secret: &[u8],
        salt: &[u8],
        iterations: u32,
        bytes: &mut [u8],
    ) -> Result<(), FormatError> {
        pbkdf2(hash, secret, salt, iterations, bytes).map_err(|_| {
            let expected = Expected::AtLeast(1);
            let iterations = u64::from(iterations);
            let (kind, field) = (ErrorKind::UnsupportedEdit, "iterations");
            FormatError::new(kind, self.device, field, 0, iterations, expected)
        })
    }

    /// Writes to the file, and has that on the disk before anything that is written next.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormatError> {
        let failed = |error| FormatError::of_source(self.device, offset, error);
        let length = to_u64(bytes.len());
        self.target.preserve(offset, length).map_err(failed)?;
        self.target.write_at(offset, bytes).map_err(failed)?;
        self.target.flush().map_err(failed)
    }

    /// Writes what the header says of a slot.
    fn describe(
        &mut self,
        slot: &SlotPlace,
        state: u32,
        iterations: u32,
        salt: &[u8; SALT_BYTES],
    ) -> Result<(), FormatError> {
        let mut bytes = [0; key_slot::BYTES];
        put(&mut bytes, key_slot::STATE, state);
        put(&mut bytes, key_slot::ITERATIONS, iterations);
        if let Some(place) = bytes.get_mut(key_slot::SALT.range()) {
            place.copy_from_slice(salt);
        }
        // Where the stripes are stays.
        let told = key_slot::KEY_MATERIAL_OFFSET.offset();
        self.write(slot.at, bytes.get(..told).unwrap_or_default())
    }
}

/// The bit of a slot.
fn bit(number: u32) -> u32 {
    1_u32.checked_shl(number).unwrap_or(0)
}
