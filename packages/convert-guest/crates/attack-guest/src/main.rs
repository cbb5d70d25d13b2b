//! A guest that attacks its sandbox. It is never shipped: tests run it and compare what becomes of each attack with a
//! table of expectations.
//!
//! An attack is a function that tries one thing. Where it gets away with it, it returns, and what it returns is the
//! guest's exit code; so an attack that must be stopped shows up as an exit instead of the fault that was expected.
#![no_std]
#![no_main]

extern crate alloc;

mod config;
mod control_flow;
mod entry;
mod items;
mod leave;
mod limits;
mod memory;
mod ports;
mod privileged;
mod raw_ring;
mod results;
mod ring;
mod second;
mod syscalls;
mod table;
mod unprivileged;

use config::Config;

/// Exit code of an attack whose target did not behave: the guest was let through where it must not be.
pub const PIERCED: u32 = 99;
/// Exit code for a config page without an attack, or with an unknown number.
const NO_ATTACK: u32 = 98;

fn main() -> u32 {
    Config::read()
        .and_then(|config| table::find(config.number()).map(|attack| attack(&config)))
        .unwrap_or(NO_ATTACK)
}
