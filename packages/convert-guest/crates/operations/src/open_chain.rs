//! Opens the images of a ChainConfig.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use instar_abi::{
    ChainConfig, ChainDevice, NO_PARENT, SnapshotChoice as SnapshotConfig, device_flag,
    device_role, error_kind, image_format, snapshot_choice_flag,
};
use instar_guest_runtime::Window;
use instar_image_formats::{
    Chain, DeviceIndex, DiskImage, Format, FormatImage, Image, OpenOptions, SnapshotChoice,
};

use crate::commands::SharedCommands;
use crate::device_source::DeviceSource;
use crate::error::OperationError;
use crate::packed_streams::largest_window;
use crate::transform::SharedKeys;
use crate::unlock::unlock;

/// An image of a chain.
pub type GuestImage = DiskImage<'static>;

/// What opening needs.
pub struct Opener<'a> {
    pub chain: &'a ChainConfig,
    pub commands: &'a SharedCommands,
    pub metadata_window: Rc<RefCell<Window>>,
    /// Takes the keys of encrypted images.
    pub keys: SharedKeys,
    /// Most bytes that a packed file may unpack to.
    pub most_unpacked: u64,
}

/// An image below which nothing was opened, though it is a backing file: the one that another is to get.
pub fn new_parent(chain: &ChainConfig) -> Option<(u32, &ChainDevice)> {
    devices(chain)
        .find(|(_, device)| device.role == device_role::BACKING && device.parent == NO_PARENT)
}

/// The devices that are used, with their indexes.
pub fn devices(chain: &ChainConfig) -> impl Iterator<Item = (u32, &ChainDevice)> {
    let count = usize::try_from(chain.device_count).unwrap_or(usize::MAX);
    (0_u32..).zip(chain.devices.iter().take(count))
}

fn child(chain: &ChainConfig, parent: u32, role: u32) -> Option<(u32, &ChainDevice)> {
    devices(chain).find(|(_, device)| device.role == role && device.parent == parent)
}

/// The device that holds the output.
pub fn output(chain: &ChainConfig) -> Option<(u32, &ChainDevice)> {
    devices(chain).find(|(_, device)| device.role == device_role::OUTPUT)
}

/// The snapshot that is read in the place of the image.
fn chosen_snapshot(config: &SnapshotConfig) -> Option<SnapshotChoice<'_>> {
    let length = |length: u32| usize::try_from(length).unwrap_or(usize::MAX);
    let id = config.id.get(..length(config.id_len)).unwrap_or(&config.id);
    let name = config.name.get(..length(config.name_len));
    let name = name.unwrap_or(&config.name);
    let has = |flag: u32| config.flags & flag != 0;
    if has(snapshot_choice_flag::EITHER) {
        return Some(SnapshotChoice::Either(id));
    }
    match (
        has(snapshot_choice_flag::BY_ID),
        has(snapshot_choice_flag::BY_NAME),
    ) {
        (true, true) => Some(SnapshotChoice::Both { id, name }),
        (true, false) => Some(SnapshotChoice::Id(id)),
        (false, true) => Some(SnapshotChoice::Name(name)),
        (false, false) => None,
    }
}

fn forced_format(index: u32, device: &ChainDevice) -> Result<Option<Format>, OperationError> {
    if device.format == image_format::PROBE {
        return Ok(None);
    }
    match Format::from_code(device.format) {
        Some(format) => Ok(Some(format)),
        None => Err(OperationError::plain(
            error_kind::BAD_CONFIG,
            index,
            "the forced format has an unknown number",
        )),
    }
}

impl Opener<'_> {
    fn device(&self, index: u32) -> Result<&ChainDevice, OperationError> {
        devices(self.chain)
            .find(|(found, _)| *found == index)
            .map(|(_, device)| device)
            .ok_or(OperationError::plain(
                error_kind::BAD_CONFIG,
                index,
                "there is no such device",
            ))
    }

    /// The bytes of one device.
    pub fn source_of(&self, index: u32) -> Result<DeviceSource, OperationError> {
        let size = self.device(index)?.file_size;
        Ok(DeviceSource::new(
            self.commands,
            &self.metadata_window,
            index,
            size,
        ))
    }

    /// Opens one device as an image, whatever snapshot of it was chosen.
    pub fn open_itself(&self, index: u32) -> Result<GuestImage, OperationError> {
        let device = self.device(index)?;
        let source = self.source_of(index)?;
        let format = forced_format(index, device)?;
        let streams = self.commands.borrow().streams();
        streams.borrow_mut().begin(&self.metadata_window);
        let options = OpenOptions {
            unpacked: streams.borrow().known_size(index),
            most_unpacked: self.most_unpacked,
            window: largest_window(),
            ..OpenOptions::default()
        };
        let mut image = DiskImage::open(source, DeviceIndex(index), format, options)?;
        if let Some(unpacked) = image.unpacked() {
            streams.borrow_mut().remember(index, unpacked);
        }
        if let Some((data_index, data)) = child(self.chain, index, device_role::DATA_FILE) {
            image.attach_data_file(DeviceIndex(data_index), data.file_size)?;
        }
        let extents = devices(self.chain)
            .filter(|(_, device)| device.role == device_role::EXTENT && device.parent == index);
        for (number, (extent, _)) in extents.enumerate() {
            let source = Box::new(self.source_of(extent)?);
            image.attach_extent(number, DeviceIndex(extent), source)?;
        }
        Ok(image)
    }

    /// Opens one device as an image, or as the snapshot of it that was chosen.
    pub fn open(&self, index: u32) -> Result<GuestImage, OperationError> {
        let mut image = self.open_itself(index)?;
        if self.find(device_role::IMAGE) == Some(index)
            && let Some(choice) = chosen_snapshot(&self.chain.snapshot)
        {
            image.select_snapshot(choice, DeviceIndex(index))?;
        }
        Ok(image)
    }

    /// The device of a role, if there is one.
    pub fn find(&self, role: u32) -> Option<u32> {
        devices(self.chain)
            .find(|(_, device)| device.role == role)
            .map(|(index, _)| index)
    }

    /// The device of a role.
    pub fn index_of(&self, role: u32) -> Result<u32, OperationError> {
        self.find(role).ok_or(OperationError::plain(
            error_kind::BAD_CONFIG,
            0,
            "no device is the image",
        ))
    }

    /// The devices of a role, one at least.
    pub fn all_of(&self, role: u32) -> Result<Vec<u32>, OperationError> {
        self.index_of(role)?;
        let of_role = devices(self.chain).filter(|(_, device)| device.role == role);
        Ok(of_role.map(|(index, _)| index).collect())
    }

    /// Opens the image of a role and everything below it.
    pub fn open_all(&self, role: u32) -> Result<Chain<GuestImage>, OperationError> {
        self.open_from(self.index_of(role)?)
    }

    /// Opens the image in a device and everything below it.
    pub fn open_from(&self, index: u32) -> Result<Chain<GuestImage>, OperationError> {
        let depth = usize::try_from(self.chain.max_depth).unwrap_or(usize::MAX);
        let mut chain = Chain::new(depth);
        let mut index = index;
        loop {
            let mut image = self.open(index)?;
            // Who opens an image alone describes or checks it, which takes no key.
            unlock(&mut image, index, self.chain, &self.keys)?;
            if let Some(above) = chain.layers().last() {
                image.require_child(above)?;
            }
            let named = image.backing_name().is_some();
            chain.push(image, DeviceIndex(index))?;
            if !named {
                return Ok(chain);
            }
            match child(self.chain, index, device_role::BACKING) {
                Some((below, _)) => index = below,
                None => {
                    let detail = "the image has a backing file that was not opened";
                    return Err(OperationError::plain(
                        error_kind::BACKING_MISSING,
                        index,
                        detail,
                    ));
                }
            }
        }
    }
}

/// The size that the operation works with: what the image in a device says, unless the config forces another.
pub fn virtual_size(config: &ChainConfig, index: u32, chain: &Chain<GuestImage>) -> u64 {
    devices(config)
        .find(|(found, device)| *found == index && device.flags & device_flag::FORCE_SIZE != 0)
        .map_or_else(|| chain.virtual_size(), |(_, device)| device.virtual_size)
}
