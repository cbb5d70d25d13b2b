//! Names that go with their environment: a worker thread that is terminated runs no JavaScript any more.

use std::cell::RefCell;
use std::collections::HashMap;

use instar_env_hook::EnvHook;
use napi::bindgen_prelude::Buffer;
use napi::Env;
use napi_derive::napi;
use rustix::fs::{self, AtFlags};

/// A directory and a name in it.
type Entry = (i32, Vec<u8>);

thread_local! {
    /// Hooks of the environment that lives on this thread.
    static HOOKS: RefCell<HashMap<u32, EnvHook<Entry>>> = RefCell::default();
}

/// Removes a name, relative to a directory that stays open, when this environment ends, unless it is kept before.
/// Returns a number for `keep_name`.
#[napi(catch_unwind)]
pub fn remove_name_at_end(env: Env, dir: i32, name: Buffer) -> napi::Result<u32> {
    // Node closes the files of an environment after these hooks, so that the directory is still the same.
    let hook = EnvHook::add(&env, (dir, name.to_vec()), |(dir, name)| {
        // It is gone, or cannot be removed: nobody is left to be told.
        let _ = fs::unlinkat(crate::borrowed(dir), name.as_slice(), AtFlags::empty());
    })?;
    Ok(HOOKS.with_borrow_mut(|hooks| {
        let free = hooks.keys().max().map_or(1, |most| most.wrapping_add(1));
        hooks.insert(free, hook);
        free
    }))
}

/// Takes back what `remove_name_at_end` promised.
#[napi(catch_unwind)]
pub fn keep_name(env: Env, number: u32) -> napi::Result<()> {
    match HOOKS.with_borrow_mut(|hooks| hooks.remove(&number)) {
        Some(hook) => hook.remove(&env).map(drop),
        None => Ok(()),
    }
}
