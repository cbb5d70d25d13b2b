//! Why an operation failed, in the form that crosses the ABI.

use instar_abi::{EXIT_ERROR, EXIT_OK, ErrorRecord, error_kind, result_status};
use instar_image_formats::{ErrorKind, FormatError};

use crate::commands::SharedCommands;
use crate::text;

/// Why an operation failed.
#[derive(Clone, Debug)]
pub enum OperationError {
    /// A reader refused an image.
    Format(FormatError),
    /// A command came back with an errno.
    Command {
        write: bool,
        device: u32,
        offset: u64,
        errno: u32,
    },
    /// A compressed cluster does not decode.
    Decompress {
        device: u32,
        offset: u64,
        virtual_offset: u64,
    },
    /// Something that is not about one place in a file.
    Plain {
        kind: u32,
        device: u32,
        detail: &'static str,
    },
}

impl From<FormatError> for OperationError {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

impl OperationError {
    /// An error without a place.
    pub fn plain(kind: u32, device: u32, detail: &'static str) -> Self {
        Self::Plain {
            kind,
            device,
            detail,
        }
    }

    /// The record that crosses the ABI.
    pub fn record(&self) -> ErrorRecord {
        let mut record = ErrorRecord::ZERO;
        match self {
            Self::Format(error) => {
                record.kind = error.kind.code();
                record.device = error.device.0;
                record.offset = error.offset;
                record.value = error.value;
                record.has_location = u32::from(!error.field.is_empty());
                if error.kind == ErrorKind::SourceFailed {
                    record.status = u32::try_from(error.value).unwrap_or(0);
                }
                record.field_len = text::put(&mut record.field, error.field.as_bytes());
                let sentence = error.kind.sentence();
                record.detail_len = if error.text.is_empty() {
                    text::put(&mut record.detail, sentence.as_bytes())
                } else {
                    let shown = error.text.escape_ascii();
                    text::format(&mut record.detail, format_args!("{sentence}: {shown}"))
                };
                record.expected_len =
                    text::format(&mut record.expected, format_args!("{}", error.expected));
            }
            Self::Command {
                write,
                device,
                offset,
                errno,
            } => {
                let (kind, sentence) = if *write {
                    (error_kind::WRITE_FAILED, "the output could not be written")
                } else {
                    (error_kind::SOURCE_FAILED, "the file could not be read")
                };
                record.kind = kind;
                record.device = *device;
                record.offset = *offset;
                record.status = *errno;
                record.detail_len = text::put(&mut record.detail, sentence.as_bytes());
            }
            Self::Decompress {
                device,
                offset,
                virtual_offset,
            } => {
                record.kind = error_kind::DECOMPRESS;
                record.device = *device;
                record.offset = *offset;
                record.value = *virtual_offset;
                record.has_location = 1;
                record.field_len =
                    text::put(&mut record.field, b"compressed cluster of virtual offset");
                record.detail_len =
                    text::put(&mut record.detail, b"a compressed cluster does not decode");
                record.expected_len =
                    text::put(&mut record.expected, b"a stream that fills one cluster");
            }
            Self::Plain {
                kind,
                device,
                detail,
            } => {
                record.kind = *kind;
                record.device = *device;
                record.detail_len = text::put(&mut record.detail, detail.as_bytes());
            }
        }
        record
    }
}

/// Splits the end of an operation into what its result struct and its exit code say. An operation that went well has
/// only done so when all its commands have, too.
pub fn ending(
    done: Result<(), OperationError>,
    commands: &SharedCommands,
) -> (u32, ErrorRecord, u32) {
    match done.and_then(|()| commands.borrow_mut().finish()) {
        Ok(()) => (result_status::OK, ErrorRecord::ZERO, EXIT_OK),
        Err(error) => (result_status::ERROR, error.record(), EXIT_ERROR),
    }
}
