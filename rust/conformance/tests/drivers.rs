//! A right driver passes, and each broken one is found. `make capi-test` makes the library that they are linked with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The static library. `None`: skip, but not where all must be there.
fn library() -> Option<PathBuf> {
    let program = std::env::current_exe().unwrap();
    let library = program.parent().unwrap().parent().unwrap().join("capi/libdbrewind.a");
    if !library.exists() {
        assert!(std::env::var_os("CI").is_none(), "the C library (make capi-test) is missing");
        eprintln!("SKIPPED: the C library (make capi-test) is missing");
        return None;
    }
    Some(library)
}

fn tried(driver: &Path, rounds: u32) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dbrewind-conformance"));
    command.arg(driver).args(["--rounds", &rounds.to_string()]).output().unwrap()
}

fn driver(folder: &Path, library: &Path, broken: u32) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = folder.join(format!("driver{broken}.so"));
    let mut command = Command::new("cc");
    command.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC"]);
    command.arg(format!("-DBROKEN={broken}")).arg("-I").arg(root.join("../../include"));
    command.arg(root.join("tests/driver.c")).arg("-o").arg(&out).arg(library);
    let done = command.args(["-lpthread", "-ldl", "-lm", "-lgcc_s"]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    out
}

#[test]
fn a_right_driver_passes() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = tried(&driver(folder.path(), &library, 0), 2);
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), 5, "{said}");
}

#[test]
fn broken_drivers_are_found() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    for broken in 1..=5 {
        let out = tried(&driver(folder.path(), &library, broken), 1);
        let said = String::from_utf8_lossy(&out.stdout);
        assert_eq!(out.status.code(), Some(1), "broken on purpose, number {broken}: {said}");
        assert!(said.contains("FAIL "), "{said}");
    }
}

#[test]
fn what_is_no_driver_is_refused() {
    for path in ["/nowhere.so", "/etc/passwd"] {
        let out = tried(Path::new(path), 1);
        assert_eq!(out.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&out.stderr).contains("is no driver"));
    }
}
