//! The text of a LUKS2 header: key slots, segments and digests.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64, Encoding};
use instar_ciphers::Argon2Kind;
use serde::Deserialize;

use crate::arith::{PowerOfTwo, to_u64};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::facts::{LuksFacts, LuksSlot};
use crate::luks::cipher_name::CipherName;
use crate::luks::header::{Header, MOST_KEY};
use crate::luks::slots::{Derivation, Digest, KeySlot, place};
use crate::luks::version2::{bad_text, number};
use crate::source::DeviceIndex;

/// Numbers of slots go up to here.
const MOST_SLOTS: u32 = 32;
/// The only number of stripes that programs write.
const MOST_STRIPES: u64 = 4000;

#[derive(Deserialize)]
struct Metadata {
    keyslots: BTreeMap<u32, Slot>,
    segments: BTreeMap<u32, Segment>,
    digests: BTreeMap<u32, StoredDigest>,
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    requirements: Option<Requirements>,
}

#[derive(Deserialize)]
struct Requirements {
    #[serde(default)]
    mandatory: Vec<String>,
}

#[derive(Deserialize)]
struct Slot {
    r#type: String,
    #[serde(default)]
    key_size: u64,
    af: Option<Splitter>,
    area: Area,
    kdf: Option<Kdf>,
}

#[derive(Deserialize)]
struct Splitter {
    r#type: String,
    stripes: u64,
    hash: String,
}

#[derive(Deserialize)]
struct Area {
    r#type: String,
    offset: String,
    size: String,
    #[serde(default)]
    encryption: String,
    #[serde(default)]
    key_size: u64,
}

#[derive(Deserialize)]
struct Kdf {
    r#type: String,
    salt: String,
    hash: Option<String>,
    iterations: Option<u32>,
    time: Option<u32>,
    memory: Option<u32>,
    cpus: Option<u32>,
}

#[derive(Deserialize)]
struct Segment {
    r#type: String,
    offset: String,
    size: String,
    #[serde(default)]
    iv_tweak: String,
    #[serde(default)]
    encryption: String,
    #[serde(default)]
    sector_size: u64,
    integrity: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct StoredDigest {
    r#type: String,
    keyslots: Vec<String>,
    segments: Vec<String>,
    salt: String,
    digest: String,
    hash: String,
    iterations: u32,
}

/// Reads and checks the text, which begins at `at`.
pub(super) fn read(
    json: &[u8],
    at: u64,
    uuid: Vec<u8>,
    device: DeviceIndex,
) -> Result<Header, FormatError> {
    let metadata: Metadata =
        serde_json::from_slice(json).map_err(|error| bad_text(device, at, format!("{error}")))?;
    Text { at, device }.header(&metadata, uuid)
}

/// Where the text is, for errors.
#[derive(Clone, Copy)]
struct Text {
    at: u64,
    device: DeviceIndex,
}

impl Text {
    fn bad(self, what: &str) -> FormatError {
        bad_text(self.device, self.at, what.into())
    }

    /// A variant that is known and not read.
    fn unsupported(self, what: &str) -> FormatError {
        let expected = Expected::Sentence("one encrypted segment that nothing is being done to");
        let kind = ErrorKind::UnsupportedVariant;
        FormatError::new(kind, self.device, "LUKS2 metadata", self.at, 0, expected)
            .with_text(what.as_bytes())
    }

    fn number(self, text: &str, what: &str) -> Result<u64, FormatError> {
        text.parse().map_err(|_| self.bad(what))
    }

    fn base64(self, text: &str, what: &str) -> Result<Vec<u8>, FormatError> {
        Base64::decode_vec(text).map_err(|_| self.bad(what))
    }

    fn cipher(self, name: &str) -> CipherName {
        let (cipher, mode) = name.split_once('-').unwrap_or((name, ""));
        let field = place("encryption", self.at, name.len(), self.device);
        CipherName::new(cipher.as_bytes(), mode.as_bytes(), field)
    }

    fn header(self, metadata: &Metadata, uuid: Vec<u8>) -> Result<Header, FormatError> {
        let mandatory = metadata.config.requirements.iter();
        if let Some(name) = mandatory.flat_map(|all| &all.mandatory).next() {
            return Err(self.unsupported(name));
        }
        let mut segments = metadata.segments.iter();
        let (Some((segment_number, segment)), None) = (segments.next(), segments.next()) else {
            return Err(self.unsupported("several segments, or none"));
        };
        if segment.r#type != "crypt" || segment.integrity.is_some() {
            let what = if segment.integrity.is_some() {
                "integrity"
            } else {
                &segment.r#type
            };
            return Err(self.unsupported(what));
        }
        let valid = [512, 1024, 2048, 4096].contains(&segment.sector_size);
        if !valid {
            return Err(self.bad("sector_size"));
        }
        let offset = self.number(&segment.offset, "offset of the segment")?;
        let size = match &segment.size[..] {
            "dynamic" => None,
            size => Some(number(
                "segment size",
                self.at,
                self.number(size, "size of the segment")?,
                self.device,
            )),
        };
        let iv_tweak = self.number(&segment.iv_tweak, "iv_tweak")?;
        let digests = self.digests(metadata, *segment_number)?;
        let cipher = self.cipher(&segment.encryption);
        let mut facts = LuksFacts {
            version: 2,
            mode: cipher.mode.clone(),
            iv_generator: cipher.iv.clone(),
            uuid,
            payload_offset: offset,
            master_key_iterations: digests.first().map_or(0, |digest| digest.iterations),
            hash: digests
                .first()
                .map_or(Vec::new(), |digest| digest.hash.clone()),
            ..LuksFacts::default()
        };
        let mut slots = Vec::new();
        for (slot_number, slot) in &metadata.keyslots {
            if *slot_number >= MOST_SLOTS {
                return Err(self.bad("number of a key slot"));
            }
            let (fact, slot) = self.slot(*slot_number, slot)?;
            while to_u64(facts.slots.len()) < u64::from(*slot_number) {
                facts.slots.push(LuksSlot::default());
            }
            facts.slots.push(fact);
            // Slots of other segments, of former ones say, open nothing here.
            let covers = |digest: &Digest| {
                digest
                    .slots
                    .as_ref()
                    .is_none_or(|all| all.contains(slot_number))
            };
            if digests.iter().any(covers) {
                slots.push(slot);
            }
        }
        let key = slots.first().map_or(0, |slot| slot.key_bytes);
        facts.cipher = cipher.with_bits(key);
        let bits = segment.sector_size.trailing_zeros();
        Ok(Header {
            facts,
            payload_offset: number("segment offset", self.at, offset, self.device),
            payload_size: size,
            sector: PowerOfTwo::from_bits(bits),
            iv_tweak,
            cipher,
            slots,
            digests,
            places: Vec::new(),
            key_bytes: 0,
        })
    }

    fn digests(self, metadata: &Metadata, segment: u32) -> Result<Vec<Digest>, FormatError> {
        let segment = format!("{segment}");
        let mut digests = Vec::new();
        for digest in metadata.digests.values() {
            if !digest.segments.contains(&segment) {
                continue;
            }
            if digest.r#type != "pbkdf2" {
                return Err(self.unsupported(&digest.r#type));
            }
            let mut slots = Vec::new();
            for slot in &digest.keyslots {
                slots.push(slot.parse().map_err(|_| self.bad("keyslots of a digest"))?);
            }
            digests.push(Digest {
                hash: digest.hash.clone().into_bytes(),
                iterations: digest.iterations,
                salt: self.base64(&digest.salt, "salt of a digest")?,
                value: self.base64(&digest.digest, "digest")?,
                slots: Some(slots),
            });
        }
        Ok(digests)
    }

    fn slot(self, slot_number: u32, slot: &Slot) -> Result<(LuksSlot, KeySlot), FormatError> {
        let (Some(splitter), Some(kdf)) = (&slot.af, &slot.kdf) else {
            return Err(self.unsupported(&slot.r#type));
        };
        if slot.r#type != "luks2" || splitter.r#type != "luks1" || slot.area.r#type != "raw" {
            return Err(self.unsupported(&slot.r#type));
        }
        let keys = [slot.key_size, slot.area.key_size];
        if keys.iter().any(|key| !(1..=MOST_KEY).contains(key)) {
            return Err(self.bad("key_size"));
        }
        if !(1..=MOST_STRIPES).contains(&splitter.stripes) {
            return Err(self.bad("stripes"));
        }
        let offset = self.number(&slot.area.offset, "offset of a key slot")?;
        let size = self.number(&slot.area.size, "size of a key slot")?;
        if size < slot.key_size.saturating_mul(splitter.stripes) {
            return Err(self.bad("size of a key slot"));
        }
        let (derivation, iterations) = self.derivation(kdf)?;
        let fact = LuksSlot {
            active: true,
            iterations,
            stripes: u32::try_from(splitter.stripes).unwrap_or(0),
            offset,
        };
        let slot = KeySlot {
            number: slot_number,
            at: self.at,
            derivation,
            splitter_hash: splitter.hash.clone().into_bytes(),
            stripes: splitter.stripes,
            offset,
            cipher: self.cipher(&slot.area.encryption),
            cipher_key: slot.area.key_size,
            key_bytes: slot.key_size,
            hash_place: place("hash", self.at, 0, self.device),
        };
        Ok((fact, slot))
    }

    fn derivation(self, kdf: &Kdf) -> Result<(Derivation, u32), FormatError> {
        let salt = self.base64(&kdf.salt, "salt of a key slot")?;
        let kind = match &kdf.r#type[..] {
            "pbkdf2" => {
                let (Some(hash), Some(iterations)) = (&kdf.hash, kdf.iterations) else {
                    return Err(self.bad("parameters of pbkdf2"));
                };
                let derivation = Derivation::Pbkdf2 {
                    hash: hash.clone().into_bytes(),
                    iterations,
                    salt,
                };
                return Ok((derivation, iterations));
            }
            "argon2i" => Argon2Kind::I,
            "argon2id" => Argon2Kind::Id,
            other => return Err(self.unsupported(other)),
        };
        let (Some(passes), Some(memory_kib), Some(lanes)) = (kdf.time, kdf.memory, kdf.cpus) else {
            return Err(self.bad("parameters of argon2"));
        };
        let derivation = Derivation::Argon2 {
            kind,
            passes,
            memory_kib,
            lanes,
            salt,
        };
        Ok((derivation, passes))
    }
}
