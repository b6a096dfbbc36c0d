//! From a path to a recorded database.

use std::path::{Path, PathBuf};

use dbrewind_sqlite::{
    Code, Database, Error, MarkState, OpenOptions, SqliteApi, Target, store_beside, store_left_behind,
};

use crate::arguments::{DatabaseArgs, target};
use crate::failure::Failure;
use crate::header::Header;
use crate::processes::{self, Process};
use crate::show;

/// A database that this process records until the command is done, perhaps beside others.
pub(crate) struct Session {
    pub(crate) database: Database,
    /// What the user calls it.
    pub(crate) given: PathBuf,
    /// The folder of the history that the user asked for.
    store: Option<PathBuf>,
    /// Other processes that have its history open.
    pub(crate) recorders: Vec<Process>,
    /// The file had no bytes before it was opened.
    was_empty: bool,
}

/// The folder that holds the history of a database.
pub(crate) fn store_of(args: &DatabaseArgs) -> PathBuf {
    store_at(&args.path, args.store.as_deref())
}

/// The same, when another folder may have been given.
pub(crate) fn store_at(path: &Path, given: Option<&Path>) -> PathBuf {
    let beside = || store_beside(&std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()));
    given.map_or_else(beside, Path::to_owned)
}

/// Whether a database is there that has no history. Refuses a file that is none, and one that was renamed without its history: that
/// matters more.
pub(crate) fn is_without_history(args: &DatabaseArgs) -> Result<bool, Failure> {
    let is_file = std::fs::metadata(&args.path).is_ok_and(|found| found.is_file());
    if !is_file || std::fs::symlink_metadata(store_of(args).join("locks")).is_ok() {
        return Ok(false);
    }
    Header::read(&args.path)?;
    // Renamed without its history, which is still beside it under the old name.
    if args.store.is_none()
        && let Ok(path) = std::fs::canonicalize(&args.path)
        && let Some(store) = store_left_behind(&path)?
    {
        return Err(Error::StoreLeftBehind { path, store }.into());
    }
    Ok(true)
}

impl Session {
    /// Opens a database that has a history. Begins none, also where a history is that of another file.
    pub(crate) fn open(args: &DatabaseArgs) -> Result<Self, Failure> {
        if is_without_history(args)? {
            return Err(no_history(args));
        }
        Self::go_on(args, &args.options())
    }

    /// Opens a database for what was recorded of it before, if anything was.
    pub(crate) fn go_on(args: &DatabaseArgs, options: &OpenOptions) -> Result<Self, Failure> {
        Self::with(args, |path| Database::open_recorded(SqliteApi::bundled(), path, options)).map_err(
            |failure| {
                let fix = format!(
                    "put that file back, or begin anew with this one: `dbrewind mark {} NAME`",
                    show::word(&args.path)
                );
                if failure.code() == Code::FileReplaced { failure.with_fix(fix) } else { failure }
            },
        )
    }

    /// Opens a database, and begins its history if there is none.
    pub(crate) fn begin(args: &DatabaseArgs, options: &OpenOptions) -> Result<Self, Failure> {
        Self::with(args, |path| Database::open(SqliteApi::bundled(), path, options))
    }

    fn with(
        args: &DatabaseArgs,
        open: impl FnOnce(&Path) -> Result<Database, Error>,
    ) -> Result<Self, Failure> {
        let recorders = processes::recording_into(&store_of(args));
        let was_empty = size_of(&args.path) == 0;
        let database = open(&args.path)?;
        Ok(Self { database, given: args.path.clone(), store: args.store.clone(), recorders, was_empty })
    }

    /// What beginning a history has made of a file without bytes.
    pub(crate) fn filled(&self) -> Option<String> {
        let size = size_of(&self.given);
        let name = show::plain(&self.name());
        (self.was_empty && size > 0).then(|| {
            format!("{name} was empty, and is a database without tables now, of {size} bytes: a history needs SQLite's header")
        })
    }

    /// What the user calls the database.
    pub(crate) fn name(&self) -> String {
        self.given.display().to_string()
    }

    /// The same for a shell, with what the commands need to find its history.
    pub(crate) fn word(&self) -> String {
        let path = show::word(&self.given);
        match &self.store {
            Some(store) => format!("{path} --store {}", show::word(store)),
            None => path,
        }
    }

    /// The moment that texts mean; without any the newest mark.
    pub(crate) fn target(&self, words: &[String]) -> Result<Target, Failure> {
        if words.is_empty() {
            return self.newest_mark();
        }
        target(&words.join(" "))
    }

    /// The newest mark, whether it can be reached or not: going to an older one would not be what was meant.
    pub(crate) fn newest_mark(&self) -> Result<Target, Failure> {
        let marks = self.database.marks()?;
        match marks.last() {
            Some(mark) => Ok(Target::Name(mark.name.clone())),
            None => Err(Failure::own(Code::MarkNotFound, format!("{} has no mark yet", self.name()))
                .with_fix(format!("`dbrewind mark {} NAME` sets one", self.word()))),
        }
    }

    /// Ends the recording of this process.
    pub(crate) fn close(self) -> Result<(), Failure> {
        Ok(self.database.close()?)
    }
}

/// In bytes; of what is not there none.
fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}

fn no_history(args: &DatabaseArgs) -> Failure {
    let (path, store) = (args.path.display(), store_of(args));
    Failure::own(Code::FileMissing, format!("{path} has no history: there is no {}", store.display()))
        .with_fix(format!("`dbrewind mark {} NAME` begins one", show::word(&args.path)))
}

/// How a mark does, as JSON has it.
pub(crate) fn state_name(state: MarkState) -> &'static str {
    match state {
        MarkState::Hot => "hot",
        MarkState::Archived => "archived",
        MarkState::Evicted => "evicted",
        MarkState::Lost => "lost",
    }
}
