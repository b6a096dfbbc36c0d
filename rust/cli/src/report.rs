//! What a command tells when it is done, and the parts of it that several have in common. Fields are those of Python's classes.

use std::time::Duration;

use dbrewind_sqlite::{Mark, MarkCounts, Pin, Timestamp, WindowState};
use serde::Serialize;

use crate::exit;
use crate::failure::Failure;
use crate::session::state_name;
use crate::show;

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Report {
    /// One JSON document.
    pub(crate) json: String,
    /// The same for people.
    pub(crate) text: String,
    /// What they should know besides, for standard error.
    pub(crate) notes: Vec<String>,
    pub(crate) status: u8,
}

impl Report {
    pub(crate) fn new(json: &impl Serialize, text: String) -> Result<Self, Failure> {
        Ok(Self { json: serde_json::to_string(json)?, text, notes: Vec::new(), status: exit::DONE })
    }
}

/// A mark.
#[derive(Serialize)]
pub(crate) struct MarkFields {
    pub(crate) name: String,
    pub(crate) lsn: u64,
    pub(crate) time: String,
    pub(crate) pages: u64,
    pub(crate) pinned: bool,
    pub(crate) state: &'static str,
}

impl MarkFields {
    pub(crate) fn of(mark: &Mark) -> Self {
        Self {
            name: mark.name.clone(),
            lsn: mark.lsn.get(),
            time: show::time(mark.time),
            pages: mark.pages,
            pinned: mark.pinned,
            state: state_name(mark.state),
        }
    }
}

/// A pinned mark.
#[derive(Serialize)]
pub(crate) struct PinFields {
    name: String,
    lsn: u64,
    time: String,
    bytes: u64,
}

impl PinFields {
    pub(crate) fn of(pin: &Pin) -> Self {
        let Pin { name, lsn, time, bytes } = pin;
        Self { name: name.to_string(), lsn: lsn.get(), time: show::time(*time), bytes: *bytes }
    }
}

/// How many marks there are.
#[derive(Serialize)]
pub(crate) struct CountFields {
    hot: u64,
    archived: u64,
    evicted: u64,
    lost: u64,
}

impl From<MarkCounts> for CountFields {
    fn from(MarkCounts { hot, archived, evicted, lost }: MarkCounts) -> Self {
        Self { hot, archived, evicted, lost }
    }
}

/// How a history does, in a word.
pub(crate) fn state_word(state: WindowState) -> &'static str {
    match state {
        WindowState::Ok => "ok",
        WindowState::Alert => "alert",
        WindowState::Full => "full",
        WindowState::Stopped => "stopped",
    }
}

/// In seconds, as a number.
pub(crate) fn in_seconds(span: Duration) -> f64 {
    span.as_secs_f64()
}

/// A time that may not be there.
pub(crate) fn maybe_time(time: Option<Timestamp>) -> Option<String> {
    time.map(show::time)
}
