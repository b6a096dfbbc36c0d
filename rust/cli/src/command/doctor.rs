//! `dbrewind doctor`: whether a database is recorded, by which way, and who could write past it, told without touching anything.

mod route;

use std::path::Path;

use dbrewind_sqlite::{Code, JournalMode};
use rustix::fs::{Access, AtFlags};
use rustix::io::Errno;
use serde::Serialize;

use crate::arguments::DoctorArgs;
use crate::exit;
use crate::failure::Failure;
use crate::header::Header;
use crate::host::Host;
use crate::processes::{self, Process, Sqlite};
use crate::report::Report;
use crate::session::store_at;
use crate::show::{self, Cell};
use route::Route;

#[derive(Serialize)]
struct Examined {
    path: String,
    journal: &'static str,
    page_size: u32,
    store: String,
    /// Whether there is a history.
    recorded: bool,
    #[serde(flatten)]
    route: Route,
    processes: Vec<User>,
    /// What stands in the way of recording all that is written. Empty: nothing.
    problems: Vec<Problem>,
}

/// A process that has the database or its history open.
#[derive(Serialize)]
struct User {
    #[serde(flatten)]
    process: Process,
    /// The database itself; else only its history.
    database: bool,
    /// Its history: it records, or may at any moment.
    records: bool,
    sqlite: Vec<Sqlite>,
}

#[derive(Serialize)]
struct Problem {
    code: &'static str,
    text: String,
    fix: String,
}

/// `vfs`: what the URI that the database was named by asks for.
pub(crate) fn run(args: &DoctorArgs, vfs: Option<&str>, host: Host<'_>) -> Result<Report, Failure> {
    let header = Header::read(&args.path)?;
    let path = std::fs::canonicalize(&args.path).unwrap_or_else(|_| args.path.clone());
    let store = store_at(&args.path, args.store.as_deref());
    let recorded = std::fs::symlink_metadata(store.join("locks")).is_ok();
    let users = users(&path, &store);
    let name = args.path.display().to_string();
    let route = Route::of(header.journal, &users, host);
    let mut problems = problems(&args.path, &header, recorded, &users);
    problems.extend(route.problems(&args.path, vfs));
    problems.extend(forbidden(&path, &store, recorded));
    let way = route.lines(&args.path);
    let text = text(&name, &header, recorded.then_some(&store), way, &users, &problems);
    let examined = Examined {
        path: path.display().to_string(),
        journal: match header.journal {
            JournalMode::Wal => "wal",
            JournalMode::Rollback => "rollback",
        },
        page_size: header.page_size,
        store: store.display().to_string(),
        recorded,
        route,
        processes: users,
        problems,
    };
    let mut report = Report::new(&examined, text)?;
    if !examined.problems.is_empty() {
        report.status = exit::FAILED;
    }
    Ok(report)
}

/// What this user may not write to, of all that has to be written.
fn forbidden(path: &Path, store: &Path, recorded: bool) -> Vec<Problem> {
    let problem = |what: &Path, fix: &str| Problem {
        code: Code::NotWritable.text(),
        text: format!("{} cannot be written by this user", what.display()),
        fix: fix.to_owned(),
    };
    let owner = "check owner and permissions, or take the user that the application runs as";
    let mut problems = Vec::new();
    if is_forbidden(path, Access::READ_OK | Access::WRITE_OK) {
        problems.push(problem(path, owner));
    }
    // For the journal, or the WAL and its index.
    let folder = path.parent().unwrap_or(Path::new("/"));
    let in_folder = Access::WRITE_OK | Access::EXEC_OK;
    if is_forbidden(folder, in_folder) {
        problems.push(problem(folder, owner));
    }
    let place = if recorded { Some(store) } else { store.parent() };
    if let Some(place) = place.filter(|place| *place != folder && is_forbidden(place, in_folder)) {
        problems.push(problem(place, "name another place for the history: --store FOLDER"));
    }
    problems
}

/// Whether this user certainly has not this access.
fn is_forbidden(path: &Path, access: Access) -> bool {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let found = rustix::fs::accessat(rustix::fs::CWD, path, access, AtFlags::EACCESS);
    matches!(found, Err(Errno::ACCESS | Errno::ROFS | Errno::PERM))
}

fn users(path: &Path, store: &Path) -> Vec<User> {
    let (open, recording) = (processes::holding(path), processes::recording_into(store));
    let only = recording.iter().filter(|process| !open.contains(process));
    let all = open.iter().map(|process| (process, true)).chain(only.map(|process| (process, false)));
    all.map(|(process, database)| User {
        process: process.clone(),
        database,
        records: recording.contains(process),
        sqlite: processes::sqlites_of(process.pid),
    })
    .collect()
}

fn problems(path: &Path, header: &Header, recorded: bool, users: &[User]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let word = show::word(path);
    match header.journal {
        JournalMode::Wal if recorded && !users.iter().any(|user| user.records) => problems.push(Problem {
            code: Code::MarkLost.text(),
            text: "nobody records now: marks are lost when what is written is brought into the file"
                .to_owned(),
            fix: format!("leave `dbrewind watch {word}` running"),
        }),
        JournalMode::Wal => {}
        JournalMode::Rollback => {
            for user in users.iter().filter(|user| user.database && !user.records) {
                problems.push(Problem {
                    code: Code::NotAttached.text(),
                    text: format!(
                        "what {} writes is not recorded: {} is in a rollback journal mode",
                        user.process.shown(),
                        path.display()
                    ),
                    fix: format!(
                        "start it by `dbrewind run {word} -- PROGRAM`, or load dbrewind's extension there before it opens the database, \
                         or take the database to WAL mode: `dbrewind watch {word} --journal wal`"
                    ),
                });
            }
        }
    }
    problems
}

fn text(
    name: &str,
    header: &Header,
    store: Option<&std::path::PathBuf>,
    way: Vec<String>,
    users: &[User],
    problems: &[Problem],
) -> String {
    let strong = show::STRONG;
    let (mode, means) = match header.journal {
        JournalMode::Wal => {
            ("WAL", "whatever a program is, what it writes can be recorded from another process")
        }
        JournalMode::Rollback => ("a rollback journal", "each program must record what it writes itself"),
    };
    let mut parts = vec![
        format!("{strong}{}{strong:#}, pages of {} bytes", show::plain(name), header.page_size),
        format!("journal   {mode}: {means}"),
        match store {
            Some(store) => format!("history   {}", show::plain(&store.display().to_string())),
            None => "history   none; `dbrewind mark` begins one".to_owned(),
        },
    ];
    parts.extend(way);
    if users.is_empty() {
        parts.push("open in   no other process that this user can see".to_owned());
    } else {
        let rows: Vec<_> = users.iter().map(row).collect();
        parts.push(show::table(&["PID", "PROGRAM", "OPEN", "RECORDS", "SQLITE"], &rows));
    }
    for problem in problems {
        let (bad, Problem { code, text, fix }) = (show::WARNING, problem);
        parts.push(format!("{bad}[{code}]{bad:#} {}\n  fix: {}", show::plain(text), show::plain(fix)));
    }
    if problems.is_empty() {
        parts.push(format!("{}nothing stands in the way{:#}", show::GOOD, show::GOOD));
    }
    parts.join("\n")
}

fn row(user: &User) -> Vec<Cell> {
    let copies: Vec<_> = user.sqlite.iter().map(Sqlite::shown).collect();
    vec![
        Cell::new(user.process.pid.to_string()),
        Cell::styled(&user.process.name, show::STRONG),
        Cell::new(if user.database { "database" } else { "history" }),
        if user.records { Cell::styled("yes", show::GOOD) } else { Cell::new("no") },
        Cell::new(if copies.is_empty() { "inside the program".to_owned() } else { copies.join(", ") }),
    ]
}
