//! Devices that JavaScript answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use instar_vmm::remote::{Question, RemoteDevice as Device};
use napi::bindgen_prelude::{BigInt, Buffer, Uint8Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Error, Status};
use napi_derive::napi;

use crate::options::to_u64;

/// What JavaScript is asked.
#[napi(object)]
pub struct RemoteQuestion {
    /// For the answer.
    pub number: BigInt,
    /// First byte.
    pub offset: BigInt,
    /// Bytes that are to be read; absent of a write.
    pub length: Option<BigInt>,
    /// Bytes that are to be taken; absent of a read.
    pub bytes: Option<Buffer>,
}

/// Weak: a question keeps node no more alive than the run does that asks it.
type Asks = ThreadsafeFunction<RemoteQuestion, (), RemoteQuestion, Status, false, true>;

static NEXT: AtomicU32 = AtomicU32::new(1);

/// By the number that options of devices use; a device goes with its object and the runs that use it.
static DEVICES: LazyLock<Mutex<HashMap<u32, Weak<Device>>>> = LazyLock::new(Mutex::default);

fn devices() -> MutexGuard<'static, HashMap<u32, Weak<Device>>> {
    DEVICES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The device of a number.
pub fn find(number: u32) -> Result<Arc<Device>, String> {
    devices().get(&number).and_then(Weak::upgrade).ok_or_else(|| format!("there is no remote device {number}"))
}

/// A device whose reads, or writes, JavaScript answers: each question once, by its number.
#[napi]
pub struct RemoteDevice {
    /// None once it was closed.
    device: Option<Arc<Device>>,
    number: u32,
}

#[napi]
impl RemoteDevice {
    /// A device that `ask` is called for. What is not answered within `timeout_ms` is ETIMEDOUT.
    #[napi(constructor, ts_args_type = "ask: (question: RemoteQuestion) => void, timeoutMs: number")]
    pub fn new(ask: Asks, timeout_ms: u32) -> Self {
        let asks = move |number: u64, question: Question| {
            let number = BigInt::from(number);
            let question = match question {
                Question::Read { offset, length } => {
                    RemoteQuestion { number, offset: offset.into(), length: Some(length.into()), bytes: None }
                }
                Question::Write { offset, bytes } => {
                    RemoteQuestion { number, offset: offset.into(), length: None, bytes: Some(bytes.into()) }
                }
            };
            ask.call(question, ThreadsafeFunctionCallMode::NonBlocking) == Status::Ok
        };
        let device = Arc::new(Device::new(asks, Duration::from_millis(u64::from(timeout_ms))));
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        devices().insert(number, Arc::downgrade(&device));
        Self { device: Some(device), number }
    }

    /// What `DeviceOptions.remote` names it by.
    #[napi(getter)]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The bytes of a read, as many as were asked for; none for a write that was carried out.
    #[napi]
    pub fn answer(&self, number: BigInt, bytes: Option<Uint8Array>) -> napi::Result<()> {
        let number = to_u64(&number, "number").map_err(|text| Error::new(Status::InvalidArg, text))?;
        if let Some(device) = &self.device {
            device.answer(number, Ok(bytes.map(|bytes| bytes.to_vec()).unwrap_or_default()));
        }
        Ok(())
    }

    /// It cannot be done: `errno` is an error number of the system.
    #[napi]
    pub fn fail(&self, number: BigInt, errno: i32) -> napi::Result<()> {
        let number = to_u64(&number, "number").map_err(|text| Error::new(Status::InvalidArg, text))?;
        if let Some(device) = &self.device {
            device.answer(number, Err(errno));
        }
        Ok(())
    }

    /// Lets `ask` and all that hangs on it go. A run that goes on gets no answer any more.
    #[napi]
    pub fn close(&mut self) {
        devices().remove(&self.number);
        self.device = None;
    }
}

impl Drop for RemoteDevice {
    fn drop(&mut self) {
        devices().remove(&self.number);
    }
}
