//! An encoder of LZO1X streams for pages: greedy, with one hash table. The format is described in the Linux kernel's
//! `Documentation/staging/lzo.rst`; the decoder is a crate.

const HASH_BITS: u32 = 12;
/// Farthest reference: 16 KiB and 15 bits, less one that the end mark takes.
const MAX_DISTANCE: usize = 0xbfff;
/// Farthest reference of 2 bytes, and its longest match.
const NEAR_DISTANCE: usize = 0x800;
const NEAR_LENGTH: usize = 8;
/// Farthest reference of 3 bytes, and its longest match without length bytes.
const MIDDLE_DISTANCE: usize = 0x4000;
const MIDDLE_LENGTH: usize = 33;
/// Longest match without length bytes of a farther reference.
const FAR_LENGTH: usize = 9;
/// Longest first run of literals that its own instruction holds.
const FIRST_RUN: usize = 238;

/// Most bytes that a page of `length` bytes needs.
pub fn bound(length: usize) -> usize {
    length.saturating_add(length / 16).saturating_add(64).saturating_add(3)
}

/// Working memory, to be used for many pages.
pub struct Encoder {
    /// Last place of each hash value. Zeros point at the page's start, which is as good a candidate as any.
    table: Box<[u16; 1 << HASH_BITS]>,
}

impl Encoder {
    /// An encoder.
    pub fn new() -> Self {
        Self { table: Box::new([0; 1 << HASH_BITS]) }
    }

    /// Compresses a page of at most 64 KiB into `out`, which should have [`bound`] bytes. Returns the bytes used, or
    /// `None` where they do not suffice.
    pub fn compress(&mut self, page: &[u8], out: &mut [u8]) -> Option<usize> {
        self.table.fill(0);
        let table = &mut *self.table;
        let mut out = Output { bytes: out, used: 0 };
        let (mut at, mut literals) = (1_usize, 0_usize);
        while let Some(word) = load32(page, at) {
            let slot = table.get_mut(hash(word))?;
            let candidate = usize::from(*slot);
            *slot = u16::try_from(at).ok()?;
            let distance = at.wrapping_sub(candidate);
            let pending = at.wrapping_sub(literals);
            if load32(page, candidate) != Some(word) || distance > MAX_DISTANCE {
                // Strides grow where nothing repeats.
                at = at.wrapping_add(1).wrapping_add(pending >> 5);
                continue;
            }
            out.literals(page.get(literals..)?, pending)?;
            let length = common_length(page.get(candidate..)?, page.get(at..)?);
            out.reference(distance, length)?;
            at = at.wrapping_add(length);
            literals = at;
        }
        let rest = page.get(literals..)?;
        out.literals(rest, rest.len())?;
        out.put([0x11, 0, 0])?;
        Some(out.used)
    }
}

#[inline(always)]
fn load32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|chunk| u32::from_le_bytes(*chunk))
}

#[inline(always)]
fn hash(word: u32) -> usize {
    (word.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

/// How many leading bytes are the same.
#[inline(always)]
fn common_length(earlier: &[u8], later: &[u8]) -> usize {
    let mut length = 0_usize;
    for (a, b) in earlier.as_chunks::<8>().0.iter().zip(later.as_chunks::<8>().0) {
        let difference = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if difference != 0 {
            return length.wrapping_add((difference.trailing_zeros() / 8) as usize);
        }
        length = length.wrapping_add(8);
    }
    let rest = earlier.iter().skip(length).zip(later.iter().skip(length));
    length.wrapping_add(rest.take_while(|(a, b)| a == b).count())
}

/// The low byte; callers pass what fits one.
#[inline(always)]
fn low(value: usize) -> u8 {
    value.to_le_bytes()[0]
}

struct Output<'a> {
    bytes: &'a mut [u8],
    used: usize,
}

impl Output<'_> {
    #[inline(always)]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) -> Option<()> {
        *self.bytes.get_mut(self.used..)?.first_chunk_mut::<N>()? = bytes;
        self.used = self.used.wrapping_add(N);
        Some(())
    }

    /// A length of which the instruction holds nothing: a zero for each 255, then the rest, which is not zero.
    fn length(&mut self, mut rest: usize) -> Option<()> {
        while rest > 255 {
            self.put([0])?;
            rest = rest.wrapping_sub(255);
        }
        self.put([low(rest)])
    }

    /// The first `count` bytes of `source` as they are.
    #[inline(always)]
    fn literals(&mut self, source: &[u8], count: usize) -> Option<()> {
        match count {
            0 => return Some(()),
            _ if self.used == 0 && count <= FIRST_RUN => self.put([low(count.wrapping_add(17))])?,
            // Up to three ride in the last two bits of the instruction before them.
            1..=3 => *self.bytes.get_mut(self.used.wrapping_sub(2))? |= low(count),
            4..=18 => self.put([low(count.wrapping_sub(3))])?,
            _ => {
                self.put([0])?;
                self.length(count.wrapping_sub(18))?;
            }
        }
        let target = self.bytes.get_mut(self.used..)?;
        // Short runs are the rule: copying 16 bytes, whichever of them count, costs less than a call.
        if let (true, Some(from), Some(to)) = (count <= 16, source.first_chunk::<16>(), target.first_chunk_mut::<16>())
        {
            *to = *from;
        } else {
            target.get_mut(..count)?.copy_from_slice(source.get(..count)?);
        }
        self.used = self.used.wrapping_add(count);
        Some(())
    }

    /// `length` bytes (4 or more) from `distance` bytes (1 to [`MAX_DISTANCE`]) back.
    #[inline(always)]
    fn reference(&mut self, distance: usize, length: usize) -> Option<()> {
        let back = distance.wrapping_sub(1);
        if length <= NEAR_LENGTH && distance <= NEAR_DISTANCE {
            let head = (length.wrapping_sub(1) << 5) | ((back & 7) << 2);
            return self.put([low(head), low(back >> 3)]);
        }
        let (mark, short, back) = if distance <= MIDDLE_DISTANCE {
            (0x20, MIDDLE_LENGTH, back)
        } else {
            let far = distance.wrapping_sub(MIDDLE_DISTANCE);
            (0x10 | ((far >> 11) & 8), FAR_LENGTH, far)
        };
        if length <= short {
            self.put([low(mark | length.wrapping_sub(2))])?;
        } else {
            self.put([low(mark)])?;
            self.length(length.wrapping_sub(short))?;
        }
        self.put([low((back << 2) & 0xfc), low(back >> 6)])
    }
}
