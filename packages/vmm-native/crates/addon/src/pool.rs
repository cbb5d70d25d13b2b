//! Kept sandboxes.

use std::sync::Arc;

use instar_vmm::pool::Pool;
use napi::bindgen_prelude::Object;
use napi::{Env, Error, Status};
use napi_derive::napi;

use crate::options::{PoolOptions, PoolRunOptions, PoolStatistics, RunReport};
use crate::teardown::Token;
use crate::{failure, on_thread, promise, settle, Pending, RunControl};

/// Sandboxes for runs of one guest image, each restored after a run that ended cleanly, and destroyed after any other.
#[napi]
pub struct SandboxPool {
    pool: Arc<Pool>,
}

/// A promise that is settled, whatever becomes of the run, before its environment may go.
struct Delivery {
    pending: Arc<Pending<RunReport>>,
    _token: Token,
}

impl Drop for Delivery {
    fn drop(&mut self) {
        // Does nothing where a report was delivered.
        settle(&self.pending, Err(failure("INTERNAL", "a sandbox's thread panicked; this is a bug")));
    }
}

#[napi]
impl SandboxPool {
    /// An empty pool: sandboxes are made when they are first needed.
    #[napi(constructor)]
    pub fn new(env: &Env, options: PoolOptions) -> napi::Result<Self> {
        let options = options.to_options().map_err(|text| Error::new(Status::InvalidArg, text))?;
        let pool = Arc::new(Pool::new(options));
        // The runs of the environment have ended when this comes: hooks run in the opposite order.
        env.add_env_cleanup_hook(Arc::downgrade(&pool), |pool| {
            if let Some(pool) = pool.upgrade() {
                pool.close();
            }
        })?;
        Ok(Self { pool })
    }

    /// Runs a guest in a kept sandbox, as `runGuest` does in a new one. A run of one request may wait for others to end.
    #[napi(catch_unwind, ts_return_type = "Promise<RunReport>")]
    pub fn run<'env>(
        &self,
        env: &'env Env,
        options: PoolRunOptions,
        control: &RunControl,
    ) -> napi::Result<Object<'env>> {
        let control = Arc::clone(&control.control);
        let (pending, token, promise) = promise(env, Arc::clone(&control))?;
        let delivery = Delivery { pending, _token: token };
        let deliver = move |done: Result<instar_vmm::report::Report, instar_vmm::run::StartError>| {
            settle(
                &delivery.pending,
                done.map(RunReport::from).map_err(|error| failure(error.code(), error.to_string())),
            );
        };
        let job = options.to_job(control, Box::new(deliver)).map_err(|text| Error::new(Status::InvalidArg, text))?;
        self.pool.submit(job);
        Ok(promise)
    }

    /// Begins to make a sandbox for the next run, on a thread of its own. What fails, that run tells.
    #[napi]
    pub fn prepare(&self) {
        self.pool.prepare();
    }

    /// Gives back the sandboxes that wait for a run; resolves when they are gone. Others go when their runs have ended.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let pool = Arc::clone(&self.pool);
        on_thread(env, "instar-close", Arc::default(), move |pending| {
            pool.close();
            settle(pending, Ok(()));
        })
    }

    /// What the pool has done so far.
    #[napi]
    pub fn statistics(&self) -> PoolStatistics {
        self.pool.statistics().into()
    }
}
