//! Hooks that run when an environment of node ends: a worker thread is terminated, or the process exits.
//!
//! Those of the `napi` crate keep what they were given for ever once they are removed. A run of a guest has one, and a process
//! makes millions of runs.

use std::cell::Cell;
use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;

use napi::{check_status, sys, Env};

/// What is done with a value.
type Action<T> = fn(T);

/// The value, until the hook has run or was removed.
struct Held<T> {
    value: Cell<Option<(T, Action<T>)>>,
}

/// A hook that was added. Dropped, it stays added. It belongs to the thread of its environment.
pub struct EnvHook<T: 'static> {
    held: Rc<Held<T>>,
}

impl<T: 'static> EnvHook<T> {
    /// Has `action` called with `value` on this thread when the environment ends; of several hooks, the last comes first.
    ///
    /// # Errors
    /// Where node refuses.
    pub fn add(env: &Env, value: T, action: Action<T>) -> napi::Result<Self> {
        let held = Rc::new(Held { value: Cell::new(Some((value, action))) });
        let data = Rc::into_raw(Rc::clone(&held));
        // SAFETY: the environment is that of the caller. `data` is a count of the value, which `run` takes back when node calls it,
        // and `remove` where node will not any more; a value of its own for each hook, so that node can tell them apart.
        let status = unsafe { sys::napi_add_env_cleanup_hook(env.raw(), Some(run::<T>), data.cast_mut().cast()) };
        if status != sys::Status::napi_ok {
            // SAFETY: node has not taken the count.
            drop(unsafe { Rc::from_raw(data) });
        }
        check_status!(status)?;
        Ok(Self { held })
    }

    /// Takes the value back: nothing is called any more. `None` where the hook has run.
    ///
    /// # Errors
    /// Where node refuses; the hook stays.
    pub fn remove(self, env: &Env) -> napi::Result<Option<T>> {
        let Some(value) = self.held.value.take() else { return Ok(None) };
        let data = Rc::as_ptr(&self.held);
        // SAFETY: the same function and data as in `add`.
        let status = unsafe { sys::napi_remove_env_cleanup_hook(env.raw(), Some(run::<T>), data.cast_mut().cast()) };
        if status != sys::Status::napi_ok {
            self.held.value.set(Some(value));
            return check_status!(status).map(|()| None);
        }
        // SAFETY: the count that `add` gave to node, which calls `run` no more; it has not, or the value would not have been there.
        drop(unsafe { Rc::from_raw(data) });
        Ok(Some(value.0))
    }
}

/// # Safety
/// `data` must be a count of a `Held<T>` that nobody else takes back.
unsafe extern "C" fn run<T: 'static>(data: *mut c_void) {
    // SAFETY: the caller's promise.
    let held = unsafe { Rc::from_raw(data.cast_const().cast::<Held<T>>()) };
    if let Some((value, action)) = held.value.take() {
        // No panic leaves a function of C; nobody is left to be told of one.
        let _ = catch_unwind(AssertUnwindSafe(|| action(value)));
    }
}
