//! What can be typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use dbrewind_sqlite::{Code, Journal, Moments, OpenOptions, Synchronous, Target};

use crate::failure::Failure;

const STATUS: &str = "\
Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused since it would not be right, 4 not with this database.
Errors have a code that never changes its meaning, such as [DBR004], a reason, and a line that says what to do.";

/// Mark a SQLite database, let anybody change it, rewind it in place.
///
/// The file keeps its name, every connection stays open, and a rewind costs what has changed. The history is the folder DATABASE-rewind.
#[derive(Parser, Debug)]
#[command(name = "dbrewind", version, after_help = STATUS, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    /// Write one JSON document to standard output instead of text, whatever happens.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Colour,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Copy, ValueEnum, Debug)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Also into a pipe.
    Always,
    /// Not at all.
    Never,
}

impl Colour {
    pub(crate) fn set(self) {
        let choice = match self {
            Self::Auto => return,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// How far back the history reaches, what it takes, and who records.
    Status(DatabaseArgs),
    /// The marks, oldest first.
    List(DatabaseArgs),
    /// Name the present moment.
    Mark(MarkArgs),
    /// Make the database what it was, in place, while programs have it open.
    Rewind(RewindArgs),
    /// Forget a mark's name; the history stays.
    Drop(DropArgs),
    /// Which rows, and which parts of the schema, differ between two moments.
    Diff(DiffArgs),
    /// Copy the database, as it is or was, into a new file, while others write.
    Clone(CloneArgs),
    /// Whether the database is recorded, by which way, and what is missing. Touches nothing.
    Doctor(DoctorArgs),
    /// What a reset costs by a rewind, by a copy and by emptying the tables, on a copy of the database.
    Bench(BenchArgs),
    /// Record while a program runs, and rewind around it.
    Run(RunArgs),
    /// Record for as long as this runs, and tell what happens; Ctrl-C ends it.
    Watch(WatchArgs),
    /// Write what a shell completes to standard output.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual's pages into a folder.
    Man {
        /// The folder, such as ~/.local/share/man/man1.
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
}

impl Command {
    /// Its name, and the database that it is about as the user names it.
    pub(crate) fn about(&mut self) -> Option<(&'static str, &mut PathBuf)> {
        Some(match self {
            Self::Status(args) => ("status", &mut args.path),
            Self::List(args) => ("list", &mut args.path),
            Self::Mark(args) => ("mark", &mut args.database.path),
            Self::Rewind(args) => ("rewind", &mut args.database.path),
            Self::Drop(args) => ("drop", &mut args.database.path),
            Self::Diff(args) => ("diff", &mut args.database.path),
            Self::Clone(args) => ("clone", &mut args.database.path),
            Self::Run(args) => ("run", &mut args.database.path),
            Self::Watch(args) => ("watch", &mut args.database.path),
            Self::Doctor(args) => ("doctor", &mut args.path),
            Self::Bench(args) => ("bench", &mut args.path),
            Self::Completions { .. } | Self::Man { .. } => return None,
        })
    }
}

/// Which database.
#[derive(Args, Debug)]
pub(crate) struct DatabaseArgs {
    /// The database file, or a URL of one, such as sqlite:///app.db.
    #[arg(value_name = "DATABASE", value_hint = ValueHint::FilePath)]
    pub(crate) path: PathBuf,
    /// The folder of the history, if it is not DATABASE-rewind.
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) store: Option<PathBuf>,
    /// How long to wait for other connections' transactions, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

impl DatabaseArgs {
    pub(crate) fn options(&self) -> OpenOptions {
        OpenOptions { store: self.store.clone(), timeout: self.timeout, ..OpenOptions::default() }
    }
}

/// How to record.
#[derive(Args, Debug, Default)]
pub(crate) struct RecordingArgs {
    /// Switch the database to this journal mode first; marks stay.
    #[arg(long, value_name = "MODE")]
    pub(crate) journal: Option<JournalArg>,
    /// How far back the history shall reach, such as 72h or "7 days". It is kept in the history.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(crate) window: Option<Duration>,
    /// The most bytes that the history may take, such as 4GiB. It is kept in the history.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) limit: Option<u64>,
    /// In a rollback journal mode: which moments can be gone to. It is kept in the history.
    #[arg(long, value_name = "WHICH")]
    pub(crate) moments: Option<MomentsArg>,
    /// Whether the history and a rewind outlast a power cut.
    #[arg(long, value_name = "HOW", default_value = "normal")]
    pub(crate) synchronous: SynchronousArg,
}

impl RecordingArgs {
    /// How to open a database that is recorded so.
    pub(crate) fn options(&self, database: &DatabaseArgs) -> OpenOptions {
        let mut options = database.options();
        options.journal = self.journal.map(|journal| match journal {
            JournalArg::Wal => Journal::Wal,
            JournalArg::Delete => Journal::Delete,
        });
        options.window = self.window;
        options.limit = self.limit;
        options.moments = self.moments.map(|moments| match moments {
            MomentsArg::Marks => Moments::Marks,
            MomentsArg::Commits => Moments::Commits,
        });
        options.synchronous = match self.synchronous {
            SynchronousArg::Off => Synchronous::Off,
            SynchronousArg::Normal => Synchronous::Normal,
            SynchronousArg::Full => Synchronous::Full,
        };
        options
    }
}

#[derive(Clone, Copy, ValueEnum, Debug)]
pub(crate) enum JournalArg {
    /// Write-ahead log: what any program writes can be recorded.
    Wal,
    /// Rollback journal.
    Delete,
}

#[derive(Clone, Copy, ValueEnum, Debug)]
pub(crate) enum MomentsArg {
    /// Marks and both ends of rewinds.
    Marks,
    /// Each commit as well.
    Commits,
}

#[derive(Clone, Copy, ValueEnum, Debug, Default)]
pub(crate) enum SynchronousArg {
    /// Nothing waits for the disk.
    Off,
    /// The database stays whole, the newest commits of the history may go.
    #[default]
    Normal,
    /// A rewind is durable when it is done.
    Full,
}

#[derive(Args, Debug)]
pub(crate) struct MarkArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// The name. Not one that reads as a time or as an LSN.
    pub(crate) name: String,
    /// Keep what the mark needs until it is dropped, whatever its age.
    #[arg(long)]
    pub(crate) pin: bool,
    #[command(flatten)]
    pub(crate) recording: RecordingArgs,
}

#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// The database file, or a URL of one, such as sqlite:///app.db.
    #[arg(value_name = "DATABASE", value_hint = ValueHint::FilePath)]
    pub(crate) path: PathBuf,
    /// The folder of the history, if it is not DATABASE-rewind.
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) store: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// The database file, or a URL of one. It is read once, and not changed.
    #[arg(value_name = "DATABASE", value_hint = ValueHint::FilePath)]
    pub(crate) path: PathBuf,
    /// How many times each way is measured.
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rounds: u32,
    /// How many rows are inserted before each reset.
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) rows: u32,
    /// The folder for the copies, on the disk that is meant. By default that for temporary files.
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) r#in: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) recording: RecordingArgs,
    /// Rewind before the program starts, or after it has ended.
    #[arg(long, value_name = "WHEN")]
    pub(crate) rewind: Option<When>,
    /// Where to, as for rewind. By default the newest mark for `before`, the state from before the program for `after`.
    #[arg(long, value_name = "TO", requires = "rewind")]
    pub(crate) to: Option<String>,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "PROGRAM", value_hint = ValueHint::CommandWithArguments)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum When {
    /// So that the program begins with the state of a mark.
    Before,
    /// So that nothing is left of what it did.
    After,
}

#[derive(Args, Debug)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) recording: RecordingArgs,
}

#[derive(Args, Debug)]
pub(crate) struct RewindArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Where to: a mark, an LSN, "5 minutes ago" (also without quotes), or a time such as 2026-11-22T07:48:00Z. By default
    /// the newest mark.
    #[arg(value_name = "TO")]
    pub(crate) to: Vec<String>,
    /// TO is the name of a mark, whatever it reads as.
    #[arg(long, requires = "to")]
    pub(crate) mark: bool,
    /// Go to the earliest moment that can be reached if TO lies before it.
    #[arg(long)]
    pub(crate) use_earliest: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DropArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// The mark's name.
    pub(crate) name: String,
}

#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// The first moment, as for rewind. By default the newest mark.
    pub(crate) from: Option<String>,
    /// The second moment. By default the present one.
    pub(crate) to: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct CloneArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// The new file; there must be none of that name.
    #[arg(value_name = "NEW", value_hint = ValueHint::FilePath)]
    pub(crate) new: PathBuf,
    /// Of which moment, as for rewind. By default the present one.
    #[arg(value_name = "OF")]
    pub(crate) of: Vec<String>,
}

/// The moment that a text means. Digits alone are an LSN.
pub(crate) fn target(text: &str) -> Result<Target, Failure> {
    if reads_as_lsn(text) {
        let lsn = text.parse::<u64>().map_err(|_| {
            Failure::own(
                Code::InvalidArgument,
                format!("{text} is no LSN; use one that a mark or a rewind gave"),
            )
        })?;
        return Ok(Target::Lsn(dbrewind_sqlite::Lsn::new(lsn)));
    }
    Ok(text.parse::<Target>()?)
}

/// Whether a text is taken for an LSN: no mark set from here gets such a name.
pub(crate) fn reads_as_lsn(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|_| "a number of seconds, 0 or more, is expected".to_owned())
}

fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "not a span of time, such as 72h, \"7 days\" or \"1h 30m\"".to_owned();
    match format!("{text} ago").parse() {
        Ok(Target::Ago(span)) => Ok(span),
        Ok(_) | Err(_) => Err(wrong()),
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || "not a number of bytes, such as 1073741824, 1GiB or 500MB".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn moments() {
        assert!(matches!(target("42"), Ok(Target::Lsn(lsn)) if lsn.get() == 42));
        assert!(matches!(target("seeded"), Ok(Target::Name(name)) if name == "seeded"));
        assert!(matches!(target("5 minutes ago"), Ok(Target::Ago(ago)) if ago.as_secs() == 300));
        assert!(matches!(target("2026-11-22T07:48:00Z"), Ok(Target::Time(_))));
        for wrong in ["99999999999999999999999", "2026-11-22T07:48:00", "5 fortnights ago"] {
            assert_eq!(target(wrong).map_err(|failure| failure.status()), Err(2), "{wrong}");
        }
    }

    #[test]
    fn sizes_and_spans() {
        assert_eq!(bytes("1048576"), Ok(1 << 20));
        assert_eq!(bytes("4GiB"), Ok(4 << 30));
        assert_eq!(bytes("500 mb"), Ok(500_000_000));
        assert_eq!(span("72h"), Ok(Duration::from_secs(72 * 3600)));
        assert_eq!(span("7 days"), Ok(Duration::from_secs(7 * 86_400)));
        for wrong in ["", "GiB", "-1", "1 furlong", "99999999999T"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "soon", "72", "-1h"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
        assert!(seconds("-1").is_err() && seconds("nan").is_err() && seconds("0.5").is_ok());
    }
}
