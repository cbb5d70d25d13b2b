//! The header of LUKS1 (LUKS1 On-Disk Format Specification 1.2.3): 592 bytes, big-endian, eight key slots.

use alloc::vec;
use alloc::vec::Vec;

use crate::arith::{SECTOR, to_usize};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::facts::{LuksFacts, LuksSlot};
use crate::field::Field;
use crate::luks::cipher_name::CipherName;
use crate::luks::header::{Header, MOST_KEY, text};
use crate::luks::slots::{Derivation, Digest, KeySlot, SlotPlace, place};
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::luks::{header, key_slot};

const SLOTS: u32 = 8;
pub(super) const ACTIVE: u32 = 0x00ac_71f3;
pub(super) const INACTIVE: u32 = 0x0000_dead;
/// The only number of stripes that programs write.
pub(super) const STRIPES: u32 = 4000;

fn sectors(field: Field<u32>) -> Field<u64> {
    Field {
        value: u64::from(field.value).saturating_mul(SECTOR.size()),
        name: field.name,
        offset: field.offset,
        device: field.device,
    }
}

pub(super) fn read<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    base: u64,
) -> Result<Header, FormatError> {
    let device = cache.device();
    let bytes = cache.read_vec(base, header::BYTES)?;
    let head = Structure::new(&bytes, base, device, ErrorKind::BadHeader);
    let at_cipher = header::CIPHER_NAME.place(base);
    let cipher = text(head.bytes(header::CIPHER_NAME)?);
    let mode = text(head.bytes(header::CIPHER_MODE)?);
    let at_hash = header::HASH_SPEC.place(base);
    let hash = text(head.bytes(header::HASH_SPEC)?);
    let payload_offset = sectors(head.get(header::PAYLOAD_OFFSET)?);
    let key_bytes = head.get(header::KEY_BYTES)?;
    let value = head.bytes(header::MK_DIGEST)?.to_vec();
    let salt = head.bytes(header::MK_DIGEST_SALT)?.to_vec();
    let iterations = head.get(header::MK_DIGEST_ITERATIONS)?;
    let uuid = text(head.bytes(header::UUID)?);
    let key_length = u64::from(key_bytes.value);
    if !(1..=MOST_KEY).contains(&key_length) {
        return Err(key_bytes.refuse(ErrorKind::BadHeader, Expected::Between(1, MOST_KEY)));
    }
    if iterations.value == 0 {
        return Err(iterations.refuse(ErrorKind::BadHeader, Expected::AtLeast(1)));
    }
    let cipher = CipherName::new(
        &cipher,
        &mode,
        place("cipher name", at_cipher, cipher.len(), device),
    );
    let mut facts = LuksFacts {
        version: 1,
        cipher: cipher.with_bits(key_length),
        mode: cipher.mode.clone(),
        iv_generator: cipher.iv.clone(),
        hash: hash.clone(),
        uuid,
        payload_offset: payload_offset.value,
        master_key_iterations: iterations.value,
        slots: Vec::new(),
    };
    let mut slots = Vec::new();
    let mut places = Vec::new();
    for number in 0..SLOTS {
        let slots_at = header::KEY_SLOTS.offset();
        let slot = Slot::read(&head.entry(slots_at, key_slot::BYTES, to_usize(number.into())))?;
        facts.slots.push(slot.facts());
        places.push(SlotPlace {
            number,
            at: slot.at,
            active: slot.active,
            offset: base.saturating_add(slot.offset),
        });
        if slot.active {
            slots.push(KeySlot {
                number,
                at: slot.at,
                derivation: Derivation::Pbkdf2 {
                    hash: hash.clone(),
                    iterations: slot.iterations,
                    salt: slot.salt,
                },
                splitter_hash: hash.clone(),
                stripes: slot.stripes.into(),
                offset: base.saturating_add(slot.offset),
                cipher: cipher.clone(),
                cipher_key: key_length,
                key_bytes: key_length,
                hash_place: place("hash spec", at_hash, hash.len(), device),
            });
        }
    }
    Ok(Header {
        facts,
        payload_offset,
        payload_size: None,
        sector: SECTOR,
        iv_tweak: 0,
        cipher,
        slots,
        digests: vec![Digest {
            hash,
            iterations: iterations.value,
            salt,
            value,
            slots: None,
        }],
        places,
        key_bytes: key_length,
    })
}

/// One of the eight slots, as stored.
struct Slot {
    at: u64,
    active: bool,
    iterations: u32,
    salt: Vec<u8>,
    /// Bytes from the beginning of the container.
    offset: u64,
    stripes: u32,
}

impl Slot {
    fn read(slot: &Structure<'_>) -> Result<Self, FormatError> {
        let at = slot.start();
        let active = slot.get(key_slot::STATE)?;
        let iterations = slot.get(key_slot::ITERATIONS)?;
        let salt = slot.bytes(key_slot::SALT)?.to_vec();
        let offset = sectors(slot.get(key_slot::KEY_MATERIAL_OFFSET)?);
        let stripes = slot.get(key_slot::STRIPES)?;
        let is_active = match active.value {
            ACTIVE => true,
            INACTIVE => false,
            _ => {
                let expected = Expected::Sentence("0xac71f3 for active or 0xdead for inactive");
                return Err(active.refuse(ErrorKind::BadHeader, expected));
            }
        };
        if stripes.value != STRIPES {
            return Err(stripes.refuse(ErrorKind::BadHeader, Expected::Value(STRIPES.into())));
        }
        if is_active && iterations.value == 0 {
            return Err(iterations.refuse(ErrorKind::BadHeader, Expected::AtLeast(1)));
        }
        Ok(Self {
            at,
            active: is_active,
            iterations: iterations.value,
            salt,
            offset: offset.value,
            stripes: stripes.value,
        })
    }

    fn facts(&self) -> LuksSlot {
        LuksSlot {
            active: self.active,
            iterations: self.iterations,
            stripes: self.stripes,
            offset: self.offset,
        }
    }
}
