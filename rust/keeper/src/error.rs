use std::io;
use std::time::Duration;

use dbrewind_sqlite::Code;

/// Why an operation on a [`Handle`](crate::Handle) failed. Number and text are the same wherever the engine runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine in this process answered.
    #[error(transparent)]
    Engine(#[from] dbrewind_sqlite::Error),
    /// The engine in the keeper answered.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The keeper, or the way to it, failed.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The engine cannot run where it has to.
    #[error(
        "{what}; there are three ways: open it with journal=\"wal\" and let the keeper record it; use a program, or a \
         Python, whose SQLite is a shared library; or load dbrewind's extension into the SQLite that writes, and record \
         the database from another process"
    )]
    Unreachable {
        /// What is missing.
        what: String,
    },
    /// Another copy of SQLite is in this process, and the engine was asked to run in it.
    #[error("this process holds another copy of SQLite, {others}; let the keeper record instead")]
    TwoSqlites {
        /// The files with the other copies.
        others: String,
    },
}

impl Error {
    /// The stable number of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Engine(error) => error.code(),
            Self::Refused(refusal) => refusal.code,
            Self::Failed(_) => Code::KeeperFailed,
            Self::Unreachable { .. } => Code::Unreachable,
            Self::TwoSqlites { .. } => Code::TwoSqlites,
        }
    }

    /// Details for programs, as name and text: `name` and `nearest` of `DBR003`, `name` of `DBR023`, `holder`
    /// and `waited` (seconds) of `DBR004`. Absent details are left out.
    #[must_use]
    pub fn fields(&self) -> Vec<(String, String)> {
        match self {
            Self::Engine(error) => fields_of(error),
            Self::Refused(refusal) => refusal.fields.clone(),
            _ => Vec::new(),
        }
    }
}

/// An error of the engine in the keeper, as it was answered there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// The stable number.
    pub code: Code,
    /// What happened, why, and what helps.
    pub text: String,
    /// Details, see [`Error::fields`].
    pub fields: Vec<(String, String)>,
}

impl Refusal {
    pub(crate) fn of(error: &Error) -> Self {
        Self { code: error.code(), text: error.to_string(), fields: error.fields() }
    }
}

/// How a keeper fails. The database and its store are whole; a rewind that was under way leaves the old or the
/// new state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The command could not be run.
    #[error("the keeper could not be started: {command}: {source}; check the command")]
    NotStarted {
        /// The command.
        command: String,
        /// The system's own error.
        source: io::Error,
    },
    /// Its process has ended.
    #[error(
        "the keeper process {pid} ended ({status}){}; the database is whole, a rewind that was under way left its \
         old or its new state; open the recording again",
        quoted(words)
    )]
    Ended {
        /// Its process id.
        pid: u32,
        /// How it ended.
        status: String,
        /// The end of what it wrote to stderr.
        words: String,
    },
    /// It has not answered in time.
    #[error(
        "the keeper process {pid} has not answered {asked} within {waited:?}, and may still carry it out; look why \
         it hangs, or close the recording and open it again"
    )]
    Silent {
        /// Its process id.
        pid: u32,
        /// What it was asked for.
        asked: String,
        /// How long was waited.
        waited: Duration,
    },
    /// Its answer is not one.
    #[error(
        "the keeper process {pid} answered nonsense: {what}{}; check that the command starts a keeper",
        quoted(words)
    )]
    Garbled {
        /// Its process id.
        pid: u32,
        /// What was found.
        what: String,
        /// The end of what it wrote to stderr.
        words: String,
    },
    /// It has another version.
    #[error(
        "the keeper speaks version {theirs} of the protocol, this library {ours}; install both from the same release"
    )]
    Version {
        /// The keeper's.
        theirs: u32,
        /// This library's.
        ours: u32,
    },
    /// The system refused to read or write the pipe.
    #[error("cannot {action} the keeper process {pid}: {source}")]
    Pipe {
        /// What was tried, a verb.
        action: &'static str,
        /// Its process id.
        pid: u32,
        /// The system's own error.
        source: io::Error,
    },
}

fn quoted(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(", its last words: {words}") }
}

fn fields_of(error: &dbrewind_sqlite::Error) -> Vec<(String, String)> {
    use dbrewind_sqlite::Error as E;
    let mut fields = Vec::new();
    let mut field = |name: &str, text: Option<String>| {
        if let Some(text) = text {
            fields.push((name.to_owned(), text));
        }
    };
    match error {
        E::MarkNotFound { name, nearest, .. } => {
            field("name", Some(name.clone()));
            field("nearest", nearest.clone());
        }
        E::MarkExists { name, .. } => field("name", Some(name.clone())),
        E::Busy { holder, waited, .. } => {
            field("holder", holder.clone());
            field("waited", Some(waited.as_secs_f64().to_string()));
        }
        E::BeforeWindow { earliest, .. } => field("earliest", Some(earliest.to_string())),
        _ => {}
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_the_engines_error() {
        let engine = dbrewind_sqlite::Error::MarkNotFound {
            name: "sed".into(),
            nearest: Some("seed".into()),
            existing: vec!["seed".to_owned()].into(),
        };
        let text = engine.to_string();
        let error = Error::from(engine);
        let refusal = Error::from(Refusal::of(&error));
        assert_eq!((refusal.code(), refusal.to_string()), (Code::MarkNotFound, text));
        assert_eq!(refusal.fields(), error.fields());
        assert_eq!(refusal.fields()[1], ("nearest".to_owned(), "seed".to_owned()));
    }
}
