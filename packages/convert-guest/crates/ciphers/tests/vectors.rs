//! Published vectors.

#![allow(clippy::unwrap_used)]

use instar_ciphers::{Hash, IvGenerator, Mode, SectorCipher, pbkdf2};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// IEEE 1619-2007, annex B, vector 4.
#[test]
fn xts_has_the_vector_of_its_standard() {
    let key = bytes("2718281828459045235360287471352631415926535897932384626433832795");
    let cipher = SectorCipher::new(Mode::Xts, IvGenerator::Plain64, &key, 512).unwrap();
    let mut sector = bytes(
        "27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89cc78cf7f5e543445f8333d8fa7f5600000527\
        9fa5d8b5e4ad40e736ddb4d35412328063fd2aab53e5ea1e0a9f332500a5df9487d07a5c92cc512c8866c7e860ce93fdf166\
        a24912b422976146ae20ce846bb7dc9ba94a767aaef20c0d61ad02655ea92dc4c4e41a8952c651d33174be51a10c421110e6\
        d81588ede82103a252d8a750e8768defffed9122810aaeb99f9172af82b604dc4b8e51bcb08235a6f4341332e4ca60482a4b\
        a1a03b3e65008fc5da76b70bf1690db4eae29c5f1badd03c5ccf2a55d705ddcd86d449511ceb7ec30bf12b1fa35b913f9f74\
        7a8afd1b130e94bff94effd01a91735ca1726acd0b197c4e5b03393697e126826fb6bbde8ecc1e08298516e2c9ed03ff3c1b\
        7860f6de76d4cecd94c8119855ef5297ca67e9f3e7ff72b1e99785ca0a7e7720c5b36dc6d72cac9574c8cbbc2f801e23e56f\
        d344b07f22154beba0f08ce8891e643ed995c94d9a69c9f1b5f499027a78572aeebd74d20cc39881c213ee770b1010e4bea7\
        18846977ae119f7a023ab58cca0ad752afe656bb3c17256a9f6e9bf19fdd5a38fc82bbe872c5539edb609ef4f79c203ebb14\
        0f2e583cb2ad15b4aa5b655016a8449277dbd477ef2c8d6c017db738b18deb4a427d1923ce3ff262735779a418f20a282df9\
        20147beabe421ee5319d0568",
    );
    let kept = sector.clone();
    cipher.decrypt(0, &mut sector);
    let plain: Vec<_> = (0..=255).chain(0..=255).collect();
    assert_eq!(sector, plain);
    cipher.encrypt(0, &mut sector);
    assert_eq!(sector, kept);
    let mut elsewhere = kept;
    cipher.decrypt(512, &mut elsewhere);
    assert_ne!(elsewhere, plain);
}

/// RFC 6070, the vectors with 4096 iterations.
#[test]
fn pbkdf2_gives_the_keys_of_its_standard() {
    let mut key = [0; 20];
    pbkdf2(Hash::Sha1, b"password", b"salt", 4096, &mut key).unwrap();
    assert_eq!(
        key[..],
        bytes("4b007901b765489abead49d926f721d065a429c1")[..]
    );
    let mut key = [0; 25];
    let (password, salt) = (
        b"passwordPASSWORDpassword",
        b"saltSALTsaltSALTsaltSALTsaltSALTsalt",
    );
    pbkdf2(Hash::Sha1, password, salt, 4096, &mut key).unwrap();
    assert_eq!(
        key[..],
        bytes("3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038")[..]
    );
}

#[test]
fn keys_of_other_lengths_are_refused() {
    for length in [0, 8, 15, 17, 20, 40, 65] {
        let key = vec![1; length];
        assert!(SectorCipher::new(Mode::Cbc, IvGenerator::Plain64, &key, 512).is_err());
        assert!(SectorCipher::new(Mode::Xts, IvGenerator::Plain64, &key, 512).is_err());
    }
    let essiv = IvGenerator::Essiv(Hash::Sha1);
    assert!(SectorCipher::new(Mode::Cbc, essiv, &[1; 16], 512).is_err());
}

#[test]
fn what_is_encrypted_in_any_mode_is_decrypted_again() {
    let plain: Vec<u8> = (0..=255).cycle().take(3 * 512).collect();
    let generators = [
        IvGenerator::Plain,
        IvGenerator::Plain64,
        IvGenerator::Essiv(Hash::Sha256),
    ];
    for (mode, length) in [(Mode::Xts, 64), (Mode::Cbc, 16)] {
        for iv in generators {
            let key: Vec<u8> = (0..length).collect();
            let cipher = SectorCipher::new(mode, iv, &key, 512).unwrap();
            let mut bytes = plain.clone();
            cipher.encrypt(1 << 41, &mut bytes);
            assert_ne!(bytes[..512], bytes[512..1024]);
            cipher.decrypt(1 << 41, &mut bytes);
            assert_eq!(bytes, plain);
        }
    }
}
