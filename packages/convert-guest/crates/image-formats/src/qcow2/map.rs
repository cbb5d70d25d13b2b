//! From a virtual offset through the L1 and the L2 table to an extent.

use crate::arith::{to_u64, to_usize};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::{Extent, ExtentKind, Image, clamp_request};
use crate::qcow2::l1;
use crate::qcow2::l2::{Entry, Piece};
use crate::qcow2::{DataFile, Qcow2Image};
use crate::raw::data_within;
use crate::source::ByteSource;

/// Stretches of tables that one call looks at before it is content with the extent that it has.
/// Each is at most a cache block (8192 entries), so that a call costs a bounded number of reads.
const MAX_LOOKS: u32 = 64;

/// Neighbouring pieces that continue each other.
struct Run {
    piece: Piece,
    length: u64,
}

impl<S: ByteSource> Image for Qcow2Image<S> {
    fn virtual_size(&self) -> u64 {
        self.virtual_size
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        let length = clamp_request(self.virtual_size, offset, max_length)?;
        let data = self.readable_data_file()?;
        let limit = offset.saturating_add(length);
        let mut run = self.look(offset, limit)?;
        for _ in 1..MAX_LOOKS {
            let position = offset.saturating_add(run.length);
            if position >= limit || matches!(run.piece, Piece::Compressed(_)) {
                break;
            }
            // A fault further on is reported when the caller gets there.
            let Ok(next) = self.look(position, limit) else {
                break;
            };
            if !run.piece.continues_as(run.length, next.piece) {
                break;
            }
            run.length = run.length.saturating_add(next.length);
        }
        Ok(self.extent_of(offset, &run, data).cut_to(length))
    }
}

impl<S: ByteSource> Qcow2Image<S> {
    fn readable_data_file(&self) -> Result<DataFile, FormatError> {
        if self.lacks_key() {
            let expected = Expected::Sentence("a passphrase that opens the image");
            return Err(self
                .header
                .crypt_method
                .refuse(ErrorKind::Encrypted, expected));
        }
        self.data_file.ok_or_else(|| {
            let expected = Expected::Sentence("a data file that is named and may be opened");
            FormatError::new(
                ErrorKind::DataFileMissing,
                self.cache.device(),
                "incompatible_features",
                72,
                self.header.incompatible,
                expected,
            )
        })
    }

    /// What the byte at `position` is, as far as one stretch of one table shows it continuing, but
    /// not beyond `limit`.
    fn look(&mut self, position: u64, limit: u64) -> Result<Run, FormatError> {
        let span = self.header.l1_span();
        let index = span.index_of(position);
        if index >= self.header.l1_entries {
            // The table of a snapshot that was taken when the disk was smaller.
            return Ok(Run {
                piece: Piece::Unallocated,
                length: limit.saturating_sub(position),
            });
        }
        let at = self
            .header
            .l1_table_offset
            .saturating_add(index.saturating_mul(l1::ENTRY_BYTES));
        let wanted = span
            .count_for(limit)
            .min(self.header.l1_entries)
            .saturating_sub(index);
        let bytes = self
            .cache
            .view(at, to_usize(wanted.saturating_mul(l1::ENTRY_BYTES)))?;
        let (entries, _) = bytes.as_chunks::<8>();
        let holes = entries
            .iter()
            .take_while(|entry| l1::table_offset(**entry).is_none())
            .count();
        let table = entries.first().and_then(|entry| l1::table_offset(*entry));
        let Some(table) = table else {
            let end = span
                .times(index.saturating_add(to_u64(holes.max(1))))
                .unwrap_or(limit);
            return Ok(Run {
                piece: Piece::Unallocated,
                length: end.min(limit).saturating_sub(position),
            });
        };
        l1::check_table(&self.header, self.cache.device(), at, table)?;
        self.look_into(table, position, limit)
    }

    /// The same, inside the L2 table at `table`.
    fn look_into(&mut self, table: u64, position: u64, limit: u64) -> Result<Run, FormatError> {
        let header = &self.header;
        let device = self.cache.device();
        let (cluster, entry_size) = (header.cluster, header.l2_entry());
        let span = header.l1_span();
        let limit = limit.min(span.round_down(position).saturating_add(span.size()));
        let index = cluster.index_of(span.offset_within(position));
        let first = cluster.round_down(position);
        let wanted = cluster.count_for(limit.saturating_sub(first));
        let mut at = table.saturating_add(entry_size.times(index).unwrap_or(u64::MAX));
        let bytes = self
            .cache
            .view(at, to_usize(entry_size.times(wanted).unwrap_or(u64::MAX)))?;

        let mut run: Option<Run> = None;
        let mut position = position;
        for words in bytes.chunks_exact(entry_size.in_memory()) {
            let (descriptor, rest) = words.split_first_chunk().unwrap_or((&[0; 8], &[]));
            let bitmap = rest.first_chunk().copied().unwrap_or_default();
            let entry = Entry {
                descriptor: u64::from_be_bytes(*descriptor),
                bitmap: u64::from_be_bytes(bitmap),
                at,
                device,
            };
            let start = cluster.round_down(position);
            let decoded = match (entry.decode(header, start), run.as_ref()) {
                (Ok(decoded), _) => decoded,
                (Err(error), None) => return Err(error),
                (Err(_), Some(_)) => break,
            };
            while cluster.round_down(position) == start && position < limit {
                let within = cluster.offset_within(position);
                let (piece, end) = decoded.piece_at(within, cluster, header.subcluster);
                let length = end.saturating_sub(within);
                match run.as_mut() {
                    None => run = Some(Run { piece, length }),
                    Some(run) if run.piece.continues_as(run.length, piece) => {
                        run.length = run.length.saturating_add(length);
                    }
                    Some(_) => return Ok(run.unwrap_or(NOTHING)),
                }
                position = position.saturating_add(length);
            }
            at = at.saturating_add(entry_size.size());
        }
        Ok(run.unwrap_or(NOTHING))
    }

    fn extent_of(&self, start: u64, run: &Run, data: DataFile) -> Extent {
        let length = run.length;
        match run.piece {
            Piece::Unallocated => Extent {
                start,
                length,
                kind: ExtentKind::Unallocated,
            },
            Piece::Zero => Extent {
                start,
                length,
                kind: ExtentKind::Zero,
            },
            Piece::Data(host) => {
                let extent = data_within(data.device, data.size, start, host, length);
                match self.key {
                    Some(key) => key.encrypt(extent, data.size),
                    None => extent,
                }
            }
            Piece::Compressed(at) => {
                let left = self.cache.file_size().saturating_sub(at.offset);
                let kind = ExtentKind::Compressed {
                    device: self.cache.device(),
                    codec: self.header.compression,
                    offset: at.offset,
                    max_length: at.max_length.min(left),
                    cluster_start: self.header.cluster.round_down(start),
                    cluster_size: self.header.cluster.size(),
                };
                Extent {
                    start,
                    length,
                    kind,
                }
            }
        }
    }
}

/// Stands for "no entry was seen", which a view of at least one entry rules out.
const NOTHING: Run = Run {
    piece: Piece::Unallocated,
    length: 1,
};
