//! Parts of a test that run in a process of their own: ignored tests by the name of `child_*`, which are killed.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What a child says when it has come to its end.
const READY: &str = "kill me";
const PATH: &str = "DBREWIND_TEST_PATH";

/// Starts a child, which learns of this path, and waits until it has come to its end.
pub(crate) fn start(test: &str, path: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads", "1"])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map(Result::unwrap).any(|line| line.ends_with(READY)), "the child failed");
    child
}

/// Runs a child to its end, which is to be at this named place.
#[cfg(feature = "fault")]
pub(crate) fn dies_at(test: &str, path: &Path, place: &str) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--ignored", "--nocapture"]).env(PATH, path);
    child.env("DBREWIND_FAULT_AT", place).stdout(Stdio::null()).stderr(Stdio::null());
    !child.status().unwrap().success()
}

/// SIGKILL.
pub(crate) fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// In a child: the path.
pub(crate) fn path() -> PathBuf {
    PathBuf::from(std::env::var(PATH).unwrap())
}

/// In a child: its end.
pub(crate) fn wait_for_the_kill() -> ! {
    println!("{READY}");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}
