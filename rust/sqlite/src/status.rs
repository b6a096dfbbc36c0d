use std::time::Duration;

use dbrewind_core::{Lsn, Process, Timestamp, Window, WindowState};

use crate::mark::{Mark, MarkState};

/// A mark that keeps what it needs from being evicted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pin {
    /// Its name.
    pub name: String,
    /// The moment.
    pub lsn: Lsn,
    /// When it was set.
    pub time: Timestamp,
    /// Bytes of the store from its era on to the newest era.
    pub bytes: u64,
}

/// How many marks there are, by what a rewind to them would cost.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MarkCounts {
    /// Reached by moving the WAL's end.
    pub hot: u64,
    /// Reached from the store.
    pub archived: u64,
    /// Before the window.
    pub evicted: u64,
    /// Recording was interrupted after them.
    pub lost: u64,
}

/// How far back the history reaches, what the store takes, and how its marks do (`rust/docs/window.md`).
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
    /// Marks that keep what they need from being evicted, oldest first.
    pub pins: Vec<Pin>,
    /// How many marks there are.
    pub marks: MarkCounts,
    /// The other processes that have the store open and were stopped (Ctrl-Z, SIGSTOP, a debugger), by their numbers: until they go on or
    /// end, what is old may be neither sealed nor evicted, and a rewind may have to wait. Of this user's alone, unless he may see others'.
    pub waits_for: Vec<Process>,
}

impl Status {
    pub(crate) fn new(window: Window, marks: &[Mark]) -> Self {
        let count = |state| marks.iter().filter(|mark| mark.state == state).count() as u64;
        let pins = window.pins.into_iter().map(|pin| Pin {
            name: pin.name.to_string(),
            lsn: pin.lsn,
            time: pin.time,
            bytes: pin.bytes,
        });
        Self {
            state: window.state,
            used: window.room.used,
            raw: window.room.used.saturating_sub(window.sealed),
            sealed: window.sealed,
            limit: window.room.limit,
            target: window.target,
            window: window.actual,
            earliest: window.earliest,
            forecast: window.forecast,
            pins: pins.collect(),
            marks: MarkCounts {
                hot: count(MarkState::Hot),
                archived: count(MarkState::Archived),
                evicted: count(MarkState::Evicted),
                lost: count(MarkState::Lost),
            },
            waits_for: window.waits_for,
        }
    }
}
