//! Bits in the order of RFC 1951: the least significant first.

/// Bits with which several streams start.
#[derive(Default)]
pub struct Prefix {
    bytes: Vec<u8>,
    held: u64,
    count: u32,
}

impl Prefix {
    /// How many there are.
    pub fn bits(&self) -> usize {
        self.bytes.len().wrapping_mul(8).wrapping_add(self.count as usize)
    }
}

/// Writes bits into a buffer; what does not fit is noticed at the end.
pub struct BitWriter<'a> {
    out: &'a mut [u8],
    /// Bytes that are complete.
    at: usize,
    held: u64,
    /// Bits in `held`: fewer than 8 after `flush`.
    count: u32,
    full: bool,
}

impl<'a> BitWriter<'a> {
    /// A writer at the start of `out`, of which up to 8 bytes behind the last bit are overwritten.
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0, held: 0, count: 0, full: false }
    }

    /// Takes whole bytes and then some bits; only as the first of all.
    pub fn start(&mut self, Prefix { bytes, held, count }: &Prefix) {
        match self.out.get_mut(..bytes.len()) {
            Some(target) => target.copy_from_slice(bytes),
            None => self.full = true,
        }
        (self.at, self.held, self.count) = (bytes.len(), *held, *count);
    }

    /// What was written, to be written again at the start of others.
    pub fn into_prefix(mut self, prefix: &mut Prefix) {
        self.flush();
        prefix.bytes.clear();
        prefix.bytes.extend_from_slice(self.out.get(..self.at).unwrap_or_default());
        (prefix.held, prefix.count) = (self.held, self.count);
    }

    /// Takes the low `count` bits of `value`, which has no others. Between two calls of `flush` there is room for 56 bits.
    #[inline(always)]
    pub fn put(&mut self, value: u32, count: u32) {
        self.held |= u64::from(value).wrapping_shl(self.count);
        self.count = self.count.wrapping_add(count);
    }

    /// Moves whole bytes into the buffer.
    #[inline(always)]
    pub fn flush(&mut self) {
        match self.out.get_mut(self.at..).and_then(<[u8]>::first_chunk_mut::<8>) {
            Some(target) => *target = self.held.to_le_bytes(),
            None => self.full = true,
        }
        let bytes = self.count >> 3;
        self.at = self.at.saturating_add(bytes as usize);
        self.held = self.held.wrapping_shr(bytes << 3);
        self.count &= 7;
    }

    /// Fills the last byte and returns how many there are; nothing where they did not fit.
    pub fn finish(mut self) -> Option<usize> {
        self.flush();
        let used = self.at.checked_add(usize::from(self.count > 0))?;
        (!self.full).then_some(used)
    }
}
