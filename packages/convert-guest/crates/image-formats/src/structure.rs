//! Fields of the structures that images consist of. Where they are is described once, in `@instar/shared-abi/disk`, and
//! generated as constants ([`structures`](crate::structures)); here they are read from bytes that nobody has to trust, and
//! put into bytes that are written.

use alloc::vec;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ops::Range;

use crate::arith::to_u64;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::source::DeviceIndex;

/// A number as a file keeps it.
pub trait Stored {
    /// The number.
    type Value: Copy;
    /// Bytes.
    const BYTES: usize;
    /// The number that these bytes are; `None` where they are fewer.
    fn load(bytes: &[u8]) -> Option<Self::Value>;
    /// Puts the number into these bytes, which are [`Self::BYTES`].
    fn store(value: Self::Value, bytes: &mut [u8]);
}

/// The lowest byte first.
#[derive(Clone, Copy, Debug)]
pub struct Le<T>(PhantomData<T>);
/// The highest byte first.
#[derive(Clone, Copy, Debug)]
pub struct Be<T>(PhantomData<T>);

macro_rules! stored {
    ($($stored:ty, $number:ty, $from:ident, $to:ident;)*) => {$(
        impl Stored for $stored {
            type Value = $number;
            const BYTES: usize = size_of::<$number>();
            fn load(bytes: &[u8]) -> Option<$number> {
                bytes.first_chunk().map(|bytes| <$number>::$from(*bytes))
            }
            fn store(value: $number, bytes: &mut [u8]) {
                bytes.copy_from_slice(&value.$to());
            }
        }
    )*};
}

stored! {
    u8, u8, from_le_bytes, to_le_bytes;
    Le<u16>, u16, from_le_bytes, to_le_bytes;
    Le<u32>, u32, from_le_bytes, to_le_bytes;
    Le<u64>, u64, from_le_bytes, to_le_bytes;
    Be<u16>, u16, from_be_bytes, to_be_bytes;
    Be<u32>, u32, from_be_bytes, to_be_bytes;
    Be<u64>, u64, from_be_bytes, to_be_bytes;
}

/// A number of a structure.
#[derive(Debug)]
pub struct Number<T> {
    name: &'static str,
    offset: usize,
    stored: PhantomData<T>,
}

impl<T> Clone for Number<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Number<T> {}

impl<T> Number<T> {
    /// A number `offset` bytes from the beginning of its structure.
    pub const fn new(name: &'static str, offset: usize) -> Self {
        Self {
            name,
            offset,
            stored: PhantomData,
        }
    }

    /// Byte offset in the structure.
    pub const fn offset(self) -> usize {
        self.offset
    }

    /// Byte offset in the file of whose structure begins at `start`.
    pub fn place(self, start: u64) -> u64 {
        start.saturating_add(to_u64(self.offset))
    }
}

/// Bytes of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    name: &'static str,
    offset: usize,
    length: usize,
}

impl Span {
    /// `length` bytes, `offset` bytes from the beginning of their structure.
    pub const fn new(name: &'static str, offset: usize, length: usize) -> Self {
        Self {
            name,
            offset,
            length,
        }
    }

    /// Byte offset in the structure.
    pub const fn offset(self) -> usize {
        self.offset
    }

    /// Byte offset in the file of whose structure begins at `start`.
    pub fn place(self, start: u64) -> u64 {
        start.saturating_add(to_u64(self.offset))
    }

    /// Which bytes of the structure they are.
    pub const fn range(self) -> Range<usize> {
        self.offset..self.offset.saturating_add(self.length)
    }
}

/// The bytes of a structure, which knows where in its file it lies.
#[derive(Clone, Copy, Debug)]
pub struct Structure<'a> {
    bytes: &'a [u8],
    start: u64,
    device: DeviceIndex,
    kind: ErrorKind,
}

impl<'a> Structure<'a> {
    /// A structure whose bytes lie at `start` in the file; that they are too few is a fault of `kind`.
    pub fn new(bytes: &'a [u8], start: u64, device: DeviceIndex, kind: ErrorKind) -> Self {
        Self {
            bytes,
            start,
            device,
            kind,
        }
    }

    /// The structure that begins `offset` bytes further on.
    pub fn at(&self, offset: usize) -> Self {
        Self {
            bytes: self.bytes.get(offset..).unwrap_or(&[]),
            start: self.start.saturating_add(to_u64(offset)),
            ..*self
        }
    }

    /// The `number`th of entries of `length` bytes that begin at `offset`.
    pub fn entry(&self, offset: usize, length: usize, number: usize) -> Self {
        self.at(offset.saturating_add(length.saturating_mul(number)))
    }

    /// Where it begins (byte offset in the file).
    pub fn start(&self) -> u64 {
        self.start
    }

    /// A number.
    ///
    /// # Errors
    /// The structure's kind where its bytes end before.
    pub fn get<T: Stored>(&self, number: Number<T>) -> Result<Field<T::Value>, FormatError> {
        let bytes = self.bytes.get(number.offset..).unwrap_or(&[]);
        let Some(value) = T::load(bytes) else {
            return Err(self.too_short(number.name, number.offset, T::BYTES, bytes.len()));
        };
        Ok(Field {
            value,
            name: number.name,
            offset: number.place(self.start),
            device: self.device,
        })
    }

    /// Bytes.
    ///
    /// # Errors
    /// The structure's kind where they are not all there.
    pub fn bytes(&self, span: Span) -> Result<&'a [u8], FormatError> {
        let rest = self.bytes.get(span.offset..).unwrap_or(&[]);
        rest.get(..span.length)
            .ok_or_else(|| self.too_short(span.name, span.offset, span.length, rest.len()))
    }

    /// So many bytes.
    ///
    /// # Errors
    /// The structure's kind where they are not all there, or the field has another length.
    pub fn array<const N: usize>(&self, span: Span) -> Result<[u8; N], FormatError> {
        let bytes = self.bytes(span)?;
        bytes
            .try_into()
            .map_err(|_| self.too_short(span.name, span.offset, N, bytes.len()))
    }

    /// The error for bytes that cannot be accepted.
    pub fn refuse(
        &self,
        span: Span,
        kind: ErrorKind,
        value: u64,
        expected: Expected,
    ) -> FormatError {
        let at = self.start.saturating_add(to_u64(span.offset));
        FormatError::new(kind, self.device, span.name, at, value, expected)
    }

    /// The error for a value `offset` bytes from the beginning, which is no field of its own.
    pub fn refuse_at(
        &self,
        name: &'static str,
        offset: usize,
        kind: ErrorKind,
        value: u64,
        expected: Expected,
    ) -> FormatError {
        let at = self.start.saturating_add(to_u64(offset));
        FormatError::new(kind, self.device, name, at, value, expected)
    }

    fn too_short(&self, name: &'static str, at: usize, needed: usize, left: usize) -> FormatError {
        let at = self.start.saturating_add(to_u64(at));
        let expected = Expected::AtLeast(to_u64(needed));
        FormatError::new(self.kind, self.device, name, at, to_u64(left), expected)
    }
}

/// A structure that is put together field by field; what is not said is zero.
pub struct Built(Vec<u8>);

impl Built {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(vec![0; bytes])
    }

    /// Puts a number in its place.
    pub fn put<T: Stored>(mut self, number: Number<T>, value: T::Value) -> Self {
        put(&mut self.0, number, value);
        self
    }

    /// Puts bytes at the beginning of their place.
    pub fn put_bytes(mut self, span: Span, bytes: &[u8]) -> Self {
        put_bytes(&mut self.0, span, bytes);
        self
    }

    /// The bytes.
    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Puts bytes at the beginning of their place in a structure, as many as it has room for.
pub fn put_bytes(structure: &mut [u8], span: Span, bytes: &[u8]) {
    let place = structure.get_mut(span.range()).unwrap_or_default();
    for (byte, value) in place.iter_mut().zip(bytes) {
        *byte = *value;
    }
}

/// Puts a number into the bytes of a structure, if they reach so far.
pub fn put<T: Stored>(bytes: &mut [u8], number: Number<T>, value: T::Value) {
    let end = number.offset.saturating_add(T::BYTES);
    if let Some(place) = bytes.get_mut(number.offset..end) {
        T::store(value, place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: Number<Be<u16>> = Number::new("count", 1);
    const SIZE: Number<Le<u32>> = Number::new("size", 3);
    const NAME: Span = Span::new("name", 7, 4);

    #[test]
    fn a_field_knows_its_place_in_the_file() {
        let bytes = [9, 1, 2, 4, 3, 2, 1, b'a', b'b', b'c', b'd'];
        let structure = Structure::new(&bytes, 100, DeviceIndex(3), ErrorKind::BadHeader);
        let count = structure.get(COUNT).unwrap();
        assert_eq!(
            (count.value, count.offset, count.name),
            (0x0102, 101, "count")
        );
        assert_eq!(structure.get(SIZE).unwrap().value, 0x0102_0304);
        assert_eq!(structure.bytes(NAME).unwrap(), b"abcd");
        assert_eq!(structure.array::<4>(NAME).unwrap(), *b"abcd");
    }

    #[test]
    fn bytes_that_end_too_early_are_an_error_with_a_place() {
        let structure = Structure::new(&[0; 9], 100, DeviceIndex(0), ErrorKind::BadTable);
        let error = structure.bytes(NAME).unwrap_err();
        let found = (error.kind, error.field, error.offset, error.value);
        assert_eq!(found, (ErrorKind::BadTable, "name", 107, 2));
        let short = Structure::new(&[], 100, DeviceIndex(0), ErrorKind::BadTable);
        assert_eq!(short.get(SIZE).unwrap_err().value, 0);
    }

    #[test]
    fn what_is_built_is_read_back() {
        let bytes = Built::new(11)
            .put(COUNT, 0x0102)
            .put(SIZE, 5)
            .put_bytes(NAME, b"xy")
            .done();
        assert_eq!(bytes, [0, 1, 2, 5, 0, 0, 0, b'x', b'y', 0, 0]);
    }
}
