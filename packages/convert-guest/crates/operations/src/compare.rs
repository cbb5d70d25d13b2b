//! The compare operation: whether two images hold the same disk.

use instar_abi::{
    CompareConfig, CompareResult, Descriptor, compare_flag, comparison, device_role, opcode,
};
use instar_image_formats::{Chain, Extent, ExtentKind, Image};

use crate::commands::{SharedCommands, descriptor};
use crate::error::OperationError;
use crate::fetch::{Fetched, Fetcher};
use crate::file_comparison::FileComparer;
use crate::open_chain::GuestImage;
use crate::operation::Request;
use crate::setup::{Setup, config_bytes, internal};

/// Unit in which a difference is told (bytes).
const SECTOR: u64 = 512;
/// Bytes between two PROGRESS commands.
const PROGRESS_STEP: u64 = 16 << 20;

/// Compares the images of the roles IMAGE and COMPARED, and leaves a CompareResult.
pub fn compare(request: Request<'_>, result: &mut CompareResult) -> Result<(), OperationError> {
    let Request {
        config,
        chain: chain_config,
        commands,
        mut windows,
    } = request;
    let config = CompareConfig::from_bytes(config_bytes(config)?);
    let strict = config.flags & compare_flag::STRICT != 0;
    let mut setup = Setup::new(chain_config, commands, &mut windows)?;
    let mut sides = [
        Side::open(&setup, device_role::IMAGE)?,
        Side::open(&setup, device_role::COMPARED)?,
    ];
    let fetcher = Fetcher::new(commands, &mut windows, setup.keys())?;
    let comparer = FileComparer::new(commands, &mut windows)?;
    let mut readers = Readers { fetcher, comparer };
    let [first, second] = [sides[0].size, sides[1].size];
    let common = first.min(second);
    result.common_size = common;
    result.larger = u32::from(first > second) | u32::from(second > first) << 1;
    if first != second && strict {
        result.comparison = comparison::SIZE;
        return Ok(());
    }
    let mut told = 0_u64;
    let total = first.max(second);
    let mut offset = 0_u64;
    while offset < common {
        let (found, length) = step(
            &mut sides,
            &mut setup,
            &mut readers,
            (offset, common),
            strict,
        )?;
        if let Some((kind, at)) = found {
            (result.comparison, result.offset) = (kind, at);
            return Ok(());
        }
        offset = offset.saturating_add(length);
        if offset.saturating_sub(told) >= PROGRESS_STEP {
            told = offset;
            progress(commands, offset, total)?;
        }
    }
    let [one, two] = &mut sides;
    let longer = if first > second { one } else { two };
    while offset < longer.size {
        let (_, extent) = longer.extent(&mut setup, offset, longer.size)?;
        let fetched = readers.fetcher.fetch(&[extent])?;
        if let [Fetched::Bytes(bytes)] = &fetched[..]
            && let Some(at) = bytes.iter().position(|byte| *byte != 0)
        {
            (result.comparison, result.offset) = (comparison::CONTENT, place(offset, at));
            return Ok(());
        }
        offset = offset.saturating_add(readers.fetcher.length(&extent));
        if offset.saturating_sub(told) >= PROGRESS_STEP {
            told = offset;
            progress(commands, offset, total)?;
        }
    }
    result.comparison = comparison::EQUAL;
    Ok(())
}

fn progress(commands: &SharedCommands, done: u64, total: u64) -> Result<(), OperationError> {
    commands.borrow_mut().submit(Descriptor {
        offset: done,
        length: total,
        ..descriptor(opcode::PROGRESS)
    })
}

/// One of the images.
struct Side {
    chain: Chain<GuestImage>,
    size: u64,
}

impl Side {
    fn open(setup: &Setup<'_>, role: u32) -> Result<Self, OperationError> {
        let chain = setup.open(role)?;
        let size = chain.virtual_size();
        Ok(Self { chain, size })
    }

    /// Whether an image of the chain holds what lies at `offset`, and what that is.
    fn extent(
        &mut self,
        setup: &mut Setup<'_>,
        offset: u64,
        end: u64,
    ) -> Result<(bool, Extent), OperationError> {
        let located = self.chain.locate(offset, end.saturating_sub(offset))?;
        Ok((located.present, setup.holes.see(located.extent)?))
    }
}

/// Who looks at bytes: here, or where they lie in files as they are.
struct Readers<'a> {
    fetcher: Fetcher<'a>,
    comparer: FileComparer,
}

/// What differs, and where.
type Difference = Option<(u32, u64)>;

/// Compares what lies at `offset`, as far as both sides are of one kind each.
fn step(
    sides: &mut [Side; 2],
    setup: &mut Setup<'_>,
    Readers { fetcher, comparer }: &mut Readers<'_>,
    (offset, end): (u64, u64),
    strict: bool,
) -> Result<(Difference, u64), OperationError> {
    let [one, two] = sides;
    let (first_present, first) = one.extent(setup, offset, end)?;
    let (second_present, second) = two.extent(setup, offset, end)?;
    let mut extents = [first, second];
    let length = first.length.min(second.length);
    if strict && (first_present, status(&first)) != (second_present, status(&second)) {
        return Ok((Some((comparison::ALLOCATION, offset)), length));
    }
    if !has_data(&extents[0]) && !has_data(&extents[1]) {
        return Ok((None, length));
    }
    for extent in &mut extents {
        extent.length = length;
    }
    if let [
        ExtentKind::Data {
            device: one,
            offset: from,
        },
        ExtentKind::Data {
            device: two,
            offset: at,
        },
    ] = extents.map(|extent| extent.kind)
    {
        let length = length.min(FileComparer::MOST);
        let differences = comparer.compare((one, from), (two, at), length)?;
        let first = differences.first();
        let difference = first.map(|first| (comparison::CONTENT, offset.saturating_add(first)));
        return Ok((difference, length));
    }
    let length = fetcher.length(&extents[0]).min(fetcher.length(&extents[1]));
    for extent in &mut extents {
        extent.length = length;
    }
    let fetched = fetcher.fetch(&extents)?;
    let at = match &fetched[..] {
        [Fetched::Zero, Fetched::Zero] => None,
        [Fetched::Bytes(one), Fetched::Bytes(two)] => first_difference(one, two),
        [Fetched::Bytes(bytes), Fetched::Zero] | [Fetched::Zero, Fetched::Bytes(bytes)] => {
            bytes.iter().position(|byte| *byte != 0)
        }
        _ => return Err(internal("two extents were asked for")),
    };
    let difference = at.map(|at| (comparison::CONTENT, place(offset, at)));
    Ok((difference, length))
}

/// Where a difference is told: whole sectors from the beginning of the extents that were compared.
fn place(offset: u64, at: usize) -> u64 {
    let at = at as u64;
    offset.saturating_add(at.saturating_sub(at % SECTOR))
}

/// How the bytes of an extent are stored.
fn status(extent: &Extent) -> u8 {
    match extent.kind {
        ExtentKind::Zero | ExtentKind::Unallocated => 0,
        ExtentKind::Data { .. } | ExtentKind::Encrypted { .. } => 1,
        ExtentKind::Compressed { .. } | ExtentKind::Packed { .. } => 2,
    }
}

fn has_data(extent: &Extent) -> bool {
    !matches!(extent.kind, ExtentKind::Zero | ExtentKind::Unallocated)
}

fn first_difference(one: &[u8], two: &[u8]) -> Option<usize> {
    if one == two {
        return None;
    }
    one.iter().zip(two).position(|(one, two)| one != two)
}
