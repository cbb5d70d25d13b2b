//! Prefix codes of RFC 1951 (3.2.2) for counted symbols.

/// Most symbols of an alphabet.
const MOST: usize = 288;
/// Longest code of any alphabet (bits).
const LONGEST: usize = 15;
/// Bits of a symbol beside its count.
const SYMBOL_BITS: u32 = 9;
/// Counts from here on are sorted among each other.
const SMALL: usize = 64;
const SYMBOL_MASK: u32 = (1 << SYMBOL_BITS) - 1;

/// Codes of an alphabet of `N` symbols.
pub struct Codes<const N: usize> {
    /// Bits of each symbol's code; 0 for one that is not used.
    pub lengths: [u8; N],
    /// Each code, in the order in which its bits are stored, and above 16 bits its length.
    pub codes: [u32; N],
}

impl<const N: usize> Codes<N> {
    pub const fn none() -> Self {
        Self { lengths: [0; N], codes: [0; N] }
    }

    /// The shortest codes of at most `limit` bits for symbols that occur so often. At least two symbols get a code, as
    /// some readers want. What the codes are `number` says.
    pub fn assign(&mut self, counts: &[u32; N], limit: usize) {
        self.lengths.fill(0);
        let mut sorted = [0_u32; MOST];
        let sorted = sort(counts, &mut sorted);
        let numbers = lengths_of(sorted, limit);
        // The rarest symbols come first and get the longest codes.
        let mut rest = sorted.iter();
        for (length, number) in numbers.iter().enumerate().rev() {
            for entry in rest.by_ref().take(usize::from(*number)) {
                if let Some(target) = self.lengths.get_mut((entry & SYMBOL_MASK) as usize) {
                    *target = u8::try_from(length).unwrap_or(0);
                }
            }
        }
    }

    /// Numbers the codes by their lengths.
    pub fn number(&mut self) {
        let mut numbers = [0_u16; LONGEST + 1];
        for length in &self.lengths {
            if let Some(number) = numbers.get_mut(usize::from(*length)) {
                *number = number.wrapping_add(1);
            }
        }
        let mut next = [0_u16; LONGEST + 1];
        let mut code = 0_u16;
        for (target, number) in next.iter_mut().zip(numbers).skip(1) {
            *target = code;
            code = code.wrapping_add(number).wrapping_shl(1);
        }
        for (length, code) in self.lengths.iter().zip(self.codes.iter_mut()) {
            let Some(value) = next.get_mut(usize::from(*length)) else { continue };
            let reversed = value.reverse_bits().wrapping_shr(16_u32.wrapping_sub(u32::from(*length)) & 15);
            *code = u32::from(reversed) | (u32::from(*length) << 16);
            *value = value.wrapping_add(1);
        }
    }
}

/// Puts the symbols that occur in the order of their counts, each with its count above it; at least two.
fn sort<'a, const N: usize>(counts: &[u32; N], sorted: &'a mut [u32; MOST]) -> &'a [u32] {
    // Most counts are small: those are put where they belong at once.
    let mut places = [0_u16; SMALL + 2];
    let place = |count: u32| (count as usize).min(SMALL);
    for count in counts {
        if let Some(next) = places.get_mut(place(*count).wrapping_add(1)) {
            *next = next.wrapping_add(1);
        }
    }
    // Those that do not occur have no place.
    let unused = usize::from(places.get(1).copied().unwrap_or(0));
    let mut sum = 0_u16;
    for next in places.iter_mut().skip(2) {
        (*next, sum) = (sum, sum.wrapping_add(*next));
    }
    let mut used = N.saturating_sub(unused);
    let large = usize::from(places.last().copied().unwrap_or(0));
    for (symbol, count) in (0_u32..).zip(counts) {
        if *count == 0 {
            continue;
        }
        let Some(next) = places.get_mut(place(*count).wrapping_add(1)) else { continue };
        if let Some(entry) = sorted.get_mut(usize::from(*next)) {
            *entry = (count << SYMBOL_BITS) | symbol;
        }
        *next = next.wrapping_add(1);
    }
    for symbol in 0..2_u32 {
        let free = counts.get(symbol as usize).is_some_and(|count| *count == 0);
        if used < 2 && free {
            if let Some(entry) = sorted.get_mut(used) {
                *entry = (1 << SYMBOL_BITS) | symbol;
            }
            used = used.saturating_add(1);
        }
    }
    let sorted = sorted.get_mut(..used).unwrap_or_default();
    if used == 2 {
        sorted.sort_unstable();
    } else if let Some(large) = sorted.get_mut(large..) {
        large.sort_unstable();
    }
    sorted
}

/// How many codes there are of each length (A. Moffat and J. Katajainen, In-place calculation of minimum-redundancy codes,
/// 1995), none longer than the limit.
fn lengths_of(sorted: &[u32], limit: usize) -> [u16; LONGEST + 1] {
    let mut numbers = [0_u16; LONGEST + 1];
    let count = sorted.len();
    if count < 2 {
        return numbers;
    }
    // First the weights of inner nodes, then their parents, in one array.
    let mut nodes = [0_u32; MOST];
    let weight = |index: usize| sorted.get(index).map_or(u32::MAX, |entry| entry >> SYMBOL_BITS);
    let (mut leaf, mut root) = (0_usize, 0_usize);
    for next in 0..count.wrapping_sub(1) {
        let mut sum = 0_u32;
        for _ in 0..2 {
            let inner = if root < next { nodes.get(root).copied().unwrap_or(u32::MAX) } else { u32::MAX };
            if leaf < count && weight(leaf) <= inner {
                sum = sum.wrapping_add(weight(leaf));
                leaf = leaf.wrapping_add(1);
            } else {
                sum = sum.wrapping_add(inner);
                if let Some(node) = nodes.get_mut(root) {
                    *node = u32::try_from(next).unwrap_or(u32::MAX);
                }
                root = root.wrapping_add(1);
            }
        }
        if let Some(node) = nodes.get_mut(next) {
            *node = sum;
        }
    }
    // Parents become depths, from the top down; then leaves fill what inner nodes leave at each depth.
    let top = count.wrapping_sub(2);
    if let Some(node) = nodes.get_mut(top) {
        *node = 0;
    }
    let mut inner = [0_u16; MOST];
    if let Some(first) = inner.first_mut() {
        *first = 1;
    }
    for index in (0..top).rev() {
        let parent = nodes.get(index).copied().unwrap_or(0) as usize;
        let depth = nodes.get(parent).copied().unwrap_or(0).wrapping_add(1);
        if let Some(node) = nodes.get_mut(index) {
            *node = depth;
        }
        if let Some(number) = inner.get_mut(depth as usize) {
            *number = number.wrapping_add(1);
        }
    }
    let (mut room, mut depth, mut left) = (1_usize, 0_usize, count);
    while left > 0 && depth < MOST {
        let nodes_here = usize::from(inner.get(depth).copied().unwrap_or(0));
        let leaves = room.saturating_sub(nodes_here).min(left);
        if let Some(number) = numbers.get_mut(depth.min(limit)) {
            *number = number.wrapping_add(u16::try_from(leaves).unwrap_or(0));
        }
        left = left.wrapping_sub(leaves);
        room = nodes_here.wrapping_mul(2);
        depth = depth.wrapping_add(1);
    }
    shorten(&mut numbers, limit);
    numbers
}

/// Makes codes that were cut to the limit a prefix code again: a shorter one becomes longer for each that has no place.
fn shorten(numbers: &mut [u16; LONGEST + 1], limit: usize) {
    let whole = 1_usize << limit;
    let taken = |numbers: &[u16; LONGEST + 1]| -> usize {
        (1..=limit).map(|length| usize::from(numbers.get(length).copied().unwrap_or(0)) << (limit - length)).sum()
    };
    let mut over = taken(numbers).saturating_sub(whole);
    while over > 0 {
        let Some(shorter) = (1..limit).rev().find(|length| numbers.get(*length).is_some_and(|number| *number > 0))
        else {
            return;
        };
        for (length, change) in [(limit, -1_i16), (shorter, -1), (shorter.wrapping_add(1), 2)] {
            if let Some(number) = numbers.get_mut(length) {
                *number = number.wrapping_add_signed(change);
            }
        }
        over = over.wrapping_sub(1);
    }
}
