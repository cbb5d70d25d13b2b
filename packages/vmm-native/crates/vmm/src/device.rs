//! The host files that a run may touch.

use std::os::fd::RawFd;

/// What may be done with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only ever read.
    Input,
    /// Written at any offset within the limit.
    Output,
    /// Written at consecutive offsets only (a pipe).
    StreamOutput,
}

/// One host file. The descriptor belongs to the caller and stays open for the whole run.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    /// Open descriptor.
    pub fd: RawFd,
    /// What may be done with it.
    pub access: Access,
    /// Bytes: readable bytes of an input, the limit of an output.
    pub size: u64,
    /// An output whose unwritten bytes are allocated and read as zeros.
    pub fresh: bool,
}

/// The devices of a run, by the index that descriptors use.
#[derive(Clone, Debug, Default)]
pub struct DeviceTable {
    devices: Vec<Device>,
}

impl DeviceTable {
    /// A table in the order of the chain config.
    pub fn new(devices: Vec<Device>) -> Self {
        Self { devices }
    }

    /// The device of an index.
    pub fn get(&self, index: u32) -> Option<&Device> {
        usize::try_from(index).ok().and_then(|index| self.devices.get(index))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// Whether commands must run one after the other, in the order of the ring.
    pub fn needs_order(&self) -> bool {
        self.devices.iter().any(|device| device.access == Access::StreamOutput)
    }
}
