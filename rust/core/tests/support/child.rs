//! Processes that a test starts and kills: another test of the same program, which nobody runs else.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const FOLDER: &str = "DBREWIND_TEST_FOLDER";
const ROLE: &str = "DBREWIND_TEST_ROLE";

/// Starts the ignored test of this name in a process of its own.
pub(crate) fn spawn(test: &str, folder: &Path, role: &str, environment: &[(&str, &str)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored"]).env(FOLDER, folder).env(ROLE, role);
    command.envs(environment.iter().copied()).stdout(Stdio::null()).spawn().unwrap()
}

/// In such a process: the folder and the role it was given; `None` in any other.
pub(crate) fn given() -> Option<(PathBuf, String)> {
    Some((std::env::var_os(FOLDER)?.into(), std::env::var(ROLE).ok()?))
}

/// A small generator of its own, so that a failing run can be had again.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}
