//! Compilers and the programs that they make, with the libraries that `make capi-test` has made.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) const STRICT: [&str; 5] = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-g"];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// `target/debug`.
pub(crate) fn built() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.parent().unwrap().parent().unwrap().to_owned()
}

/// The folder of the two libraries. `None`: skip.
pub(crate) fn libraries() -> Option<PathBuf> {
    let folder = built().join("capi");
    here(folder.join("libdbrewind.a").exists(), "the C library (make capi-test)").then_some(folder)
}

/// Whether something is there; where all must be, it has to.
pub(crate) fn here(there: bool, what: &str) -> bool {
    if !there {
        assert!(std::env::var_os("CI").is_none(), "{what} is missing");
        eprintln!("SKIPPED: {what} is missing");
    }
    there
}

pub(crate) fn has(tool: &str) -> bool {
    here(Command::new(tool).arg("--version").output().is_ok_and(|out| out.status.success()), tool)
}

pub(crate) fn run(command: &mut Command) -> Output {
    let out = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (said, wrong) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{command:?}: {}\n{said}\n{wrong}", out.status);
    out
}

pub(crate) fn compiler(language: &str) -> Command {
    let mut command = Command::new(if language.starts_with("c++") { "c++" } else { "cc" });
    command.arg(format!("-std={language}")).args(STRICT);
    if language.starts_with("c++") {
        command.args(["-x", "c++"]);
    }
    command.arg("-I").arg(root().join("include"));
    command
}

pub(crate) fn source(name: &str) -> PathBuf {
    root().join("tests/capi").join(name).with_extension("c")
}

/// Compiles a program with the shared library and the system's SQLite.
pub(crate) fn program(folder: &Path, libraries: &Path, name: &str, more: &[&str]) -> PathBuf {
    let out = folder.join(name);
    let search = libraries.display();
    let mut command = compiler("c11");
    command.args(more).arg(source(name)).arg("-o").arg(&out).arg(format!("-L{search}"));
    run(command.args(["-ldbrewind", "-lsqlite3", "-lpthread"]).arg(format!("-Wl,-rpath,{search}")));
    out
}

/// Runs a program in each journal mode, each time in a new folder.
pub(crate) fn in_both_modes(command: impl Fn() -> Command, more: &[&str]) {
    for mode in ["wal", "delete"] {
        let folder = tempfile::tempdir().unwrap();
        let out = run(command().arg(folder.path()).arg(mode).args(more));
        assert_eq!(String::from_utf8_lossy(&out.stdout), "right\n", "{mode}");
    }
}

/// Runs a program under valgrind: what it reads or frees wrongly, or loses, is an error.
pub(crate) fn under_valgrind(program: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
    command.arg("--fair-sched=yes").arg(program);
    command
}
