//! What is wrong with an image, said so that a person can act on it and a program can match on it.

use alloc::boxed::Box;
use core::fmt;

use instar_abi::error_kind;

use crate::source::{DeviceIndex, SourceError};

macro_rules! error_kinds {
    ($($(#[$doc:meta])* $variant:ident = $code:ident, $name:literal, $sentence:literal;)*) => {
        /// The stable classes of errors. Codes and names never change their meaning; new ones append.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum ErrorKind {
            $($(#[$doc])* $variant = error_kind::$code,)*
        }

        impl ErrorKind {
            /// Every kind, in the order of the codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number that crosses the ABI.
            pub const fn code(self) -> u32 {
                match self { $(Self::$variant => error_kind::$code,)* }
            }

            /// The kind of a number that crossed the ABI.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code { $(error_kind::$code => Some(Self::$variant),)* _ => None }
            }

            /// A stable name for programs: lower case, hyphens.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What is wrong, for people, without the particulars.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

error_kinds! {
    /// The host could not deliver bytes of the file.
    SourceFailed = SOURCE_FAILED, "source-failed", "the file could not be read";
    /// The reader's own memory is used up.
    OutOfMemory = OUT_OF_MEMORY, "out-of-memory", "no memory is left to read the image's metadata";
    /// The caller asked for a range outside the virtual disk: a mistake of ours, not the image's.
    OutOfRange = OUT_OF_RANGE, "out-of-range", "a range outside the virtual disk was asked for";

    /// The magic number is not the one of the format that was asked for.
    NotThisFormat = NOT_THIS_FORMAT, "not-this-format", "the file is not in this format";
    /// A known format that is not read yet.
    UnsupportedFormat = UNSUPPORTED_FORMAT, "unsupported-format", "images of this format are not supported yet";
    /// Two formats claim the file.
    AmbiguousFormat = AMBIGUOUS_FORMAT, "ambiguous-format", "the file answers to two formats at once; name the right one with -f";
    /// A version of the format that is not known.
    UnsupportedVersion = UNSUPPORTED_VERSION, "unsupported-version", "this version of the format is not supported";
    /// The image needs a feature that is not known.
    UnknownFeature = UNKNOWN_FEATURE, "unknown-feature", "the image needs features that are not supported";
    /// The image is encrypted.
    Encrypted = ENCRYPTED, "encrypted", "the image is encrypted, and a passphrase that opens it is needed";
    /// A variant of a known format that is not read.
    UnsupportedVariant = UNSUPPORTED_VARIANT, "unsupported-variant", "this variant of the format is not supported";
    /// A packed file takes more memory than there is so far.
    NeedsMemory = NEEDS_MEMORY, "needs-memory", "more memory is needed to unpack the file";
    /// The encryption method is none that the format knows.
    UnsupportedEncryption = UNSUPPORTED_ENCRYPTION, "unsupported-encryption", "the encryption method is unknown";

    /// The cluster (or subcluster) size is out of bounds.
    BadClusterSize = BAD_CLUSTER_SIZE, "bad-cluster-size", "the cluster size is not supported";
    /// The header's own length is out of bounds.
    BadHeaderLength = BAD_HEADER_LENGTH, "bad-header-length", "the header length is not valid";
    /// The backing file's name does not lie where it may.
    BadBackingName = BAD_BACKING_NAME, "bad-backing-name", "the backing file name is misplaced or too long";
    /// The compression type and the feature bit contradict each other, or the type is unknown.
    BadCompressionType = BAD_COMPRESSION_TYPE, "bad-compression-type", "the compression type is not valid";
    /// Refcount entries wider than 64 bits.
    BadRefcountWidth = BAD_REFCOUNT_WIDTH, "bad-refcount-width", "the refcount width is not valid";
    /// The refcount table is missing, misplaced or too large.
    BadRefcountTable = BAD_REFCOUNT_TABLE, "bad-refcount-table", "the refcount table is not valid";
    /// The snapshot table is misplaced or too large.
    BadSnapshotTable = BAD_SNAPSHOT_TABLE, "bad-snapshot-table", "the snapshot table is not valid";
    /// The L1 table is misplaced or too large.
    BadL1Table = BAD_L1_TABLE, "bad-l1-table", "the L1 table is not valid";
    /// The L1 table does not cover the virtual size.
    L1TableTooSmall = L1_TABLE_TOO_SMALL, "l1-table-too-small", "the L1 table is too small for the virtual size";
    /// The virtual size is beyond what can be addressed.
    ImageTooBig = IMAGE_TOO_BIG, "image-too-big", "the virtual size is too big";
    /// A header extension does not fit or contradicts the header.
    BadExtension = BAD_EXTENSION, "bad-extension", "a header extension is not valid";
    /// The bitmap directory is not valid.
    BadBitmapDirectory = BAD_BITMAP_DIRECTORY, "bad-bitmap-directory", "the bitmap directory is not valid";
    /// The image keeps its data in another file, and that file is not there or not named.
    DataFileMissing = DATA_FILE_MISSING, "data-file-missing", "the image needs its external data file";
    /// Data-file features without the data-file bit.
    DataFileUnexpected = DATA_FILE_UNEXPECTED, "data-file-unexpected", "the image claims a raw external data file but has none";

    /// A field of the header that cannot be.
    BadHeader = BAD_HEADER, "bad-header", "a field of the header is invalid";
    /// A checksum of metadata that does not match.
    ChecksumMismatch = CHECKSUM_MISMATCH, "checksum-mismatch", "a checksum does not match";
    /// A table that is misplaced or too large.
    BadTable = BAD_TABLE, "bad-table", "a table of the image is misplaced or too large";
    /// A text that describes the image and cannot be understood.
    BadDescriptor = BAD_DESCRIPTOR, "bad-descriptor", "the text descriptor is invalid";
    /// The image lies in several files, and one of them is not there.
    ExtentMissing = EXTENT_MISSING, "extent-missing", "the image needs an extent file that was not opened";
    /// A log that cannot be replayed.
    BadLog = BAD_LOG, "bad-log", "the log of the image is invalid";
    /// A table entry that points nowhere sensible.
    BadTableEntry = BAD_TABLE_ENTRY, "bad-table-entry", "an entry of a table is invalid";

    /// An L1 entry that points nowhere sensible.
    BadL1Entry = BAD_L1_ENTRY, "bad-l1-entry", "an L1 table entry is not valid";
    /// An L2 entry that points nowhere sensible or contradicts the header.
    BadL2Entry = BAD_L2_ENTRY, "bad-l2-entry", "an L2 table entry is not valid";

    /// Making the key takes more memory than is allowed.
    KeyMemory = KEY_MEMORY, "key-memory", "making the key takes more memory than is allowed; --limit-key-memory raises that";

    /// Compressed data that does not decode, or whose checksum is wrong.
    Damaged = DECOMPRESS, "damaged", "the compressed data is damaged";
    /// A packed file that holds an image of a format, or an archive.
    PackedContent = PACKED_CONTENT, "packed-content", "what is inside is read only when it is unpacked";
    /// The image has no snapshot that is named so, or is of a format whose snapshots are not read.
    SnapshotMissing = SNAPSHOT_MISSING, "snapshot-missing", "the image has no such snapshot";
    /// A packed file that unpacks to more than is allowed.
    UnpackedTooBig = UNPACKED_TOO_BIG, "unpacked-too-big", "the file unpacks to more than is allowed; --limit-virtual-size raises that if you trust it";

    /// An edit that the format, or this image of it, does not allow.
    UnsupportedEdit = UNSUPPORTED_EDIT, "unsupported-edit", "the image cannot be edited so";
    /// Metadata that cannot be relied on by an edit.
    RepairFirst = REPAIR_FIRST, "repair-first", "the metadata contradicts itself, and has to be repaired first";
    /// The image has no bitmap that is named so.
    BitmapMissing = BITMAP_MISSING, "bitmap-missing", "the image has no such bitmap";
    /// The image has a bitmap that is named so.
    BitmapExists = BITMAP_EXISTS, "bitmap-exists", "the image has a bitmap of that name";

    /// More images in the chain than the limit allows.
    ChainTooDeep = CHAIN_TOO_DEEP, "chain-too-deep", "the backing chain is too deep";
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

/// What a field should have held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Exactly this number.
    Value(u64),
    /// At most this number.
    AtMost(u64),
    /// At least this number.
    AtLeast(u64),
    /// A number in this closed range.
    Between(u64, u64),
    /// A multiple of this number.
    MultipleOf(u64),
    /// Something that takes words.
    Sentence(&'static str),
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Value(value) => write!(f, "{value}"),
            Self::AtMost(most) => write!(f, "at most {most}"),
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::Between(low, high) => write!(f, "{low} to {high}"),
            Self::MultipleOf(unit) => write!(f, "a multiple of {unit}"),
            Self::Sentence(sentence) => f.write_str(sentence),
        }
    }
}

/// One fault of one image: where, what was found, what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// The class.
    pub kind: ErrorKind,
    /// The field, as the format's specification names it.
    pub field: &'static str,
    /// Byte offset of that field in the file.
    pub offset: u64,
    /// What it holds.
    pub value: u64,
    /// What it should have held.
    pub expected: Expected,
    /// The file.
    pub device: DeviceIndex,
    /// Bytes out of the image that belong into the message (names of unknown features), or empty.
    /// They are the image author's: escape them before they reach a terminal.
    pub text: Box<[u8]>,
}

impl FormatError {
    /// A fault in a field of the image.
    pub fn new(
        kind: ErrorKind,
        device: DeviceIndex,
        field: &'static str,
        offset: u64,
        value: u64,
        expected: Expected,
    ) -> Self {
        Self {
            kind,
            field,
            offset,
            value,
            expected,
            device,
            text: Box::default(),
        }
    }

    /// The file could not be read at `offset`.
    pub fn of_source(device: DeviceIndex, offset: u64, error: SourceError) -> Self {
        let (value, sentence) = match error {
            SourceError::OutOfRange => (0, "bytes inside the file"),
            SourceError::Failed { code } => (u64::from(code), "a read without an error number"),
        };
        Self::new(
            ErrorKind::SourceFailed,
            device,
            "file",
            offset,
            value,
            Expected::Sentence(sentence),
        )
    }

    /// An encrypted image that no passphrase has unlocked. Nothing tells a wrong one from none.
    pub(crate) fn locked(device: DeviceIndex) -> Self {
        Self::new(
            ErrorKind::Encrypted,
            device,
            "",
            0,
            0,
            Expected::Sentence(""),
        )
    }

    /// A cache block or a list could not be allocated.
    pub(crate) fn out_of_memory(device: DeviceIndex, offset: u64, length: u64) -> Self {
        let expected = Expected::Sentence("a smaller table or more guest memory");
        Self::new(
            ErrorKind::OutOfMemory,
            device,
            "allocation",
            offset,
            length,
            expected,
        )
    }

    /// The caller asked outside the virtual disk.
    pub(crate) fn out_of_range(offset: u64, virtual_size: u64) -> Self {
        let expected = Expected::AtMost(virtual_size.saturating_sub(1));
        let device = DeviceIndex::default();
        Self::new(
            ErrorKind::OutOfRange,
            device,
            "virtual offset",
            offset,
            offset,
            expected,
        )
    }

    /// Whether the image is to blame, and not the host that could not read it.
    pub fn is_of_image(&self) -> bool {
        !matches!(
            self.kind,
            ErrorKind::SourceFailed | ErrorKind::OutOfMemory | ErrorKind::OutOfRange
        )
    }

    /// The same fault of a part of a file, which begins at `start`.
    pub(crate) fn moved(mut self, start: u64) -> Self {
        self.offset = self.offset.saturating_add(start);
        self
    }

    /// The same fault with bytes of the image for the message.
    pub(crate) fn with_text(mut self, text: &[u8]) -> Self {
        self.text = text.into();
        self
    }
}

/// One line without the file's name, which only the host knows.
impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.sentence())?;
        if !self.text.is_empty() {
            write!(f, ": {}", self.text.escape_ascii())?;
        }
        let Self {
            field,
            offset,
            value,
            expected,
            ..
        } = self;
        write!(
            f,
            " ({field} at offset {offset} is {value}, expected {expected})"
        )
    }
}

impl core::error::Error for FormatError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn codes_and_names_are_unique_and_reversible() {
        for (index, kind) in ErrorKind::ALL.iter().enumerate() {
            assert_eq!(ErrorKind::from_code(kind.code()), Some(*kind));
            for other in &ErrorKind::ALL[index + 1..] {
                assert_ne!(kind.name(), other.name());
            }
        }
        assert_eq!(ErrorKind::from_code(0), None);
    }

    #[test]
    fn a_message_names_field_place_value_and_expectation() {
        let error = FormatError::new(
            ErrorKind::BadClusterSize,
            DeviceIndex(0),
            "cluster_bits",
            20,
            8,
            Expected::Between(9, 21),
        );
        assert_eq!(
            error.to_string(),
            "the cluster size is not supported (cluster_bits at offset 20 is 8, expected 9 to 21)"
        );
    }

    #[test]
    fn bytes_of_the_image_are_escaped_in_messages() {
        let error = FormatError::out_of_range(1, 1).with_text(b"a\x1b[2J");
        assert!(error.to_string().contains("a\\x1b[2J"));
    }
}
