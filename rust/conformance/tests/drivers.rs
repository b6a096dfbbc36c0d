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

/// How many ways each engine of this folder can be broken in.
const ENGINES: [(&str, u32); 2] = [("driver", 5), ("keyed_driver", 7)];

fn driver(folder: &Path, library: &Path, name: &str, broken: u32) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = folder.join(format!("{name}{broken}.so"));
    let mut command = Command::new("cc");
    command.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC"]);
    command.arg(format!("-DBROKEN={broken}")).arg("-I").arg(root.join("../../include"));
    command.arg(root.join("tests").join(name).with_extension("c")).arg("-o").arg(&out).arg(library);
    let done = command.args(["-lpthread", "-ldl", "-lm", "-lgcc_s"]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    out
}

#[test]
fn right_drivers_pass() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, _) in ENGINES {
        let out = tried(&driver(folder.path(), &library, name, 0), 2);
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "{name}: {said}");
        assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), 5, "{name}: {said}");
    }
}

#[test]
fn broken_drivers_are_found() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, broken) in
        ENGINES.iter().flat_map(|(name, ways)| (1..=*ways).map(move |broken| (name, broken)))
    {
        let out = tried(&driver(folder.path(), &library, name, broken), 1);
        let said = String::from_utf8_lossy(&out.stdout);
        assert_eq!(out.status.code(), Some(1), "{name}, broken on purpose, number {broken}: {said}");
        assert!(said.contains("FAIL "), "{said}");
    }
}

#[test]
fn a_driver_that_hangs_leaves_no_process() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = driver(folder.path(), &library, "driver", 6);
    let mut command = Command::new(env!("CARGO_BIN_EXE_dbrewind-conformance"));
    let out = command.arg(&path).args(["--rounds", "1", "--seconds", "1"]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.code() == Some(1) && said.contains("not done after 1 s"), "{said}");
    // Killed, but perhaps not gone yet.
    for _ in 0..500 {
        if !is_in_use(&path) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("a process of it is left");
}

/// Whether a process has this file among its arguments.
fn is_in_use(path: &Path) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap();
    let mut arguments =
        processes.filter_map(|process| std::fs::read(process.unwrap().path().join("cmdline")).ok());
    arguments.any(|text| String::from_utf8_lossy(&text).contains(&*path.to_string_lossy()))
}

#[test]
fn what_is_no_driver_is_refused() {
    for path in ["/nowhere.so", "/etc/passwd"] {
        let out = tried(Path::new(path), 1);
        assert_eq!(out.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&out.stderr).contains("is no driver"));
    }
}
