//! A reader over untrusted bytes that cannot step outside them, and knows where in the file it is.

use crate::arith::to_u64;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::source::DeviceIndex;

/// Reads fields one after the other, in either byte order.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    offset: u64,
    device: DeviceIndex,
    kind: ErrorKind,
}

impl<'a> Cursor<'a> {
    /// Starts at `bytes`, which lie at `offset` in the file; running out of them is a fault of `kind`.
    pub fn new(bytes: &'a [u8], offset: u64, device: DeviceIndex, kind: ErrorKind) -> Self {
        Self {
            rest: bytes,
            offset,
            device,
            kind,
        }
    }

    /// Where in the file the next field lies.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// The cursor's kind when fewer are left.
    pub fn bytes(&mut self, name: &'static str, length: usize) -> Result<&'a [u8], FormatError> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            let left = to_u64(self.rest.len());
            let expected = Expected::AtLeast(to_u64(length));
            return Err(FormatError::new(
                self.kind,
                self.device,
                name,
                self.offset,
                left,
                expected,
            ));
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(to_u64(length));
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, name: &'static str) -> Result<(u64, [u8; N]), FormatError> {
        let offset = self.offset;
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(name, N)?);
        Ok((offset, array))
    }

    fn field<T>(&self, name: &'static str, offset: u64, value: T) -> Field<T> {
        Field {
            value,
            name,
            offset,
            device: self.device,
        }
    }

    /// The next byte.
    ///
    /// # Errors
    /// The cursor's kind when none is left; so for all the others.
    pub fn u8(&mut self, name: &'static str) -> Result<Field<u8>, FormatError> {
        let (offset, [value]) = self.array(name)?;
        Ok(self.field(name, offset, value))
    }

    /// The next two bytes.
    pub fn be16(&mut self, name: &'static str) -> Result<Field<u16>, FormatError> {
        let (offset, bytes) = self.array(name)?;
        Ok(self.field(name, offset, u16::from_be_bytes(bytes)))
    }

    /// The next four bytes.
    pub fn be32(&mut self, name: &'static str) -> Result<Field<u32>, FormatError> {
        let (offset, bytes) = self.array(name)?;
        Ok(self.field(name, offset, u32::from_be_bytes(bytes)))
    }

    /// The next two bytes, the lowest first.
    pub fn le16(&mut self, name: &'static str) -> Result<Field<u16>, FormatError> {
        let (offset, bytes) = self.array(name)?;
        Ok(self.field(name, offset, u16::from_le_bytes(bytes)))
    }

    /// The next four bytes, the lowest first.
    pub fn le32(&mut self, name: &'static str) -> Result<Field<u32>, FormatError> {
        let (offset, bytes) = self.array(name)?;
        Ok(self.field(name, offset, u32::from_le_bytes(bytes)))
    }

    /// The next eight bytes, the lowest first.
    pub fn le64(&mut self, name: &'static str) -> Result<Field<u64>, FormatError> {
        let (offset, bytes) = self.array(name)?;
        Ok(self.field(name, offset, u64::from_le_bytes(bytes)))
    }

    /// The next eight bytes.
    pub fn be64(&mut self, name: &'static str) -> Result<Field<u64>, FormatError> {
        let (offset, bytes) = self.array(name)?;
        Ok(self.field(name, offset, u64::from_be_bytes(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_remember_their_file_offset() {
        let bytes = [0, 0, 0, 7, 0xff, 1, 2];
        let mut cursor = Cursor::new(&bytes, 100, DeviceIndex(3), ErrorKind::BadExtension);
        assert_eq!(cursor.be32("length").unwrap().value, 7);
        let byte = cursor.u8("kind").unwrap();
        assert_eq!(
            (byte.value, byte.offset, byte.device),
            (255, 104, DeviceIndex(3))
        );
    }

    #[test]
    fn little_endian_fields_begin_with_their_lowest_byte() {
        let bytes = [1, 2, 3, 4, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0x80];
        let mut cursor = Cursor::new(&bytes, 0, DeviceIndex(0), ErrorKind::BadHeader);
        assert_eq!(cursor.le16("a").unwrap().value, 0x0201);
        assert_eq!(cursor.le32("b").unwrap().value, 0x0403);
        let last = cursor.le64("c").unwrap();
        assert_eq!((last.value, last.offset), (0x8000_0000_0000_0005, 6));
    }

    #[test]
    fn the_end_of_the_bytes_is_an_error_with_a_place() {
        let mut cursor = Cursor::new(&[1, 2, 3], 50, DeviceIndex(0), ErrorKind::BadExtension);
        let error = cursor.be64("size").unwrap_err();
        assert_eq!(
            (error.kind, error.offset, error.value),
            (ErrorKind::BadExtension, 50, 3)
        );
        assert_eq!(cursor.be16("left alone").unwrap().value, 0x0102);
    }
}
