//! For build scripts: links a freestanding program, without start files and C library, at a fixed address.

use std::path::Path;

/// Prints the linker arguments of a guest, whose first byte is to lie at `start`.
pub fn link_guest_at(start: u64) {
    link("guest.ld", start);
}

/// The same for the sandbox helper, which nobody debugs from a dump.
pub fn link_helper_at(start: u64) {
    link("helper.ld", start);
}

fn link(script: &str, start: u64) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let arguments = [
        "-nostartfiles".to_string(),
        "-nostdlib".to_string(),
        "-static".to_string(),
        "-no-pie".to_string(),
        "-Wl,--build-id=none".to_string(),
        "-Wl,--no-eh-frame-hdr".to_string(),
        "-Wl,-z,norelro".to_string(),
        "-Wl,--gc-sections".to_string(),
        format!("-Wl,--defsym=IMAGE_START={start:#x}"),
        format!("-Wl,-T,{}", script.display()),
    ];
    for argument in arguments {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rerun-if-changed={}", script.display());
}
