//! Ends what goes on when its environment is torn down: a worker thread is terminated, or the process exits. Node closes
//! the files of a worker right after the hooks here, and gives their numbers to other files.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use instar_env_hook::EnvHook;
use napi::Env;

/// Work on a thread of its own, as its environment sees it.
struct Work {
    abandon: Box<dyn Fn() + Send + Sync>,
    ended: Mutex<bool>,
    end: Condvar,
}

impl Work {
    fn wait(&self) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.end.wait_while(ended, |ended| !*ended).unwrap_or_else(PoisonError::into_inner));
    }
}

thread_local! {
    /// Hooks of the environment that lives on this thread.
    static HOOKS: RefCell<HashMap<u64, EnvHook<Arc<Work>>>> = RefCell::default();
}

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Belongs to the thread that does the work: tells that it has ended when it is dropped.
pub struct Token(Arc<Work>);

impl Drop for Token {
    fn drop(&mut self) {
        *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.end.notify_all();
    }
}

/// Lets a teardown call `abandon` and wait until the token is gone. Call it after everything that the work uses of the
/// environment was made: hooks run in the opposite order.
/// Returns the token, and a number for [`unwatch`].
pub fn watch(env: &Env, abandon: impl Fn() + Send + Sync + 'static) -> napi::Result<(Token, u64)> {
    let work = Arc::new(Work { abandon: Box::new(abandon), ended: Mutex::new(false), end: Condvar::new() });
    let hook = EnvHook::add(env, Arc::clone(&work), |work| {
        (work.abandon)();
        work.wait();
    })?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    HOOKS.with_borrow_mut(|hooks| hooks.insert(number, hook));
    Ok((Token(work), number))
}

/// The work has ended by itself. On the thread of its environment.
pub fn unwatch(env: &Env, number: u64) -> napi::Result<()> {
    match HOOKS.with_borrow_mut(|hooks| hooks.remove(&number)) {
        Some(hook) => hook.remove(env).map(drop),
        None => Ok(()),
    }
}
