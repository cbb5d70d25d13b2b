//! What an image says of itself, for people and for verdicts, in terms that all formats share.

use alloc::vec::Vec;

use crate::content::Content;
use crate::extent::Codec;

/// How an image is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// It is not.
    #[default]
    None,
    /// AES in CBC mode, keyed by the password itself (qcow and early qcow2).
    Aes,
    /// LUKS.
    Luks,
}

/// One internal snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Unique ID, usually a decimal number.
    pub id: Vec<u8>,
    /// Name, of any bytes.
    pub name: Vec<u8>,
    /// Bytes of VM state; 0 for a snapshot of the disk alone.
    pub vm_state_size: u64,
    /// When it was taken: seconds since 1970.
    pub date_seconds: u32,
    /// And nanoseconds.
    pub date_nanoseconds: u32,
    /// How long the VM had been running, in nanoseconds.
    pub vm_clock_nanoseconds: u64,
    /// Instructions that the VM had executed, where that was recorded.
    pub instruction_count: Option<u64>,
    /// Virtual size of the disk at that time, in bytes.
    pub disk_size: u64,
    /// Byte offset of the snapshot's L1 table; not checked.
    pub l1_table_offset: u64,
    /// Its entries; not checked.
    pub l1_entries: u32,
}

/// One persistent bitmap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    /// Name, of any bytes, at most 1023.
    pub name: Vec<u8>,
    /// Bytes of the disk that one bit stands for.
    pub granularity: u64,
    /// Was not saved properly; its content means nothing.
    pub in_use: bool,
    /// Is updated with every write to the disk.
    pub auto: bool,
    /// Byte offset of the bitmap's table.
    pub table_offset: u64,
    /// Its entries.
    pub table_entries: u32,
}

/// How an extent file stores its part of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExtentFileKind {
    /// Not stated: the extent is the image's own file.
    #[default]
    None,
    /// Bytes as they are.
    Flat,
    /// Grains behind a directory.
    Sparse,
    /// Zeros, without a file.
    Zero,
    /// Bytes as they are, on VMFS.
    Vmfs,
    /// Grains behind a directory (ESX).
    VmfsSparse,
    /// Grains behind a directory (ESX, space-efficient).
    SeSparse,
}

/// One extent of a disk that lies in several files, or in parts of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtentFile {
    /// Name of the file; empty for an extent without one, and for the image's own file.
    pub name: Vec<u8>,
    /// How it stores its part of the disk.
    pub kind: ExtentFileKind,
    /// Bytes of the disk that it holds.
    pub virtual_size: u64,
    /// Byte offset in the file at which they begin.
    pub file_offset: u64,
    /// Bytes of its grains, 0 where it has none.
    pub cluster_size: u64,
    /// Whether its grains are compressed.
    pub compressed: bool,
}

/// One key slot of a LUKS header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LuksSlot {
    /// Whether it holds a key.
    pub active: bool,
    /// Iterations of the key derivation.
    pub iterations: u32,
    /// Stripes that the key is split into.
    pub stripes: u32,
    /// Where they lie (byte offset in the container).
    pub offset: u64,
}

/// What a LUKS header says. Names are as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LuksFacts {
    /// 1 or 2.
    pub version: u32,
    /// Cipher and bits of its key.
    pub cipher: Vec<u8>,
    /// How blocks are chained.
    pub mode: Vec<u8>,
    /// What initialization vectors are made of.
    pub iv_generator: Vec<u8>,
    /// Hash of the key derivation.
    pub hash: Vec<u8>,
    /// UUID.
    pub uuid: Vec<u8>,
    /// Where the encrypted disk begins (byte offset in the container).
    pub payload_offset: u64,
    /// Iterations of the digest that tells whether a key is right.
    pub master_key_iterations: u32,
    /// The slots, active or not.
    pub slots: Vec<LuksSlot>,
}

/// A number that an image got when it was made, or when its content last changed.
pub type Identity = [u8; 16];

/// How much of an image's lists is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListLimits {
    /// Internal snapshots.
    pub snapshots: usize,
    /// Bitmaps.
    pub bitmaps: usize,
}

/// What an image says of itself. Names are as written, up to their first zero byte: the image author's bytes, to be
/// escaped before they reach a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Version of the format, 0 where it has none.
    pub version: u32,
    /// Bytes of the unit that the format allocates in, 0 where it has none.
    pub cluster_size: u64,
    /// Width of a refcount, 0 where the format has none.
    pub refcount_bits: u32,
    /// How compressed clusters are compressed, where the header says so.
    pub compression: Option<Codec>,
    /// The encryption method.
    pub encryption: Encryption,
    /// Feature bits as stored: incompatible, compatible, autoclear.
    pub features: [u64; 3],
    /// Refcount updates may be postponed.
    pub lazy_refcounts: bool,
    /// It was not closed properly.
    pub dirty: bool,
    /// It was found to be inconsistent.
    pub corrupt: bool,
    /// L2 entries describe subclusters.
    pub extended_l2: bool,
    /// Guest data lies in another file.
    pub has_data_file: bool,
    /// That file is a raw image of its own.
    pub data_file_raw: bool,
    /// That file's name, where one is written.
    pub data_file: Option<Vec<u8>>,
    /// The backing file's name.
    pub backing_file: Option<Vec<u8>>,
    /// The backing image's format, as a name; perhaps none that is known.
    pub backing_format: Option<Vec<u8>>,
    /// Internal snapshots, as many as were wanted.
    pub snapshots: Vec<Snapshot>,
    /// There are more.
    pub more_snapshots: bool,
    /// Persistent bitmaps, as many as were wanted.
    pub bitmaps: Vec<Bitmap>,
    /// There are more.
    pub more_bitmaps: bool,
    /// Variant of the format, where it names one.
    pub variant: Vec<u8>,
    /// Number that changes with the content, where the format has one.
    pub content_id: Option<u32>,
    /// That number of the backing image, as it was when this image was made.
    pub parent_content_id: Option<u32>,
    /// What images above this one know it by, where the format has such a number.
    pub identity: Option<Identity>,
    /// What the backing image must be known by: one of these; empty where nothing is said.
    pub parent_identities: Vec<Identity>,
    /// The extents of the disk, where the format has them.
    pub extent_files: Vec<ExtentFile>,
    /// What the header of an encrypted image says.
    pub luks: Option<LuksFacts>,
    /// What a disk without a format was recognised by.
    pub content: Option<Content>,
    /// Not all of a packed file was unpacked, and that may take a larger dictionary than was allowed.
    pub may_need_memory: bool,
}
