//! Runs a guest image in a sandbox and executes the commands of its ring.
//!
//! The guest decides, the host moves: nothing here knows an image format. A guest asks for bounded reads, writes and
//! copies on descriptors that the caller opened, every request is checked from a private copy, and whatever the guest
//! does ends as a [`report::Report`].

mod attendant;
pub mod budget;
pub mod comparison;
pub mod cpu_clock;
pub mod descriptor;
pub mod device;
pub mod dump;
pub mod executor;
pub mod files;
pub mod gate;
pub mod guest_image;
pub mod item_stubs;
pub mod items;
pub mod kvm;
pub mod ledger;
pub mod memory;
pub mod pace;
pub mod pool;
pub mod process;
pub mod remote;
pub mod report;
pub mod ring;
pub mod run;
pub mod session;
pub mod startup;
pub mod stream;
pub mod trace;
pub mod undo;
pub mod watchdog;
