use std::io;
use std::path::PathBuf;
use std::time::Duration;

use dbrewind_core::{
    AppendError, Code, LockError, MarkNameError, OpenError, PlanError, ReadError, SyncError, TargetError,
    TimelineError, Timestamp, Unreachable,
};

/// Why a call failed. The content is as it was before, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument has a value that cannot be.
    #[error("{what}")]
    Invalid {
        /// Which one, and what would be valid.
        what: String,
    },
    /// The folder has no store.
    #[error("there is no store in {}; check the path: it is the folder that the volumes were attached with", folder.display())]
    NoStore {
        /// The folder.
        folder: PathBuf,
    },
    /// The volume was detached.
    #[error("the volume is detached; attach it again")]
    Closed,
    /// This process was forked from the one that attached.
    #[error("the volume was attached by the parent process; attach it in the child, too")]
    Forked,
    /// A callback of the engine failed.
    #[error("the engine cannot {action}: {source}")]
    Medium {
        /// What it was asked for, a verb.
        action: &'static str,
        /// Its own error.
        source: io::Error,
    },
    /// The same and others, in the midst of a rewind that could not be taken back.
    #[error(
        "{0}; and the rewind is half done: it will be finished by the next call that enters the volume; neither read nor write \
         the content before"
    )]
    HalfDone(Box<Error>),
    /// The rewind has happened, but something after it failed.
    #[error("the rewind has happened, and then: {0}")]
    Late(Box<Error>),
    /// Somebody else has the engine's lock, or the right to change the history.
    #[error("{what} after {waited:?}; end what holds it, or raise the timeout")]
    Busy {
        /// What was waited for.
        what: &'static str,
        /// How long.
        waited: Duration,
    },
    /// The calling thread has the engine's lock itself.
    #[error("this thread's own change of the content is still open; end that change first, then call again")]
    OwnChange,
    /// Somebody wrote without saying so.
    #[error(
        "the content is {found} bytes long, and the newest recorded moment left {known} blocks: somebody wrote without \
         will_write and commit; attach anew to go on, with new marks"
    )]
    NotAttached {
        /// Its length now, in bytes.
        found: u64,
        /// The recorded length, in blocks.
        known: u64,
    },
    /// Others have another content attached under this name.
    #[error(
        "others have another content attached under this name: what is saved of one would be written into the other; give each content \
         a name of its own, or a store of its own"
    )]
    OtherContent,
    /// A rewind of another content is to be finished first.
    #[error(
        "a rewind of another content was left half done under this name; attach that one, which finishes it, or give this one another \
         name, or attach it anew, by which earlier marks are lost"
    )]
    Replaced,
    /// A record is longer than any that can be saved.
    #[error(
        "the record has {length} bytes, and at most {} can be saved; keep a long one in parts",
        crate::LONGEST_RECORD
    )]
    RecordTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Recording has stopped, and with it all marks are lost.
    #[error("recording has stopped ({code}): {}; detach, see to that, attach again, and set new marks", code.title())]
    Stopped {
        /// Why.
        code: Code,
    },
    /// There is no mark of this name.
    #[error("there is no mark {name:?}{}", nearest.as_ref().map_or_else(String::new, |near| format!("; did you mean {near:?}?")))]
    MarkNotFound {
        /// The name.
        name: String,
        /// The one that was probably meant.
        nearest: Option<String>,
    },
    /// The name is taken.
    #[error("there is a mark {name:?} already; drop it first, or take another name")]
    MarkExists {
        /// The name.
        name: String,
    },
    /// The text cannot name a mark.
    #[error("{0}; choose another name")]
    MarkName(#[from] MarkNameError),
    /// Recording was interrupted after this moment.
    #[error("{what} can no longer be reached: recording was interrupted after it; set a new mark")]
    MarkLost {
        /// The mark or LSN.
        what: String,
    },
    /// The history does not go back so far.
    #[error(
        "{what} is before {}, the earliest moment that can be reached; give that time or a later one{}; to keep more from now \
         on, open the store with a larger window or limit, or pin marks that must stay",
        earliest.rfc3339(),
        if *rewinding { ", or go there with use_earliest" } else { "" }
    )]
    BeforeWindow {
        /// What was asked for.
        what: String,
        /// The time of the earliest moment.
        earliest: Timestamp,
        /// Whether a rewind asked, which can go to the earliest moment instead.
        rewinding: bool,
    },
    /// The moment cannot be reached.
    #[error(transparent)]
    Unreachable(Unreachable),
    /// The store could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A lock of the store could not be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store could not be synced.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The history could not be read.
    #[error(transparent)]
    Timeline(#[from] TimelineError),
    /// There is no way to the moment.
    #[error(transparent)]
    Plan(PlanError),
    /// The store says what cannot be.
    #[error("the history is damaged: {what}; nothing was changed")]
    Damaged {
        /// What it says.
        what: &'static str,
    },
}

impl Error {
    /// The stable number of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Invalid { .. } | Self::MarkName(_) => Code::InvalidArgument,
            Self::NoStore { .. } => Code::FileMissing,
            Self::Closed => Code::Closed,
            Self::Forked => Code::Forked,
            Self::Medium { .. } => Code::Io,
            Self::HalfDone(error) | Self::Late(error) => error.code(),
            Self::Busy { .. } | Self::OwnChange | Self::OtherContent => Code::Busy,
            Self::Replaced => Code::FileReplaced,
            Self::NotAttached { .. } => Code::NotAttached,
            Self::RecordTooLong { .. } => Code::Unsupported,
            Self::Stopped { code } => *code,
            Self::MarkNotFound { .. } => Code::MarkNotFound,
            Self::MarkExists { .. } => Code::MarkExists,
            Self::MarkLost { .. } => Code::MarkLost,
            Self::BeforeWindow { .. } => Code::BeforeWindow,
            Self::Unreachable(error) => error.code(),
            Self::Open(error) => error.code(),
            Self::Append(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::Lock(error) => error.code(),
            Self::Sync(error) => error.code(),
            Self::Timeline(error) => error.code(),
            Self::Plan(error) => error.code(),
            Self::Damaged { .. } => Code::StoreDamaged,
        }
    }

    /// For `map_err`: what a rewind fails with.
    pub(crate) fn of_rewind(mut self) -> Self {
        if let Self::BeforeWindow { rewinding, .. } = &mut self {
            *rewinding = true;
        }
        self
    }

    /// What becomes of a callback's error.
    pub(crate) fn medium(action: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Medium { action, source }
    }
}

impl From<TargetError> for Error {
    fn from(error: TargetError) -> Self {
        Self::Invalid { what: error.to_string() }
    }
}

impl From<Unreachable> for Error {
    fn from(why: Unreachable) -> Self {
        match why {
            Unreachable::Evicted { lsn, time, .. } => {
                Self::BeforeWindow { what: format!("LSN {lsn}"), earliest: time, rewinding: false }
            }
            other => Self::Unreachable(other),
        }
    }
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Unreachable(why) => why.into(),
            other => Self::Plan(other),
        }
    }
}
