//! LUKS' anti-forensic splitter, backwards (LUKS1 On-Disk Format Specification 1.2.3, section 2.4).

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

/// Every piece of a digest's length becomes the digest of its number and itself.
fn diffuse(hash: Hash, block: &mut [u8]) {
    for (number, piece) in (0_u32..).zip(block.chunks_mut(hash.length())) {
        let digest = Zeroizing::new(hash.digest(&[&number.to_be_bytes(), piece]));
        for (target, source) in piece.iter_mut().zip(digest.iter()) {
            *target = *source;
        }
    }
}
