//! Checks the header and the allocation table, as `qemu-img check` does.

use alloc::format;
use alloc::string::String;

use crate::arith::SECTOR;
use crate::blocks::{BlockSize, Check, Entry, TableDisk, tables_end};
use crate::check::{Remedy, Teller};
use crate::error::FormatError;
use crate::source::ByteSource;
use crate::used_units::UsedUnits;

use super::header::Header;

impl Check for Header {
    fn check<S: ByteSource>(
        disk: &mut TableDisk<S, Self>,
        teller: &mut Teller<'_>,
    ) -> Result<(), FormatError> {
        let header = disk.layout;
        // QEMU counts whole sectors.
        let file_size = disk.cache.file_size();
        let file_size = SECTOR.round_up(file_size).unwrap_or(file_size);
        if header.in_use {
            let text = String::from("ERROR image was not closed correctly");
            teller.mendable(
                Remedy::Replace,
                (crate::structures::parallels::header::INUSE.place(0), 1, 0),
                text,
            )?;
        }
        if tables_end(disk, teller)? > file_size {
            return Ok(());
        }
        let needed = header.cluster.count_for(header.size);
        if header.entries < needed {
            let text = format!(
                "ERROR the allocation table has {} entries, fewer than the {needed} clusters of the disk",
                header.entries
            );
            let field = crate::structures::parallels::header::BAT_ENTRIES.place(0);
            teller.corrupt(field, header.entries, needed, text)?;
        }
        let data_start = check_data_offset(&header, file_size, teller)?;
        let cluster = header.cluster;
        let lies_inside = |offset: u64| {
            offset >= data_start && offset.saturating_add(cluster.bytes()) <= file_size
        };
        let mut last = None;
        for index in 0..header.entries {
            let (entry, offset) = read(disk, index)?;
            if offset == 0 {
                continue;
            }
            if lies_inside(offset) {
                last = last.max(Some(offset));
            } else {
                let text = format!("ERROR cluster {index} is outside image");
                teller.mendable(Remedy::Unallocate, (entry.at, offset, file_size), text)?;
            }
        }
        let image_end = match last {
            Some(last) => last.saturating_add(cluster.bytes()),
            None => end_of_all(disk, data_start)?,
        };
        teller.counts.image_end = image_end;
        if let Some(leaked) = file_size
            .checked_sub(image_end)
            .filter(|leaked| *leaked > 0)
        {
            let text = format!("ERROR space leaked at the end of the image {leaked}");
            teller.mendable_leak(Remedy::Cut, (image_end, cluster.count_for(leaked)), text)?;
        }
        check_twice(disk, data_start, image_end, teller)?;
        count(disk, image_end, teller)
    }
}

/// An entry, and where its cluster lies (byte offset in the file).
fn read<S: ByteSource>(
    disk: &mut TableDisk<S, Header>,
    index: u64,
) -> Result<(Entry, u64), FormatError> {
    let header = disk.layout;
    let position = header.cluster.times(index);
    let entry = header.allocation_table().read(&mut disk.cache, position)?;
    Ok((entry, header.offset_of(entry.value)))
}

/// Where clusters may begin (byte offset in the file), also where the header says something impossible.
fn check_data_offset(
    header: &Header,
    file_size: u64,
    teller: &mut Teller<'_>,
) -> Result<u64, FormatError> {
    let table_end = SECTOR.count_for(header.allocation_table().file_end());
    let least = match BlockSize::new(SECTOR.index_of(header.cluster.bytes())) {
        Some(cluster) if header.extended => cluster.times(cluster.count_for(table_end)),
        _ => table_end,
    };
    let stated = u64::from(header.data_offset.value);
    let sectors = if stated == 0 && !header.extended {
        least
    } else if stated < least || stated > SECTOR.count_for(file_size) {
        let text = String::from("ERROR data_off field has incorrect value");
        let field = header.data_offset.offset;
        teller.mendable(Remedy::Replace, (field, stated, least), text)?;
        least
    } else {
        stated
    };
    Ok(SECTOR.times(sectors).unwrap_or(u64::MAX))
}

/// Where the last cluster ends that an entry names, inside the file or not.
fn end_of_all<S: ByteSource>(
    disk: &mut TableDisk<S, Header>,
    data_start: u64,
) -> Result<u64, FormatError> {
    let mut end = data_start;
    for index in 0..disk.layout.entries {
        let (_, offset) = read(disk, index)?;
        if offset != 0 {
            end = end.max(offset.saturating_add(disk.layout.cluster.bytes()));
        }
    }
    Ok(end)
}

/// Tells of entries that name a cluster which an earlier one names.
fn check_twice<S: ByteSource>(
    disk: &mut TableDisk<S, Header>,
    data_start: u64,
    image_end: u64,
    teller: &mut Teller<'_>,
) -> Result<(), FormatError> {
    let cluster = disk.layout.cluster;
    let device = disk.cache.device();
    let clusters = cluster.count_for(image_end.saturating_sub(data_start));
    let mut used = UsedUnits::new(device, 1, clusters)?;
    loop {
        for index in 0..disk.layout.entries {
            let (entry, offset) = read(disk, index)?;
            let inside = offset != 0 && offset < image_end;
            let Some(from_start) = offset.checked_sub(data_start).filter(|_| inside) else {
                continue;
            };
            if used.mark(cluster.index_of(from_start), 1) {
                let text = format!("ERROR duplicate offset in BAT entry {index}");
                teller.mendable(Remedy::Separate, (entry.at, offset, 0), text)?;
            }
        }
        if !used.advance() {
            return Ok(());
        }
    }
}

fn count<S: ByteSource>(
    disk: &mut TableDisk<S, Header>,
    image_end: u64,
    teller: &mut Teller<'_>,
) -> Result<(), FormatError> {
    let cluster = disk.layout.cluster;
    let mut next = None;
    for index in 0..disk.layout.entries {
        let (_, offset) = read(disk, index)?;
        let end = offset.saturating_add(cluster.bytes());
        if offset == 0 || end > image_end {
            next = None;
            continue;
        }
        let counts = &mut teller.counts;
        counts.allocated_clusters = counts.allocated_clusters.saturating_add(1);
        if next.is_some_and(|next| next != offset) {
            counts.fragmented_clusters = counts.fragmented_clusters.saturating_add(1);
        }
        next = Some(end);
    }
    teller.counts.total_clusters = disk.layout.entries;
    Ok(())
}
