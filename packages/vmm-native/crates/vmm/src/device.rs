//! The host files that a run may touch.

use std::os::fd::RawFd;
use std::sync::{Arc, PoisonError, RwLock};

use crate::files;
use crate::remote::RemoteDevice;

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

/// The undo log of an edited device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceLog {
    /// Its descriptor: the same where two devices have one log.
    pub fd: RawFd,
    /// Number of the device's file in it.
    pub file: u32,
}

/// One host file, or what is in its place. The descriptor belongs to the caller and stays open for the whole run.
#[derive(Clone, Debug)]
pub struct Device {
    /// Open descriptor; -1 of a device that is no file.
    pub fd: RawFd,
    /// What may be done with it.
    pub access: Access,
    /// Bytes: readable bytes of an input, the limit of an output and of an edited device.
    pub size: u64,
    /// An output whose unwritten bytes are allocated and read as zeros.
    pub fresh: bool,
    /// Undo log of an edited device, which was begun for it.
    pub log: Option<DeviceLog>,
    /// Who answers in the place of a file: of an input its reads, of a stream its writes.
    pub remote: Option<Arc<RemoteDevice>>,
}

impl Device {
    /// Fills `target` from `offset` on; the end of the device before that is `EIO`.
    ///
    /// # Safety
    /// `target` must be valid for writes of `length` bytes.
    pub unsafe fn read_exact(
        &self,
        target: *mut u8,
        length: u64,
        offset: u64,
        stopped: &dyn Fn() -> bool,
    ) -> std::io::Result<()> {
        match &self.remote {
            // SAFETY: the caller's promise.
            Some(remote) => unsafe { remote.read(target, length, offset, stopped) },
            // SAFETY: the caller's promise.
            None => unsafe { files::read_exact_raw(self.fd, target, length, offset) },
        }
    }
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
        usize::try_from(index).ok().and_then(|index| devices.get(index).cloned())
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
