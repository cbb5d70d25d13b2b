//! A host without room for another thread ends the run, and the process goes on.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use instar_vmm::device::DeviceTable;
use instar_vmm::report::Outcome;
use instar_vmm::run::{run, Control, RunOptions, Sandbox};
use instar_vmm::watchdog::Limits;
use support::{skip, ImageParts};

const INNER: &str = "INSTAR_TEST_NO_THREADS";
const NAME: &str = "a_run_that_gets_no_thread_is_an_error_of_the_host";
/// More address space than a 47-bit process has: no stack can be mapped.
const HUGE_STACK: &str = "140737488355328";

#[test]
fn a_run_that_gets_no_thread_is_an_error_of_the_host() {
    if let Err(reason) = instar_vmm::kvm::probe() {
        return skip(&format!("no KVM here: {reason}"));
    }
    if std::env::var_os(INNER).is_some() {
        return run_without_threads();
    }
    // Every thread but the first gets a stack of this size, and so none can be started: the harness, too, must work on
    // the first one.
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--test-threads=1"])
        .env(INNER, "1")
        .env("RUST_MIN_STACK", HUGE_STACK)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("a run without threads hangs");
}

fn run_without_threads() {
    let image = ImageParts::good().bytes();
    let options = RunOptions {
        image: &image,
        chain_config: &[],
        secrets: &[],
        key_memory: 0,
        operation_config: &[],
        devices: &DeviceTable::default(),
        session: false,
        second: false,
        trace: None,
        limits: Limits::default(),
        sandbox: Sandbox::Kvm,
        helper: Path::new("/nonexistent"),
        io_threads: 2,
        dump: None,
    };
    let outcome = run(&options, &Control::default(), |report| report.unwrap().outcome);
    assert!(matches!(outcome, Outcome::HostError(_)), "{outcome:?}");
}
