//! Internal snapshots (qcow2.txt "Snapshots"): listed for information, and read in the place of the active state where one
//! is chosen.

use alloc::vec::Vec;

use crate::arith::{PowerOfTwo, to_u64, to_usize};
use crate::error::{ErrorKind, Expected, FormatError};
pub use crate::facts::Snapshot;
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::qcow2::Qcow2Image;
use crate::qcow2::header::{Header, MAX_L1_BYTES};
use crate::qcow2::l1;
use crate::snapshot_choice::SnapshotChoice;
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::qcow2::{snapshot, snapshot_extra};

const ALIGNMENT: PowerOfTwo = PowerOfTwo::from_bits(3);
/// Extra data that this version of the format defines: VM state size, disk size, instruction count.
const KNOWN_EXTRA: u64 = 24;

// QEMU's limits.
const MAX_EXTRA: u64 = 1024;
const MAX_TABLE_BYTES: u64 = 64 << 20;

/// Steps from entry to entry; entries have no fixed size.
pub(super) struct Walk {
    position: u64,
    left: u32,
    table: u64,
    disk_size: u64,
    count: Field<u32>,
}

impl Walk {
    pub fn new(header: &Header, virtual_size: u64) -> Self {
        Self {
            position: header.snapshot_table_offset,
            left: header.snapshot_count.value,
            table: header.snapshot_table_offset,
            disk_size: virtual_size,
            count: header.snapshot_count,
        }
    }

    /// Where the last snapshot that was looked at ends (byte offset in the file).
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next snapshot. With `names` false its texts stay empty, which is enough to check the table.
    pub fn next<S: ByteSource>(
        &mut self,
        cache: &mut MetadataCache<S>,
        names: bool,
    ) -> Result<Option<Snapshot>, FormatError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left = self.left.saturating_sub(1);
        self.position = ALIGNMENT.round_up(self.position).unwrap_or(u64::MAX);

        let mut bytes = [0; snapshot::BYTES];
        cache.read(self.position, &mut bytes)?;
        let head = Structure::new(
            &bytes,
            self.position,
            cache.device(),
            ErrorKind::BadSnapshotTable,
        );
        let l1_table_offset = head.get(snapshot::L1_TABLE_OFFSET)?.value;
        let l1_entries = head.get(snapshot::L1_SIZE)?.value;
        let id_length = u64::from(head.get(snapshot::ID_STR_SIZE)?.value);
        let name_length = u64::from(head.get(snapshot::NAME_SIZE)?.value);
        let date_seconds = head.get(snapshot::DATE_SEC)?.value;
        let date_nanoseconds = head.get(snapshot::DATE_NSEC)?.value;
        let vm_clock_nanoseconds = head.get(snapshot::VM_CLOCK_NSEC)?.value;
        let small_vm_state = head.get(snapshot::VM_STATE_SIZE)?.value;
        let extra_length = head.get(snapshot::EXTRA_DATA_SIZE)?;
        if u64::from(extra_length.value) > MAX_EXTRA {
            let expected = Expected::AtMost(MAX_EXTRA);
            return Err(extra_length.refuse(ErrorKind::BadSnapshotTable, expected));
        }
        let extra_length = u64::from(extra_length.value);
        let extra_at = self.position.saturating_add(to_u64(snapshot::BYTES));
        let extra = cache.read_vec(extra_at, to_usize(extra_length.min(KNOWN_EXTRA)))?;
        let kind = ErrorKind::BadSnapshotTable;
        let extra = Structure::new(&extra, extra_at, cache.device(), kind);
        // What is not there is not said.
        let extra_number = |number| extra.get(number).ok().map(|field| field.value);

        let id_at = extra_at.saturating_add(extra_length);
        let name_at = id_at.saturating_add(id_length);
        self.position = name_at.saturating_add(name_length);
        let table_bytes = self.position.saturating_sub(self.table);
        if table_bytes > MAX_TABLE_BYTES {
            let expected = Expected::Sentence("a snapshot table of at most 67108864 bytes");
            return Err(self.count.refuse(ErrorKind::BadSnapshotTable, expected));
        }
        let mut text = |at, length| {
            if names {
                cache.read_vec(at, to_usize(length))
            } else {
                Ok(Vec::new())
            }
        };
        Ok(Some(Snapshot {
            id: text(id_at, id_length)?,
            name: text(name_at, name_length)?,
            vm_state_size: extra_number(snapshot_extra::VM_STATE_SIZE)
                .unwrap_or(u64::from(small_vm_state)),
            date_seconds,
            date_nanoseconds,
            vm_clock_nanoseconds,
            // All ones stands for "not recorded".
            instruction_count: extra_number(snapshot_extra::ICOUNT)
                .filter(|count| *count != u64::MAX),
            disk_size: extra_number(snapshot_extra::DISK_SIZE).unwrap_or(self.disk_size),
            l1_table_offset,
            l1_entries,
        }))
    }
}

impl<S: ByteSource> Qcow2Image<S> {
    /// Reads through the L1 table of a snapshot from now on, as QEMU's `bdrv_snapshot_load_tmp`.
    pub(super) fn load_snapshot(&mut self, choice: SnapshotChoice<'_>) -> Result<(), FormatError> {
        for attempt in choice.attempts().into_iter().flatten() {
            let mut walk = Walk::new(&self.header, self.virtual_size);
            while let Some(snapshot) = walk.next(&mut self.cache, true)? {
                if attempt.names(&snapshot) {
                    return self.read_through(&snapshot);
                }
            }
        }
        let expected = Expected::Sentence("the id or the name of a snapshot in the image");
        let kind = ErrorKind::SnapshotMissing;
        let error = FormatError::new(kind, self.cache.device(), "", 0, 0, expected);
        Err(error.with_text(choice.text()))
    }

    fn read_through(&mut self, snapshot: &Snapshot) -> Result<(), FormatError> {
        let device = self.cache.device();
        let at = snapshot.l1_table_offset;
        let refuse = |field, value, expected| {
            let kind = ErrorKind::BadSnapshotTable;
            FormatError::new(
                kind,
                device,
                field,
                self.header.snapshot_table_offset,
                value,
                expected,
            )
        };
        let entries = u64::from(snapshot.l1_entries);
        let most = MAX_L1_BYTES.checked_div(l1::ENTRY_BYTES).unwrap_or(0);
        if entries > most {
            let expected = Expected::AtMost(most);
            return Err(refuse("snapshot's l1_size", entries, expected));
        }
        if !self.header.cluster.is_aligned(at) {
            let expected = Expected::MultipleOf(self.header.cluster.size());
            return Err(refuse("snapshot's l1_table_offset", at, expected));
        }
        self.header.l1_table_offset = at;
        self.header.l1_entries = entries;
        Ok(())
    }
}
