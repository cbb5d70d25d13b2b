//! The disks of a conversion, one behind the other as if they were one.

use alloc::vec::Vec;

use instar_abi::{ChainConfig, device_role};
use instar_image_formats::{Chain, Extent, ExtentKind, Image, Located};

use crate::error::OperationError;
use crate::lost::{SharedLost, can_be_left, to_next_sector};
use crate::open_chain::{GuestImage, Opener, virtual_size};
use crate::setup::internal;

/// A disk, and where it begins.
struct Disk {
    start: u64,
    size: u64,
    chain: Chain<GuestImage>,
}

/// All inputs.
pub struct Disks {
    disks: Vec<Disk>,
    size: u64,
    /// Takes what cannot be read, in a copy that goes on.
    lost: Option<SharedLost>,
}

impl Disks {
    /// Opens every device that is an image of its own, in their order.
    pub fn open(
        opener: &Opener<'_>,
        config: &ChainConfig,
        lost: Option<SharedLost>,
    ) -> Result<Self, OperationError> {
        let mut disks = Vec::new();
        let mut start = 0_u64;
        for index in opener.all_of(device_role::IMAGE)? {
            let chain = opener.open_from(index)?;
            let size = virtual_size(config, index, &chain);
            disks.push(Disk { start, size, chain });
            start = start
                .checked_add(size)
                .ok_or_else(|| internal("the disks are larger than 2^64 bytes"))?;
        }
        Ok(Self {
            disks,
            size: start,
            lost,
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.disks.len()
    }

    /// Bytes of all of them.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What lies at `position`, at most `most` bytes of it, with the layer that says so; beyond the end of an image (a forced
    /// size) there are zeros, as there are where a copy goes on that cannot read what an image says.
    pub fn locate(&mut self, position: u64, most: u64) -> Result<Located, OperationError> {
        let located = self.locate_strictly(position, most);
        let Some(lost) = self.lost.clone() else {
            return located;
        };
        let least = to_next_sector(position, most);
        match located {
            Err(error) if can_be_left(&error) => {}
            other => return other,
        }
        if let Ok(located) = self.locate_strictly(position, least) {
            return Ok(located);
        }
        lost.borrow_mut().note(position, least);
        Ok(Located {
            extent: Extent {
                start: position,
                length: least,
                kind: ExtentKind::Zero,
            },
            depth: 0,
            present: true,
        })
    }

    fn locate_strictly(&mut self, position: u64, most: u64) -> Result<Located, OperationError> {
        let behind = self.disks.partition_point(|disk| disk.start <= position);
        let disk = behind
            .checked_sub(1)
            .and_then(|index| self.disks.get_mut(index))
            .ok_or_else(|| internal("no disk lies there"))?;
        let within = position.saturating_sub(disk.start);
        let left = disk.size.saturating_sub(within).min(most);
        let mut located = if within >= disk.chain.virtual_size() {
            Located {
                extent: Extent {
                    start: within,
                    length: left,
                    kind: ExtentKind::Zero,
                },
                depth: 0,
                present: false,
            }
        } else {
            disk.chain.locate(within, left)?
        };
        located.extent.start = position;
        if let ExtentKind::Compressed { cluster_start, .. } = &mut located.extent.kind {
            *cluster_start = cluster_start.saturating_add(disk.start);
        }
        Ok(located)
    }
}
