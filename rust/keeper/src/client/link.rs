use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dbrewind_sqlite::Patience;

use super::KeeperCommand;
use crate::error::{Error, Failure, Refusal};
use crate::ffi::{self, Direction, Woken};
use crate::wire::{CANCEL, Inbox, Operation, REFUSED, Reply, Request, VERSION, WireError, begin, finish};

/// How long a keeper may take to say hello. Starting an interpreter on a busy machine takes seconds.
const START: Duration = Duration::from_secs(60);
/// How long a keeper that has closed its pipe may take to end.
const END: Duration = Duration::from_secs(10);
/// How long the answer of an interrupted request may take: a rewind that has begun is finished.
const CANCELLED: Duration = Duration::from_secs(10);
/// How much of the end of stderr is quoted, in bytes.
const WORDS: u64 = 2000;

/// A running keeper and the pipes to it.
pub(super) struct Link {
    child: Child,
    /// `None` once the keeper was told to end.
    to: Option<File>,
    from: File,
    stderr: File,
    inbox: Inbox,
    out: Vec<u8>,
    last_id: u64,
}

impl Link {
    /// Starts a keeper and exchanges hello.
    pub(super) fn start(command: &KeeperCommand) -> Result<Self, Error> {
        let not_started = |source| Failure::NotStarted { command: command.to_string(), source };
        let stderr = ffi::memory_file().map_err(not_started)?;
        let mut child = command
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr.try_clone().map_err(not_started)?)
            // The terminal's signals go to a group.
            .process_group(0)
            .spawn()
            .map_err(not_started)?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(not_started(io::ErrorKind::BrokenPipe.into()).into());
        };
        let to = File::from(OwnedFd::from(to));
        let mut link = Self {
            child,
            from: File::from(OwnedFd::from(from)),
            stderr,
            inbox: Inbox::default(),
            out: Vec::new(),
            last_id: 0,
            to: None,
        };
        ffi::set_nonblocking(to.as_fd()).map_err(|source| link.pipe("prepare the pipe to", source))?;
        link.to = Some(to);
        match link.ask(&Request::Hello { version: VERSION, pid: std::process::id() }, START) {
            Ok(Reply::Welcome { version: VERSION, .. }) => Ok(link),
            Ok(Reply::Welcome { version, .. }) => {
                Err(Failure::Version { theirs: version, ours: VERSION }.into())
            }
            Ok(_) => Err(link.unexpected()),
            Err(error) => {
                // It has opened nothing yet, and may be anything.
                link.kill();
                Err(error)
            }
        }
    }

    pub(super) fn keeper(&self) -> u32 {
        self.child.id()
    }

    /// One request, one response.
    pub(super) fn ask(&mut self, request: &Request, limit: Duration) -> Result<Reply, Error> {
        // A timeout that is no point in time is none.
        let deadline = Instant::now().checked_add(limit);
        self.last_id += 1;
        begin(&mut self.out, self.last_id, request.operation() as u8);
        request.put(&mut self.out);
        finish(&mut self.out).map_err(|error| dbrewind_sqlite::Error::Invalid {
            what: format!("the arguments are too long: {error}"),
        })?;
        let late = |link: &Self| Failure::Silent {
            pid: link.keeper(),
            asked: format!("{:?}", request.operation()).to_lowercase(),
            waited: limit,
        };
        if !self.send(deadline)? {
            return Err(late(self).into());
        }
        let (mut patience, mut cancelled) = (Patience::new(), false);
        let mut deadline = deadline;
        loop {
            if let Some(result) = self.response(request.operation())? {
                return result;
            }
            let look = patience.slice().filter(|_| !cancelled).map(|slice| Instant::now() + slice);
            let until = [deadline, look].into_iter().flatten().min();
            match ffi::wait(self.from.as_fd(), Direction::Read, None, until) {
                Ok(Woken::Late) if until == deadline => return Err(late(self).into()),
                Ok(Woken::Late) => {
                    if patience.is_over() {
                        // The answer is waited for even so: it tells whether anything has happened.
                        cancelled = true;
                        let soon = Instant::now() + CANCELLED;
                        deadline = Some(deadline.map_or(soon, |deadline| deadline.min(soon)));
                        begin(&mut self.out, self.last_id, CANCEL);
                        if finish(&mut self.out).is_ok() {
                            self.send(deadline)?;
                        }
                    }
                }
                Ok(Woken::Ready | Woken::Gone) => match self.inbox.fill(&mut self.from) {
                    Ok(0) => return Err(self.ended()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(source) => return Err(self.pipe("read from", source)),
                },
                Err(source) => return Err(self.pipe("wait for", source)),
            }
        }
    }

    /// Sends the frame in `out`. `false`: there was no room for it in time.
    fn send(&mut self, deadline: Option<Instant>) -> Result<bool, Error> {
        let mut sent = 0;
        while let Some(bytes) = self.out.get(sent..).filter(|bytes| !bytes.is_empty()) {
            let Some(to) = &mut self.to else { return Err(self.ended()) };
            match ffi::without_sigpipe(|| to.write(bytes)) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(self.ended()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match ffi::wait(to.as_fd(), Direction::Write, None, deadline) {
                        Ok(Woken::Late) if sent == 0 => return Ok(false),
                        // Half a request is in the pipe: nothing that follows could be understood.
                        Ok(Woken::Late) => return Err(self.garbled("it does not read requests".to_owned())),
                        Ok(_) => {}
                        Err(source) => return Err(self.pipe("wait for", source)),
                    }
                }
                Err(source) => return Err(self.pipe("write to", source)),
            }
        }
        Ok(true)
    }

    /// The response to the last request, if it has arrived. Earlier ones came after their time, and are skipped.
    fn response(&mut self, operation: Operation) -> Result<Option<Result<Reply, Error>>, Error> {
        loop {
            let parsed = match self.inbox.next() {
                Ok(None) => return Ok(None),
                Ok(Some(frame)) if frame.id < self.last_id => continue,
                Ok(Some(frame)) if frame.id > self.last_id => {
                    Err(WireError::Value { what: "the id of a response", found: frame.id })
                }
                Ok(Some(frame)) if frame.kind == REFUSED => {
                    Refusal::take(frame.payload).map(|refusal| Err(refusal.into()))
                }
                Ok(Some(frame)) => Reply::take(operation, frame.payload).map(Ok),
                Err(error) => Err(error),
            };
            return match parsed {
                Ok(result) => Ok(Some(result)),
                Err(error) => {
                    let shown: String =
                        self.inbox.pending().iter().take(80).map(|b| b.escape_ascii().to_string()).collect();
                    Err(self.garbled(format!("{error} ({shown})")))
                }
            };
        }
    }

    /// Ends the keeper by the end of its input, and waits for that. One that hangs is left alone: it may be recording.
    pub(super) fn end(&mut self) {
        self.to = None;
        let _ = self.reap(END);
    }

    /// Waits for the end of the process; `None` when it has not ended in time, or somebody else has reaped it.
    fn reap(&mut self, limit: Duration) -> Option<ExitStatus> {
        let began = Instant::now();
        let mut pause = Duration::from_micros(50);
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Err(_) => return None,
                Ok(None) if began.elapsed() >= limit => return None,
                Ok(None) => sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }

    /// Its pipe has broken: finds out how it ended.
    fn ended(&mut self) -> Error {
        self.to = None;
        let status = match self.reap(END) {
            Some(status) => describe(status),
            None => "how is not known: it has not been waited for, or by somebody else".to_owned(),
        };
        Failure::Ended { pid: self.keeper(), status, words: self.words() }.into()
    }

    /// It does not speak the protocol: it is no keeper, or a broken one. Either way it is ours to end.
    fn garbled(&mut self, what: String) -> Error {
        self.kill();
        Failure::Garbled { pid: self.keeper(), what, words: self.words() }.into()
    }

    fn kill(&mut self) {
        self.to = None;
        let _ = self.child.kill();
        let _ = self.reap(END);
    }

    pub(super) fn unexpected(&self) -> Error {
        unexpected(self.keeper())
    }

    fn pipe(&self, action: &'static str, source: io::Error) -> Error {
        Failure::Pipe { action, pid: self.keeper(), source }.into()
    }

    /// The end of what it wrote to stderr, in one line.
    fn words(&self) -> String {
        let len = self.stderr.metadata().map_or(0, |meta| meta.len());
        let mut bytes = vec![0; usize::try_from(len.min(WORDS)).unwrap_or(0)];
        let got = self.stderr.read_at(&mut bytes, len.saturating_sub(WORDS)).unwrap_or(0);
        bytes.truncate(got);
        let text = String::from_utf8_lossy(&bytes);
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" / ")
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Not told to end yet: opening failed half-way. In a forked child there is no such link.
        if self.to.is_some() {
            self.end();
        }
    }
}

/// An answer that belongs to another operation. The decoder makes none; the compiler does not know.
pub(super) fn unexpected(keeper: u32) -> Error {
    let what = "the answer to another question".to_owned();
    Failure::Garbled { pid: keeper, what, words: String::new() }.into()
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    /// A program that greets as a keeper does and then does what the script says.
    fn fake(script: &str) -> Link {
        let text = format!(
            "import os, struct, sys, time\n\
             def take():\n    n, = struct.unpack('<I', os.read(0, 4)); return struct.unpack('<QB', os.read(0, n)[:9])\n\
             def give(id, kind, payload=b''):\n    os.write(1, struct.pack('<IQB', 9 + len(payload), id, kind) + payload)\n\
             give(take()[0], 0, struct.pack('<III', {VERSION}, os.getpid(), 0))\n{script}"
        );
        Link::start(&KeeperCommand::new("python3").arg("-ISc").arg(text)).unwrap()
    }

    fn failure(result: Result<Reply, Error>) -> Failure {
        match result {
            Err(Error::Failed(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_late_response_is_skipped() {
        // The first answer comes only after the second question.
        let mut link = fake(
            "a = take()[0]; b = take()[0]; give(a, 0, bytes(8)); give(b, 0, b'\\x07' + bytes(7)); take()",
        );
        let silent = failure(link.ask(&Request::Now, SOON));
        assert!(matches!(silent, Failure::Silent { ref asked, .. } if asked == "now"), "{silent}");
        let now = link.ask(&Request::Now, START).unwrap();
        assert_eq!(now, Reply::Lsn(dbrewind_sqlite::Lsn::new(7)));
    }

    #[test]
    fn an_answer_to_no_question_is_nonsense() {
        let mut link = fake("give(take()[0] + 1, 0); take()");
        let failure = failure(link.ask(&Request::Drain, START));
        assert!(matches!(failure, Failure::Garbled { .. }), "{failure}");
    }

    #[test]
    fn an_answer_of_another_shape_is_nonsense() {
        let mut link = fake("give(take()[0], 0, b'abc'); take()");
        let failure = failure(link.ask(&Request::Now, START));
        assert!(matches!(failure, Failure::Garbled { .. }), "{failure}");
    }

    #[test]
    fn a_request_that_nobody_reads_is_given_up() {
        let mut link = fake("take(); time.sleep(1000)");
        let name = "x".repeat(1 << 20);
        let failure = failure(link.ask(&Request::Mark { name, pinned: false }, SOON));
        assert!(matches!(failure, Failure::Garbled { .. }), "{failure}");
    }

    #[test]
    fn a_request_too_long_is_not_sent() {
        let mut link = fake("give(take()[0], 0); take()");
        let name = "x".repeat(65 << 20);
        let error = link.ask(&Request::Mark { name, pinned: false }, START).unwrap_err();
        assert_eq!(error.code(), dbrewind_sqlite::Code::InvalidArgument);
        // The id was used, but nothing is in the pipe: the next one is answered.
        assert_eq!(link.ask(&Request::Drain, START).unwrap(), Reply::Done);
    }

    #[test]
    fn a_broken_pipe_kills_nobody() {
        use crate::ffi::default_sigpipe_of_this_process;
        let mut link = fake("os.close(0); time.sleep(0.2); sys.exit(5)");
        default_sigpipe_of_this_process();
        let failure = (0..1000)
            .find_map(|_| match link.ask(&Request::Now, Duration::from_millis(1)) {
                Err(Error::Failed(Failure::Silent { .. })) => None,
                other => Some(failure(other)),
            })
            .unwrap();
        assert!(
            matches!(failure, Failure::Ended { ref status, .. } if status == "exit status 5"),
            "{failure}"
        );
    }
}
