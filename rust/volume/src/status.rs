//! What a user wants to know of a volume's history.

use std::time::Duration;

use dbrewind_core::{Lsn, Pin, Process, Timestamp, Window, WindowState};

use crate::error::Error;
use crate::marks::{Mark, MarkState};
use crate::volume::Volume;

/// How many marks there are, by whether they can be gone to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MarkCounts {
    /// They can.
    pub kept: u64,
    /// Before the window.
    pub evicted: u64,
    /// Recording was interrupted after them.
    pub lost: u64,
}

/// How far back the history reaches, what the store takes, and how the marks do (`rust/docs/window.md`). The store's bytes and limit are those
/// of all that is recorded into it.
#[derive(Clone, PartialEq, Debug)]
pub struct Status {
    /// How it does.
    pub state: WindowState,
    /// Bytes of the store.
    pub used: u64,
    /// Of them, bytes of segments that are not sealed, among them room for what comes next.
    pub raw: u64,
    /// Of them, bytes of sealed segments.
    pub sealed: u64,
    /// Most bytes that it may have.
    pub limit: u64,
    /// How far back it shall reach.
    pub target: Duration,
    /// How far back it does reach.
    pub window: Duration,
    /// The oldest moment that can be reached, and its time.
    pub earliest: Option<(Lsn, Timestamp)>,
    /// How long a window the limit holds at the present rate. `None`: too little was recorded to tell.
    pub forecast: Option<Duration>,
    /// Marks of this volume that keep what they need from being evicted, oldest first.
    pub pins: Vec<Pin>,
    /// How many marks there are.
    pub marks: MarkCounts,
    /// The other processes that have the store open and were stopped (Ctrl-Z, SIGSTOP, a debugger), by their numbers: until they go on or
    /// end, what is old may be neither sealed nor evicted, and a rewind may have to wait.
    pub waits_for: Vec<Process>,
}

impl Status {
    pub(crate) fn new(window: Window, marks: &[Mark]) -> Self {
        let count = |state| marks.iter().filter(|mark| mark.state == state).count() as u64;
        let Window { state, room, sealed, target, earliest, actual, forecast, pins, waits_for } = window;
        Self {
            state,
            used: room.used,
            raw: room.used.saturating_sub(sealed),
            sealed,
            limit: room.limit,
            target,
            window: actual,
            earliest,
            forecast,
            pins,
            marks: MarkCounts {
                kept: count(MarkState::Kept),
                evicted: count(MarkState::Evicted),
                lost: count(MarkState::Lost),
            },
            waits_for,
        }
    }
}

impl Volume {
    /// How far back the history reaches, what the store takes, and how the marks do. Without the engine's lock; also when recording has stopped.
    ///
    /// # Errors
    /// As [`marks`](Self::marks).
    pub fn status(&self) -> Result<Status, Error> {
        let marks = self.marks()?;
        Ok(Status::new(self.store.window(self.object, &|_| true)?, &marks))
    }
}
