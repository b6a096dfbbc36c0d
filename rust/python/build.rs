//! Has cargo build `libdbrewind_preload.so`, which goes into the wheel beside this library (`pyproject.toml`): other programs load it, so
//! it contains no SQLite; built in one go with this library it would contain the one of the keeper.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

const NAME: &str = "libdbrewind_preload.so";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_PRELOAD").is_none() {
        return Ok(());
    }
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../..");
    for part in [
        "Cargo.toml",
        "Cargo.lock",
        "rust/preload",
        "rust/sqlite/Cargo.toml",
        "rust/sqlite/src",
        "rust/core/Cargo.toml",
        "rust/core/src",
    ] {
        println!("cargo:rerun-if-changed={}", root.join(part).display());
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let target = std::env::var("TARGET")?;
    let is_release = std::env::var("PROFILE")? == "release";
    // A folder of its own: cargo has locked the one that this is built in.
    let folder = out.join("target");
    let mut cargo = Command::new(std::env::var("CARGO")?);
    cargo
        .current_dir(&root)
        .args(["build", "--package", "dbrewind-preload", "--target", &target, "--target-dir"])
        .arg(&folder);
    if is_release {
        cargo.arg("--release");
    }
    // As maturin does with the library beside.
    cargo.env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    if !cargo.status()?.success() {
        return Err(format!("{NAME} cannot be built").into());
    }
    let built = folder.join(target).join(if is_release { "release" } else { "debug" }).join(NAME);
    std::fs::copy(built, out.join(NAME))?;
    Ok(())
}
