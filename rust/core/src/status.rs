use std::time::Duration;

use crate::map::Process;
use crate::store::{Pin, Window, WindowState};
use crate::types::{Lsn, Timestamp};

/// What a rewind to a mark would cost.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MarkState {
    /// Its state is a prefix of what its engine still has in one piece, SQLite's WAL: a rewind takes the same time for any change.
    Hot,
    /// Its state is in the store: a rewind takes time for what differs.
    Archived,
    /// It is before the window: a rewind to it is refused.
    Evicted,
    /// Recording was interrupted after it, or has stopped: a rewind to it is refused.
    Lost,
}

/// How many marks there are, by what a rewind to them would cost.
///
/// ```
/// use dbrewind_core::{MarkCounts, MarkState};
///
/// let counts = MarkCounts::of([MarkState::Archived, MarkState::Lost, MarkState::Archived]);
/// assert_eq!(counts, MarkCounts { archived: 2, lost: 1, ..MarkCounts::default() });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MarkCounts {
    /// Reached at the same cost for any change.
    pub hot: u64,
    /// Reached from the store.
    pub archived: u64,
    /// Before the window.
    pub evicted: u64,
    /// Recording was interrupted after them.
    pub lost: u64,
}

impl MarkCounts {
    /// Counts the marks by their states.
    #[must_use]
    pub fn of(states: impl IntoIterator<Item = MarkState>) -> Self {
        let mut counts = Self::default();
        for state in states {
            *match state {
                MarkState::Hot => &mut counts.hot,
                MarkState::Archived => &mut counts.archived,
                MarkState::Evicted => &mut counts.evicted,
                MarkState::Lost => &mut counts.lost,
            } += 1;
        }
        counts
    }
}

/// How far back the history of an object reaches, what the store takes, and how the marks do (`rust/docs/window.md`). The store's bytes and limit
/// are those of all that is recorded into it.
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
    /// The object's marks that keep what they need from being evicted, oldest first.
    pub pins: Vec<Pin>,
    /// How many marks there are.
    pub marks: MarkCounts,
    /// The other processes that have the store open and were stopped (Ctrl-Z, SIGSTOP, a debugger), by their numbers: until they go on or
    /// end, what is old may be neither sealed nor evicted, and a rewind may have to wait. Of this user's alone, unless he may see others'.
    pub waits_for: Vec<Process>,
}

impl Status {
    /// Of an object whose window this is, and whose marks are in these states.
    #[must_use]
    pub fn new(window: Window, marks: impl IntoIterator<Item = MarkState>) -> Self {
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
            marks: MarkCounts::of(marks),
            waits_for,
        }
    }
}
