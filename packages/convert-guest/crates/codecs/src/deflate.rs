//! Deflate (RFC 1951), raw or in a zlib wrapper (RFC 1950), accepted as QEMU accepts it: the cluster must become full, and what the
//! stream would do after that does not matter.

use alloc::boxed::Box;

use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use crate::CodecError;
use crate::libdeflate::Libdeflate;

/// Bytes in front of the deflate stream; libdeflate has looked at them.
const ZLIB_HEADER: usize = 2;

#[derive(Debug)]
pub(crate) struct Inflater {
    fast: Libdeflate,
    /// Only for streams that libdeflate refuses.
    patient: Option<Box<Patient>>,
}

struct Patient(DecompressorOxide);

impl core::fmt::Debug for Patient {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Patient")
    }
}

impl Inflater {
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self {
            fast: Libdeflate::new()?,
            patient: None,
        })
    }

    /// Allocates what may be needed at all: later there may be nobody who can.
    pub fn prepare(&mut self) {
        self.patient();
    }

    fn patient(&mut self) -> &mut Patient {
        self.patient
            .get_or_insert_with(|| Box::new(Patient(DecompressorOxide::new())))
    }

    pub fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Result<(), CodecError> {
        match self.fast.inflate(input, output) {
            Ok(written) if written == output.len() => Ok(()),
            Ok(_) => Err(CodecError::ShortOutput),
            // libdeflate has no way to stop at a full output or to forgive a missing end.
            Err(_) => self.inflate_until_full(input, output),
        }
    }

    /// Decodes a stream that has its end and fills `output` exactly. Returns how many bytes of `input` it takes.
    pub fn inflate_whole(&mut self, input: &[u8], output: &mut [u8]) -> Option<usize> {
        let (read, written) = self.fast.inflate_counting(input, output).ok()?;
        (written == output.len()).then_some(read)
    }

    /// The same for a stream in a zlib wrapper. Its checksum is compared where the stream ends with the cluster.
    pub fn inflate_zlib(&mut self, input: &[u8], output: &mut [u8]) -> Result<(), CodecError> {
        match self.fast.inflate_zlib(input, output) {
            Ok(written) if written == output.len() => Ok(()),
            Ok(_) => Err(CodecError::ShortOutput),
            // More than fits: only the last cluster of a disk is cut by its end, so that is no fault.
            Err(CodecError::LongOutput) => match input.get(ZLIB_HEADER..) {
                Some(raw) => self.inflate_until_full(raw, output),
                None => Err(CodecError::BadData),
            },
            Err(error) => Err(error),
        }
    }

    fn inflate_until_full(&mut self, input: &[u8], output: &mut [u8]) -> Result<(), CodecError> {
        let patient = self.patient();
        patient.0.init();
        let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, _, written) = decompress(&mut patient.0, input, output, 0, flags);
        if written == output.len() {
            return Ok(());
        }
        use miniz_oxide::inflate::TINFLStatus::{Done, FailedCannotMakeProgress};
        Err(match status {
            Done | FailedCannotMakeProgress => CodecError::ShortOutput,
            _ => CodecError::BadData,
        })
    }
}
