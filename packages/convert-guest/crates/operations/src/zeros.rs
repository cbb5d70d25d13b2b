//! Finding zeros.

use alloc::vec::Vec;

/// Grain at which zeros are looked for where they are left out (bytes of output).
pub const ZERO_GRAIN: usize = 4096;
/// Least grain at which they are looked for (bytes).
const SECTOR: usize = 512;

/// Whether all bytes are zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    rest.iter().all(|byte| *byte == 0) && words.iter().all(|word| *word == [0; 8])
}

/// Runs of zeros and of others, with their lengths (bytes). Zeros that are fewer than `least` count as others.
pub fn runs(bytes: &[u8], least: usize) -> Vec<(bool, usize)> {
    let mut runs: Vec<(bool, usize)> = Vec::new();
    let grains = bytes.chunks(least.clamp(SECTOR, ZERO_GRAIN));
    let grains = grains.map(|grain| (is_zero(grain), grain.len()));
    join(&mut runs, grains);
    if least > ZERO_GRAIN {
        let all = core::mem::take(&mut runs);
        let longer = all
            .into_iter()
            .map(|(zeros, length)| (zeros && length >= least, length));
        join(&mut runs, longer);
    }
    runs
}

fn join(runs: &mut Vec<(bool, usize)>, parts: impl Iterator<Item = (bool, usize)>) {
    for (zeros, length) in parts {
        match runs.last_mut() {
            Some((same, run)) if *same == zeros => *run = run.saturating_add(length),
            _ => runs.push((zeros, length)),
        }
    }
}
