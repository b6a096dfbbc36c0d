use std::ffi::{OsStr, OsString};
use std::fmt;
use std::process::Command;

/// The command that starts a keeper: a program that calls [`serve_stdio`](crate::serve_stdio) and nothing else.
///
/// Run without a shell, with the host's environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeeperCommand {
    program: OsString,
    args: Vec<OsString>,
}

impl KeeperCommand {
    /// A program, looked for in `PATH` if it has no slash.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self { program: program.as_ref().to_owned(), args: Vec::new() }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        command
    }
}

impl fmt::Display for KeeperCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.program.display().fmt(f)?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", arg.display()))
    }
}
