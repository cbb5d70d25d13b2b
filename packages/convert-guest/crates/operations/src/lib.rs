//! What a guest does with images: *info*, *convert* (with the dd window), *map*, *check*, *compare*, *edit* and *bench*, over the formats of
//! `instar-image-formats` and the ring of `instar-guest-runtime`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod batch;
mod bench;
mod check;
mod cluster_writer;
mod commands;
mod compare;
mod convert;
mod decode;
mod device_source;
mod disk_reader;
mod disks;
mod edit;
mod edit_content;
mod edited_file;
mod error;
mod fetch;
mod file_comparison;
mod grow_overlay;
mod holes;
mod info;
mod joined;
mod key_slots;
mod lost;
mod map;
mod measure;
mod open_chain;
mod operation;
mod output;
mod output_cipher;
mod overlay;
mod packed_streams;
mod packer;
mod rebase;
mod record_writer;
mod setup;
mod side_by_side;
mod text;
mod transform;
mod unlock;
mod zeros;

use instar_abi::{
    BENCH_CONFIG_MAGIC, CHECK_CONFIG_MAGIC, COMPARE_CONFIG_MAGIC, CONVERT_CONFIG_MAGIC,
    EDIT_CONFIG_MAGIC, EXIT_ERROR, INFO_CONFIG_MAGIC, MAP_CONFIG_MAGIC,
};
use instar_guest_runtime::{Ring, WindowPool, chain_config, operation_config};

use crate::commands::{Commands, SharedCommands};
use crate::operation::Request;

/// Runs the operation whose config stands in the config page, leaves its result in the result region, and asks for the
/// next, until none comes. Returns the exit code of the guest: that of the last operation.
pub fn run(ring: Ring) -> u32 {
    let commands = Commands::new(ring).shared();
    let streams = commands.borrow().streams();
    loop {
        // Everything of the last operation is gone, and so nobody holds a window.
        let Some(windows) = WindowPool::open() else {
            return EXIT_ERROR;
        };
        let code = operate(&commands, windows);
        streams.borrow_mut().end();
        if !commands.borrow_mut().next_request() {
            return code;
        }
    }
}

fn operate(commands: &SharedCommands, windows: WindowPool) -> u32 {
    let config = operation_config();
    let chain = chain_config();
    let [a, b, c, d, ..] = config;
    let request = Request {
        config: &config,
        chain: &chain,
        commands,
        windows,
    };
    match u32::from_le_bytes([a, b, c, d]) {
        CONVERT_CONFIG_MAGIC => request.answer(convert::convert),
        CHECK_CONFIG_MAGIC => request.answer(check::check),
        COMPARE_CONFIG_MAGIC => request.answer(compare::compare),
        EDIT_CONFIG_MAGIC => request.answer(edit::edit),
        MAP_CONFIG_MAGIC => request.answer(map::map),
        INFO_CONFIG_MAGIC => request.answer(info::look),
        BENCH_CONFIG_MAGIC => request.answer(bench::bench),
        _ => EXIT_ERROR,
    }
}
