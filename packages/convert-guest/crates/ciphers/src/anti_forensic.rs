//! LUKS' anti-forensic splitter (LUKS1 On-Disk Format Specification 1.2.3, section 2.4).

use alloc::vec;

use zeroize::Zeroizing;

use crate::hash::Hash;

/// Puts a key together again that was split into stripes as long as `key`. `material` has all of them, one after the
/// other; bytes of a part of a stripe are left out.
pub fn merge(hash: Hash, material: &[u8], key: &mut [u8]) {
    let length = key.len();
    key.fill(0);
    if length == 0 {
        return;
    }
    let mut stripes = material.chunks_exact(length).peekable();
    let mut block = Zeroizing::new(vec![0; length]);
    while let Some(stripe) = stripes.next() {
        for (target, (have, more)) in block.iter_mut().zip(key.iter().zip(stripe)) {
            *target = have ^ more;
        }
        if stripes.peek().is_some() {
            diffuse(hash, &mut block);
        }
        key.copy_from_slice(&block);
    }
}

/// Splits `key` into the stripes that `material` has room for. All of them but the last are random, and are there already.
pub fn split(hash: Hash, key: &[u8], material: &mut [u8]) {
    let length = key.len();
    if length == 0 {
        return;
    }
    let mut stripes = material.chunks_exact_mut(length).peekable();
    let mut block = Zeroizing::new(vec![0; length]);
    while let Some(stripe) = stripes.next() {
        if stripes.peek().is_none() {
            for (target, (have, part)) in stripe.iter_mut().zip(block.iter().zip(key)) {
                *target = have ^ part;
            }
            return;
        }
        for (have, more) in block.iter_mut().zip(stripe.iter()) {
            *have ^= more;
        }
        diffuse(hash, &mut block);
    }
}

/// Every piece of a digest's length becomes the digest of its number and itself.
fn diffuse(hash: Hash, block: &mut [u8]) {
    for (number, piece) in (0_u32..).zip(block.chunks_mut(hash.length())) {
        let digest = Zeroizing::new(hash.digest(&[&number.to_be_bytes(), piece]));
        for (target, source) in piece.iter_mut().zip(digest.iter()) {
            *target = *source;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_split_is_put_together_again_and_every_stripe_is_needed() {
        for (hash, length) in [(Hash::Sha1, 64), (Hash::Sha256, 32), (Hash::Sha512, 48)] {
            let key: alloc::vec::Vec<u8> = (0..length).map(|byte| byte * 3 + 1).collect();
            let mut material: alloc::vec::Vec<u8> = (0..usize::from(length) * 7 + 5)
                .map(|byte| (byte * 31 % 251) as u8)
                .collect();
            split(hash, &key, &mut material);
            let mut found = vec![0; key.len()];
            merge(hash, &material, &mut found);
            assert_eq!(found, key);
            for stripe in 0..7 {
                let mut damaged = material.clone();
                damaged[stripe * usize::from(length)] ^= 1;
                merge(hash, &damaged, &mut found);
                assert_ne!(found, key, "without stripe {stripe}");
            }
        }
    }
}
