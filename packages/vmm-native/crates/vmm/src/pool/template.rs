//! What the writable memory of a guest holds before its first instruction, and bringing it back to that.

use instar_abi::{
    Protection, Region, LARGE_PAGE_SIZE, MEMORY_MAP, PAGE_SIZE, REGION_HEAP, REGION_KEYS, REGION_STACK, REGION_WINDOWS,
    REGION_WORKER_STACK,
};

use crate::guest_image::GuestImage;
use crate::memory::GuestMemory;

/// What stays resident at the begin and at the end of a region: as much of it as a look at an image touches (the allocator
/// marks the end of the heap). All else goes back to the system, which costs little where nothing was touched; what a guest
/// has touched has not to be known.
struct Resident {
    head: u64,
    tail: u64,
}

/// A range that begins with `bytes` and has zeros behind them.
struct Range {
    address: u64,
    length: u64,
    bytes: Vec<u8>,
}

/// Memory that was loaded and has not run.
pub struct Template {
    ranges: Vec<Range>,
    /// Address and length of what is given back.
    given_back: Vec<(u64, u64)>,
}

/// What stays resident of a region of which not all does.
fn resident(region: &Region) -> Option<Resident> {
    match *region {
        REGION_HEAP => Some(Resident { head: 384 << 10, tail: 64 << 10 }),
        REGION_WINDOWS => Some(Resident { head: 64 << 10, tail: 0 }),
        // For a second processor, which no kept sandbox has.
        REGION_WORKER_STACK => Some(Resident { head: 0, tail: 0 }),
        REGION_KEYS => Some(Resident { head: 0, tail: 0 }),
        _ => None,
    }
}

impl Template {
    /// Remembers all that a guest or its processor may write: whatever is not for reading only, and what the host writes
    /// for each run.
    pub fn take(memory: &GuestMemory, image: &GuestImage<'_>) -> Result<Self, String> {
        let mut template = Self { ranges: Vec::new(), given_back: Vec::new() };
        for region in &MEMORY_MAP {
            match (region.protection, resident(region)) {
                // A process has these for itself, and takes them with it.
                _ if memory.file().is_some() && [REGION_HEAP, REGION_STACK].contains(region) => {}
                // No process has it.
                (Protection::Supervisor, _) if memory.file().is_some() => {}
                (Protection::None | Protection::Image, _) => {}
                (Protection::Supervisor, None) => template.remember_begin(memory, region)?,
                (_, Some(resident)) => template.divide(memory, region, &resident),
                (_, None) => template.remember(memory, region.start, region.size)?,
            }
        }
        for segment in image.segments().iter().filter(|segment| segment.write) {
            template.remember(memory, segment.address, segment.size)?;
        }
        Ok(template)
    }

    fn divide(&mut self, memory: &GuestMemory, region: &Region, resident: &Resident) {
        let size = memory.region_size(region);
        let end = region.start.saturating_add(size);
        let tail = end.saturating_sub(resident.tail);
        let middle = region.start.saturating_add(resident.head);
        for (address, length) in [(region.start, resident.head), (tail, resident.tail)] {
            if length > 0 {
                // A large page could not stay in parts.
                let page = u64::from(LARGE_PAGE_SIZE);
                memory.use_small_pages(address / page * page, page);
                self.ranges.push(Range { address, length, bytes: Vec::new() });
            }
        }
        self.given_back.push((middle, tail.saturating_sub(middle)));
    }

    /// Of a region of which only the begin is used: the rest, which neither a guest nor its processor has a way to, goes back
    /// to the system.
    fn remember_begin(&mut self, memory: &GuestMemory, region: &Region) -> Result<(), String> {
        self.remember(memory, region.start, region.size)?;
        let Some(last) = self.ranges.last_mut() else { return Ok(()) };
        last.length = (last.bytes.len() as u64).next_multiple_of(PAGE_SIZE.into()).min(region.size);
        memory.use_small_pages(
            region.start / u64::from(LARGE_PAGE_SIZE) * u64::from(LARGE_PAGE_SIZE),
            LARGE_PAGE_SIZE.into(),
        );
        self.given_back.push((region.start.saturating_add(last.length), region.size.saturating_sub(last.length)));
        Ok(())
    }

    fn remember(&mut self, memory: &GuestMemory, address: u64, length: u64) -> Result<(), String> {
        let mut bytes = vec![0; usize::try_from(length).map_err(|error| error.to_string())?];
        memory.read(address, &mut bytes).map_err(|range| format!("outside guest memory: {range:?}"))?;
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
        bytes.truncate(used);
        self.ranges.push(Range { address, length, bytes });
        Ok(())
    }

    /// Brings memory back. No guest may run in it.
    pub fn restore(&self, memory: &GuestMemory) -> Result<(), String> {
        let outside = |range| format!("outside guest memory: {range:?}");
        for (address, length) in &self.given_back {
            memory.discard(*address, *length).map_err(|error| format!("memory cannot be given back: {error}"))?;
        }
        for Range { address, length, bytes } in &self.ranges {
            memory.write(*address, bytes).map_err(outside)?;
            let used = bytes.len() as u64;
            memory.clear(address.saturating_add(used), length.saturating_sub(used)).map_err(outside)?;
        }
        Ok(())
    }
}
