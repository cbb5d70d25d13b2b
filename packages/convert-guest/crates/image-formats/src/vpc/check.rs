//! Checks footer, copy, header and block allocation table, which `qemu-img check` does not.

use alloc::format;
use alloc::string::String;

use crate::arith::{SECTOR, to_u64};
use crate::blocks::{Blocks, Check, TableDisk, check_blocks};
use crate::check::Teller;
use crate::error::{ErrorKind, FormatError};
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::structure::{Be, Number, Structure};
use crate::structures::vpc::{dynamic_header, footer};

use super::dynamic::DynamicDisk;
use super::footer::{COOKIE, checksum};

impl Check for DynamicDisk {
    fn check<S: ByteSource>(
        disk: &mut TableDisk<S, Self>,
        teller: &mut Teller<'_>,
    ) -> Result<(), FormatError> {
        check_footers(&mut disk.cache, teller)?;
        let (header, bytes) = (disk.layout.header, dynamic_header::BYTES);
        check_sum(
            &mut disk.cache,
            teller,
            header,
            bytes,
            dynamic_header::CHECKSUM,
        )?;
        let blocks = Blocks {
            block: disk.layout.table.block,
            before: disk.layout.bitmap,
            tail: to_u64(footer::BYTES),
            whole: true,
            packed: false,
            beyond: |position, host| {
                format!(
                    "ERROR: the block of virtual offset {position} lies at offset {host}, which reaches into the footer or behind the end of the file"
                )
            },
        };
        check_blocks(disk, teller, &blocks)
    }
}

/// The footer stands at both ends of the file, and says the same at both.
fn check_footers<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    teller: &mut Teller<'_>,
) -> Result<(), FormatError> {
    let last = cache.file_size().saturating_sub(to_u64(footer::BYTES));
    let copy = cache.read_vec(0, footer::BYTES)?;
    let own = cache.read_vec(last, footer::BYTES)?;
    for (at, bytes, name) in [(0, &copy, "copy of the footer"), (last, &own, "footer")] {
        if !bytes.starts_with(COOKIE) {
            let text = format!("ERROR: there is no {name} at offset {at}");
            teller.corrupt(at, 0, 0, text)?;
            return Ok(());
        }
        check_sum(cache, teller, at, footer::BYTES, footer::CHECKSUM)?;
    }
    if copy != own {
        let text = String::from("ERROR: the footer and its copy at offset 0 differ");
        teller.corrupt(last, 0, 0, text)?;
    }
    Ok(())
}

fn check_sum<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    teller: &mut Teller<'_>,
    at: u64,
    length: usize,
    field: Number<Be<u32>>,
) -> Result<(), FormatError> {
    let bytes = cache.read_vec(at, length)?;
    let sum = checksum(&bytes, field);
    let structure = Structure::new(&bytes, at, cache.device(), ErrorKind::BadHeader);
    let Field {
        value: stored,
        offset: place,
        ..
    } = structure.get(field)?;
    if stored == sum {
        return Ok(());
    }
    let text = format!(
        "ERROR: the checksum at offset {place} is {stored:#x}, and the bytes have {sum:#x}"
    );
    teller.corrupt(place, stored.into(), sum.into(), text)
}

/// A fixed disk needs as many bytes as it has, and the footer.
pub(super) fn check_fixed(
    file_size: u64,
    size: u64,
    teller: &mut Teller<'_>,
) -> Result<(), FormatError> {
    let inside = file_size.saturating_sub(to_u64(footer::BYTES));
    if size > inside {
        let text = format!(
            "ERROR: the disk has {} sectors, and the file before its footer {}",
            SECTOR.count_for(size),
            SECTOR.count_for(inside)
        );
        teller.corrupt(inside, size, inside, text)?;
    }
    Ok(())
}
