use std::collections::BTreeMap;
use std::io::Write;

use serde::{Deserialize, Serialize};

/// What a child says on stdout.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Event {
    /// Everything is set up.
    Ready,
    /// A step is about to be taken.
    Try(Step),
    /// The step was taken. Its LSN, where it has one: of the mark, or to undo the rewind.
    Did(Step, u64),
    /// Recording has begun, or begun again: the marks as they are listed now (name, LSN, pages, state).
    Listed(Vec<Vec<String>>),
    /// The step was refused: others were busy.
    Refused,
    /// The recording has ended, and nobody has the database open: the marks as they were listed just before.
    Rested(Vec<Vec<String>>),
    /// Another database is about to be recorded into the same store: it may leave no room.
    Crowded,
    /// Somebody is about to open it.
    Roused,
}

/// A step of a child.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Step {
    /// A transaction that leaves this head.
    Commit(String),
    /// A mark of this state.
    Mark(String, State),
    /// A rewind from the first state to the second.
    Rewind(State, State),
    /// A mark less.
    Drop(String),
    /// Pages move, content does not: vacuum.
    Rewrite,
    /// The recording ends and begins again.
    Reopen,
    /// Something that changes no content: a checkpoint, a drain.
    Quiet,
}

/// A state of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Name of the newest transaction in it.
    pub(crate) head: String,
    /// Digest of its pages.
    pub(crate) digest: String,
}

/// What is known of a mark, or of a moment that a rewind left.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Known {
    /// The state it names.
    pub(crate) state: State,
    /// Its LSN; none when the mark was not acknowledged.
    pub(crate) lsn: Option<u64>,
    /// It was lost before.
    pub(crate) lost: bool,
}

/// Marks by name.
pub(crate) type Marks = BTreeMap<String, Known>;

/// Says it, in one write.
pub(crate) fn say(event: &Event) {
    let mut line = serde_json::to_string(event).expect("JSON");
    line.push('\n');
    std::io::stdout().lock().write_all(line.as_bytes()).expect("the campaign listens");
}
