//! Links the C archive that the crate `libdeflate-sys` has compiled.
//!
//! That crate's own Rust code uses std, so loading it would give the freestanding guest a second
//! panic handler. Its build script says where the archive lies, and that is all that is needed.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DEP_LIBDEFLATE_ROOT");
    if let Some(root) = std::env::var_os("DEP_LIBDEFLATE_ROOT") {
        let archive = std::path::Path::new(&root).join("lib");
        println!("cargo:rustc-link-search=native={}", archive.display());
    }
    println!("cargo:rustc-link-lib=static=deflate");
}
