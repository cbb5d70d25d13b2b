//! Links the C archives that the crates `libdeflate-sys` and `lzfse-sys` have compiled.
//!
//! The Rust code of the first uses std, so loading it would give the freestanding guest a second panic handler; that of the
//! second is but bindings. Their build scripts say where the archives lie, and that is all that is needed.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for (variable, archive) in [
        ("DEP_LIBDEFLATE_ROOT", "deflate"),
        ("DEP_LZFSE_ROOT", "lzfse"),
    ] {
        println!("cargo:rerun-if-env-changed={variable}");
        if let Some(root) = std::env::var_os(variable) {
            let folder = std::path::Path::new(&root).join("lib");
            println!("cargo:rustc-link-search=native={}", folder.display());
        }
        println!("cargo:rustc-link-lib=static={archive}");
    }
}
