use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use crate::ffi::{self, Direction, Woken};
use crate::wire::{CANCEL, Inbox, Request, WireError};

/// A request, or why it is none.
pub(super) type Asked = Result<Request, WireError>;

/// What comes from the host, looked at between requests and while one waits.
pub(super) struct Incoming {
    input: File,
    inbox: Inbox,
    /// Known from hello on.
    host: Option<OwnedFd>,
    /// The host has ended its input, or is gone.
    over: bool,
}

impl Incoming {
    pub(super) fn new(input: File) -> Self {
        Self { input, inbox: Inbox::default(), host: None, over: false }
    }

    /// From now on the end of this process is the end of input, too.
    pub(super) fn watch(&mut self, host: u32) {
        // Where the system has no such handle, the end of input must do.
        self.host = ffi::process_handle(host).ok();
    }

    pub(super) fn host(&self) -> Option<BorrowedFd<'_>> {
        self.host.as_ref().map(AsFd::as_fd)
    }

    /// The next request that has arrived: its id, and what it asks for.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Asked)>, WireError> {
        loop {
            match self.inbox.next()? {
                None => return Ok(None),
                // Too late: its request has been answered.
                Some(frame) if frame.kind == CANCEL => {}
                Some(frame) => return Ok(Some((frame.id, Request::take(frame.kind, frame.payload)))),
            }
        }
    }

    /// Waits for bytes. `false`: none will come any more.
    pub(super) fn wait(&mut self) -> Result<bool, String> {
        self.look(None)?;
        Ok(!self.over)
    }

    /// Whether the request that is being carried out shall give up its wait: the host says so, or nobody would read
    /// the answer.
    pub(super) fn cancelled(&mut self, id: u64) -> bool {
        // What is wrong with the pipe is said when the next request is read.
        let _ = self.look(Some(Instant::now()));
        self.over || self.inbox.take_if(|frame| frame.kind == CANCEL && frame.id == id).unwrap_or(false)
    }

    fn look(&mut self, deadline: Option<Instant>) -> Result<(), String> {
        if self.over {
            return Ok(());
        }
        let host = self.host.as_ref().map(AsFd::as_fd);
        let woken = ffi::wait(self.input.as_fd(), Direction::Read, host, deadline);
        match woken.map_err(|e| format!("cannot wait for the host: {e}"))? {
            Woken::Gone => self.over = true,
            Woken::Late => {}
            Woken::Ready => match self.inbox.fill(&mut self.input) {
                Ok(0) => self.over = true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("cannot read from the host: {error}")),
            },
        }
        Ok(())
    }
}
