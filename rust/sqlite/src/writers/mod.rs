//! Who wrote: what the records say, and whom the tail saw connected (`rust/docs/pytest.md`, "Who").

mod connected;
mod process;
mod told;

use std::time::Duration;

pub(crate) use connected::{Connected, Seen};
pub use process::program;
pub(crate) use process::{LONGEST, Process, namespace, plain};
pub(crate) use told::{Committed, Told};

/// A thread that has committed, or a process that may have.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Writer {
    /// Its process.
    pub pid: u32,
    /// What that runs: the program, and the first argument that says more. Empty: not known.
    pub program: String,
    /// Whether the process still runs. `None`: not known, as of one in another container.
    pub runs: Option<bool>,
    /// The thread that committed, by the system's number. `None`: no record says that the process has written; it was seen to have the
    /// database open right after a commit.
    pub thread: Option<u32>,
    /// Whether that thread still runs. `false` also where it is not known.
    pub thread_runs: bool,
    /// How many commits are its own for certain.
    pub commits: u64,
}

impl Writer {
    /// `age`: how long ago the newest of the commits was.
    pub(crate) fn of_record(committed: &Committed, age: Duration) -> Self {
        let note = committed.note.as_deref();
        let runs = note.and_then(|note| {
            let told = note.process.began > 0;
            match note.boot == dbrewind_core::boot_id() {
                false => Some(false),
                true if !told || note.namespace == 0 || note.namespace != namespace() => None,
                true => Some(note.process.runs()),
            }
        });
        let thread = committed.thread;
        let has_thread = note.is_some_and(|note| note.process.has_thread(thread, age));
        Self {
            pid: committed.pid,
            program: note.map(|note| note.program.clone()).unwrap_or_default(),
            runs,
            thread: Some(thread),
            thread_runs: runs == Some(true) && has_thread,
            commits: committed.commits,
        }
    }

    pub(crate) fn of_look(seen: &Seen) -> Self {
        Self {
            pid: seen.process.pid,
            program: seen.program.clone(),
            runs: Some(seen.process.runs()),
            thread: None,
            thread_runs: false,
            commits: 0,
        }
    }
}
