//! The host files that a run may touch.

use std::os::fd::RawFd;
use std::sync::{PoisonError, RwLock};

/// What may be done with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only ever read.
    Input,
    /// Written at any offset within the limit.
    Output,
    /// Written at consecutive offsets only (a pipe).
    StreamOutput,
    /// Read, and written at any offset within the limit.
    Edited,
}

impl Access {
    /// Whether a device may be read.
    pub fn reads(self) -> bool {
        matches!(self, Access::Input | Access::Edited)
    }

    /// Whether it may be written.
    pub fn writes(self) -> bool {
        self != Access::Input
    }
}

/// One host file. The descriptor belongs to the caller and stays open for the whole run.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    /// Open descriptor.
    pub fd: RawFd,
    /// What may be done with it.
    pub access: Access,
    /// Bytes: readable bytes of an input, the limit of an output and of an edited device.
    pub size: u64,
    /// An output whose unwritten bytes are allocated and read as zeros.
    pub fresh: bool,
    /// Undo log of an edited device, which was begun for it.
    pub log: Option<RawFd>,
}

/// The devices of a run, by the index that descriptors use.
#[derive(Debug, Default)]
pub struct DeviceTable {
    /// Only ever appended to: an index means the same device for the whole run.
    devices: RwLock<Vec<Device>>,
}

impl DeviceTable {
    /// A table in the order of the chain config.
    pub fn new(devices: Vec<Device>) -> Self {
        Self { devices: RwLock::new(devices) }
    }

    /// The device of an index.
    pub fn get(&self, index: u32) -> Option<Device> {
        let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        usize::try_from(index).ok().and_then(|index| devices.get(index).copied())
    }

    /// All of them.
    pub fn all(&self) -> Vec<Device> {
        self.devices.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds devices behind those that there are.
    pub fn append(&self, devices: &[Device]) {
        self.devices.write().unwrap_or_else(PoisonError::into_inner).extend_from_slice(devices);
    }

    /// Whether commands must run one after the other, in the order of the ring.
    pub fn needs_order(&self) -> bool {
        self.all().iter().any(|device| device.access == Access::StreamOutput)
    }
}
