//! `dbrewind status`: how the history does.

use std::path::Path;

use dbrewind_sqlite::{Code, JournalMode, MarkCounts, Status, Timestamp, WindowState};
use serde::Serialize;

use super::within;
use crate::arguments::DatabaseArgs;
use crate::failure::Failure;
use crate::processes::Process;
use crate::report::{CountFields, PinFields, Report, in_seconds, maybe_time, state_word};
use crate::session::{Session, is_without_history, store_of};
use crate::show;

#[derive(Serialize)]
struct Told {
    path: String,
    store: String,
    /// Whether there is a history. Without one nothing else is there.
    recorded: bool,
    #[serde(flatten)]
    history: Option<HistoryFields>,
}

/// As Python's `Status`; spans are seconds.
#[derive(Serialize)]
struct HistoryFields {
    journal: &'static str,
    /// `None` after a write that was not recorded, and while there is no room to record.
    now: Option<u64>,
    recorders: Vec<Process>,
    state: &'static str,
    used: u64,
    raw: u64,
    sealed: u64,
    limit: u64,
    target: f64,
    window: f64,
    earliest: Option<u64>,
    earliest_time: Option<String>,
    forecast: Option<f64>,
    pins: Vec<PinFields>,
    marks: CountFields,
    waits_for: Vec<Process>,
}

pub(crate) fn run(args: &DatabaseArgs) -> Result<Report, Failure> {
    if is_without_history(args)? {
        return without_history(args);
    }
    within(Session::open(args)?, |session| {
        let database = &session.database;
        let status = database.status()?;
        let history = fields(session, &status);
        let text = text(session, &status);
        let told = Told {
            path: database.path().display().to_string(),
            store: database.store_path().display().to_string(),
            recorded: true,
            history: Some(history),
        };
        Report::new(&told, text)
    })
}

fn without_history(args: &DatabaseArgs) -> Result<Report, Failure> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let told = Told {
        path: absolute(&args.path).display().to_string(),
        store: absolute(&store_of(args)).display().to_string(),
        recorded: false,
        history: None,
    };
    let path = show::plain(&args.path.display().to_string());
    let word = show::plain(&show::word(&args.path));
    Report::new(&told, format!("{path} has no history; `dbrewind mark {word} NAME` begins one"))
}

fn fields(session: &Session, status: &Status) -> HistoryFields {
    HistoryFields {
        journal: journal_word(session.database.journal()),
        now: session.database.now().ok().map(dbrewind_sqlite::Lsn::get),
        recorders: session.recorders.clone(),
        state: state_word(status.state),
        used: status.used,
        raw: status.raw,
        sealed: status.sealed,
        limit: status.limit,
        target: in_seconds(status.target),
        window: in_seconds(status.window),
        earliest: status.earliest.map(|(lsn, _)| lsn.get()),
        earliest_time: maybe_time(status.earliest.map(|(_, time)| time)),
        forecast: status.forecast.map(in_seconds),
        pins: status.pins.iter().map(PinFields::of).collect(),
        marks: status.marks.into(),
        waits_for: status.waits_for.iter().cloned().map(Process::from).collect(),
    }
}

fn journal_word(journal: JournalMode) -> &'static str {
    match journal {
        JournalMode::Wal => "wal",
        JournalMode::Rollback => "rollback",
    }
}

fn text(session: &Session, status: &Status) -> String {
    let database = &session.database;
    let (strong, path) = (show::STRONG, show::plain(&session.name()));
    let mode = match database.journal() {
        JournalMode::Wal => "WAL",
        JournalMode::Rollback => "a rollback journal",
    };
    let style = match status.state {
        WindowState::Ok => show::GOOD,
        WindowState::Alert => show::WARNING,
        WindowState::Full | WindowState::Stopped => show::BAD,
    };
    let recorders = match session.recorders.as_slice() {
        [] => "nobody that this user can see, but for this command".to_owned(),
        all => all.iter().map(Process::shown).collect::<Vec<_>>().join(", "),
    };
    let reaches = match status.earliest {
        Some((_, time)) => {
            format!("{} of {}, to {}", show::span(status.window), show::span(status.target), show::time(time))
        }
        None => "nowhere yet".to_owned(),
    };
    let forecast = status.forecast.map_or_else(String::new, |span| {
        format!("; at the present rate the limit holds {}", show::span(span.min(status.target)))
    });
    let MarkCounts { hot, archived, evicted, lost } = status.marks;
    let now = match database.now() {
        Ok(lsn) => show::lsn(lsn),
        Err(error) if error.code() == Code::StoreFull => {
            "not known: there is no room to record what is written".to_owned()
        }
        Err(_) => "not known: something was written past the recording".to_owned(),
    };
    let mut lines = vec![
        format!("{strong}{path}{strong:#}, with {mode}"),
        format!("now       {now}"),
        format!("state     {style}{}{style:#}{}", state_word(status.state), meaning(status.state)),
        format!("reaches   back {reaches}{forecast}"),
        format!(
            "takes     {} of {}, in {}",
            show::bytes(status.used),
            show::bytes(status.limit),
            show::plain(&database.store_path().display().to_string())
        ),
        format!("marks     {} to go to, {evicted} evicted, {lost} lost", hot + archived),
    ];
    let now = Timestamp::now();
    for pin in &status.pins {
        let (name, age) = (show::plain(pin.name.as_str()), show::age(pin.time, now));
        lines.push(format!("pinned    {name}, set {age}, keeps {}", show::bytes(pin.bytes)));
    }
    lines.push(format!("recorded  by {}", show::plain(&recorders)));
    for process in status.waits_for.iter().cloned().map(Process::from) {
        let bad = show::BAD;
        let holds = match process.holds.as_slice() {
            [] => String::new(),
            all => format!(" within this: it {}", all.join(", ")),
        };
        let name = show::plain(&process.shown());
        lines.push(format!(
            "waits     {bad}for {name}{bad:#}, which was stopped{holds}. Until it goes on (kill -CONT {0}) or ends, the history may grow: \
             what is old may be neither compressed nor removed",
            process.pid
        ));
    }
    lines.join("\n")
}

fn meaning(state: WindowState) -> &'static str {
    match state {
        WindowState::Ok => "",
        WindowState::Alert => ": what is younger than the target was evicted, since there was no room",
        WindowState::Full => {
            ": no room for more, and nothing that may be evicted; drop pinned marks (dbrewind drop), or raise the limit"
        }
        WindowState::Stopped => ": nothing is recorded any more",
    }
}
