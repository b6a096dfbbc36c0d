//! The test's side: SQLite connections in threads of this process, in other processes, and in another
//! version of SQLite.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::protocol::{Answer, Goal, Recording, Request};
use crate::serve::serve;

/// Somebody with a connection: asked by requests, one at a time.
pub struct Peer {
    /// For messages: `thread 2`, `process 1`, `python`.
    pub name: String,
    line: Line,
}

enum Line {
    Thread { requests: Option<Sender<Request>>, answers: Receiver<Answer>, thread: Option<JoinHandle<()>> },
    Process { child: Child, requests: Option<ChildStdin>, answers: BufReader<ChildStdout> },
}

/// A peer for the SQLite that Python was built with, usually another version than ours.
const PYTHON: &str = include_str!("peer.py");

impl Peer {
    /// A thread of this process, with this process's SQLite.
    #[must_use]
    pub fn thread(name: &str) -> Self {
        let (to, requests) = channel::<Request>();
        let (answer, answers) = channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                serve(&mut || requests.recv().ok(), &mut |reply| {
                    let _nobody_listens = answer.send(reply);
                });
            })
            .expect("thread");
        let line = Line::Thread { requests: Some(to), answers, thread: Some(thread) };
        Self { name: name.to_owned(), line }
    }

    /// Another process: `binary serve`, which must call [`serve_stdio`].
    #[must_use]
    pub fn process(name: &str, binary: &Path) -> Self {
        Self::process_in(name, binary, &[])
    }

    /// The same, with these variables in its environment.
    #[must_use]
    pub fn process_in(name: &str, binary: &Path, environment: &[(&str, &std::ffi::OsStr)]) -> Self {
        Self::spawn(name, Command::new(binary).arg("serve").envs(environment.iter().copied()))
    }

    /// The same, killed when it passes a place of `DBREWIND_FAULT_AT` (feature `fault`).
    #[must_use]
    pub fn faulty(name: &str, binary: &Path, at: &str) -> Self {
        Self::spawn(name, Command::new(binary).arg("serve").env("DBREWIND_FAULT_AT", at))
    }

    /// Python's SQLite, or `None` where there is no Python with `sqlite3.Connection.serialize`.
    #[must_use]
    pub fn python(name: &str) -> Option<Self> {
        let probe = "import sqlite3; sqlite3.Connection.serialize";
        let found = Command::new("python3").args(["-c", probe]).stderr(Stdio::null()).status();
        found
            .is_ok_and(|status| status.success())
            .then(|| Self::spawn(name, Command::new("python3").args(["-S", "-u", "-c", PYTHON])))
    }

    /// The same, stopped there until somebody has it go on or kills it.
    #[must_use]
    pub fn stopping(name: &str, binary: &Path, at: &str) -> Self {
        let mut command = Command::new(binary);
        command.arg("serve").env("DBREWIND_FAULT_AT", at).env("DBREWIND_FAULT_STOPS", "1");
        Self::spawn(name, &mut command)
    }

    /// The number of its process; `None` for a thread.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match &self.line {
            Line::Process { child, .. } => Some(child.id()),
            Line::Thread { .. } => None,
        }
    }

    fn spawn(name: &str, command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("peer process");
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        Self { name: name.to_owned(), line: Line::Process { child, requests, answers } }
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Panics
    /// When the peer is gone.
    pub fn ask(&mut self, request: Request) -> Answer {
        self.send(request);
        self.receive()
    }

    /// Sends a request. Each must be followed by one [`Peer::receive`].
    ///
    /// # Panics
    /// When the peer is gone.
    pub fn send(&mut self, request: Request) {
        match &mut self.line {
            Line::Thread { requests, .. } => requests.as_ref().expect("open").send(request).expect("peer"),
            Line::Process { requests, .. } => {
                let mut line = serde_json::to_string(&request).expect("JSON");
                line.push('\n');
                requests.as_mut().expect("open").write_all(line.as_bytes()).expect("peer");
            }
        }
    }

    /// Waits for the answer.
    ///
    /// # Panics
    /// When the peer is gone.
    pub fn receive(&mut self) -> Answer {
        match &mut self.line {
            Line::Thread { answers, .. } => answers.recv().unwrap_or_else(|_| panic!("{} died", self.name)),
            Line::Process { answers, .. } => {
                let mut line = String::new();
                let read = answers.read_line(&mut line).expect("peer");
                assert!(read > 0, "{} died", self.name);
                serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
            }
        }
    }

    /// Opens a connection with a busy timeout of `busy` milliseconds.
    #[track_caller]
    pub fn open(&mut self, path: &Path, busy: u32) {
        self.open_as(path, busy, None, false).ok();
    }

    /// Opens a connection through a VFS, and says whether closing may checkpoint.
    pub fn open_as(&mut self, path: &Path, busy: u32, vfs: Option<&str>, keep_wal: bool) -> Answer {
        let path = path.to_str().expect("UTF-8").to_owned();
        self.ask(Request::Open { path, vfs: vfs.map(str::to_owned), busy, keep_wal })
    }

    /// Runs statements.
    pub fn sql(&mut self, sql: &str) -> Answer {
        self.ask(Request::Sql { sql: sql.to_owned() })
    }

    /// Runs statements that must succeed; the rows of the last one.
    ///
    /// # Panics
    /// When one fails.
    #[track_caller]
    pub fn must(&mut self, sql: &str) -> Vec<Vec<String>> {
        match self.sql(sql) {
            Answer::Rows { rows } => rows,
            other => panic!("{}: {sql:.200}: {other:?}", self.name),
        }
    }

    /// Begins to record a database.
    ///
    /// # Panics
    /// When the path is not UTF-8.
    pub fn attach(&mut self, path: &Path, options: Recording) -> Answer {
        self.ask(Request::Attach { path: path.to_str().expect("UTF-8").to_owned(), options })
    }

    /// Sets a mark.
    pub fn mark(&mut self, name: &str) -> Answer {
        self.ask(Request::Mark { name: name.to_owned(), pin: false })
    }

    /// Sets a mark that keeps what it needs.
    pub fn pin(&mut self, name: &str) -> Answer {
        self.ask(Request::Mark { name: name.to_owned(), pin: true })
    }

    /// Rewinds to a mark; waits for others so many milliseconds.
    pub fn rewind(&mut self, name: &str, timeout: u64) -> Answer {
        self.ask(Request::Rewind { to: Goal::Name(name.to_owned()), timeout })
    }

    /// Ends a process with SIGKILL. A thread is left alone.
    pub fn kill(&mut self) {
        if let Line::Process { child, .. } = &mut self.line {
            let _already_dead = child.kill();
            let _status = child.wait();
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        match &mut self.line {
            Line::Thread { requests, thread, .. } => {
                drop(requests.take());
                if let Some(thread) = thread.take() {
                    let _panicked = thread.join();
                }
            }
            Line::Process { child, requests, .. } => {
                drop(requests.take());
                let _status = child.wait();
            }
        }
    }
}

/// The whole of a peer process: requests from stdin, answers to stdout, until stdin ends.
pub fn serve_stdio() {
    let mut lines = std::io::stdin().lock().lines();
    let mut next = || {
        let line = lines.next()?.ok()?;
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    };
    let mut answer = |reply: Answer| {
        let mut line = serde_json::to_string(&reply).expect("JSON");
        line.push('\n');
        let mut out = std::io::stdout().lock();
        let _nobody_listens = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    };
    serve(&mut next, &mut answer);
}
