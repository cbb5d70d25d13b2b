//! Links a freestanding program: no start files, no C library, fixed addresses.

use std::path::Path;

fn main() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-runtime/guest.ld");
    let start = instar_abi::SANDBOX_HELPER_ADDR;
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
