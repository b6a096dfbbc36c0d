//! `dbrewind watch`: records for as long as it runs, and tells what happens.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use dbrewind_sqlite::{JournalMode, Lsn, Mark, MarkState, Timestamp, interruptible};
use serde::Serialize;

use crate::arguments::WatchArgs;
use crate::failure::Failure;
use crate::report::{MarkFields, Report};
use crate::session::Session;
use crate::show;
use crate::signals::Ending;

/// How often it looks. What is committed between two looks is one event; all of it is recorded.
const EVERY: Duration = Duration::from_millis(100);

/// One line of JSON.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event {
    /// From now on.
    Recording { path: String, store: String, journal: &'static str, lsn: u64, time: String },
    /// Something was committed, or rewound: the newest moment.
    Moment { lsn: u64, time: String },
    /// Somebody set a mark, or it can no longer be reached, as its state says.
    Mark(MarkFields),
    /// Somebody dropped one.
    Drop { name: String },
    /// It records no longer.
    End { time: String },
}

pub(crate) fn run(args: &WatchArgs, json: bool) -> Result<Report, Failure> {
    let ending = Ending::watch()?;
    let asked = ending.clone();
    interruptible(
        move || asked.is_asked_for(),
        || {
            let session = Session::begin(&args.database, &args.recording.options(&args.database))?;
            let name = session.name();
            // Why it ended says more than what came of ending it.
            watch(&session, &ending, json).and(session.close())?;
            let end = Event::End { time: show::time(Timestamp::now()) };
            Report::new(&end, text(&end, &name))
        },
    )
}

fn watch(session: &Session, ending: &Ending, json: bool) -> Result<(), Failure> {
    let database = &session.database;
    let mut newest = database.now()?;
    let mut marks = marks_of(session)?;
    let begun = Event::Recording {
        path: database.path().display().to_string(),
        store: database.store_path().display().to_string(),
        journal: match database.journal() {
            JournalMode::Wal => "wal",
            JournalMode::Rollback => "rollback",
        },
        lsn: newest.get(),
        time: show::time(Timestamp::now()),
    };
    if database.journal() == JournalMode::Rollback && !json {
        let text = "in a rollback journal mode each program must record what it writes, by dbrewind's extension; others end this watch. \
                    With --journal wal whatever anybody writes is recorded";
        writeln!(anstream::stderr(), "{}", show::note(text))?;
    }
    if let Some(text) = session.filled().filter(|_| !json) {
        writeln!(anstream::stderr(), "{}", show::note(&text))?;
    }
    let mut listening = tell(&begun, &session.name(), json)?;
    while listening && !ending.is_asked_for() {
        let next = Instant::now() + EVERY;
        let now = database.now()?;
        let after = marks_of(session)?;
        let mut events = differing(&marks, &after);
        if now != newest {
            events.push((now.get(), moment(now)));
            newest = now;
        }
        // As they came: a mark names what was there when it was set.
        events.sort_by_key(|(lsn, event)| (*lsn, matches!(event, Event::Mark(_))));
        marks = after;
        for (_, event) in &events {
            listening = listening && tell(event, &session.name(), json)?;
        }
        // A signal ends the sleep early, or is seen after it.
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

fn moment(lsn: Lsn) -> Event {
    Event::Moment { lsn: lsn.get(), time: show::time(Timestamp::now()) }
}

fn marks_of(session: &Session) -> Result<BTreeMap<String, Mark>, Failure> {
    Ok(session.database.marks()?.into_iter().map(|mark| (mark.name.clone(), mark)).collect())
}

/// What happened to marks, each with the LSN by which it is told.
fn differing(before: &BTreeMap<String, Mark>, after: &BTreeMap<String, Mark>) -> Vec<(u64, Event)> {
    let gone = |mark: &Mark| matches!(mark.state, MarkState::Evicted | MarkState::Lost);
    let dropped = before.keys().filter(|name| !after.contains_key(*name));
    let dropped = dropped.map(|name| (0, Event::Drop { name: name.clone() }));
    let mut set: Vec<&Mark> = after.values().collect();
    set.retain(|mark| match before.get(&mark.name) {
        None => true,
        Some(old) => old.time != mark.time || gone(old) != gone(mark),
    });
    set.sort_by_key(|mark| (mark.lsn, mark.time));
    let set = set.into_iter().map(|mark| (mark.lsn.get(), Event::Mark(MarkFields::of(mark))));
    dropped.chain(set).collect()
}

/// Answers whether somebody listens.
fn tell(event: &Event, name: &str, json: bool) -> Result<bool, Failure> {
    let mut out = anstream::stdout();
    let line = if json { serde_json::to_string(event)? } else { text(event, name) };
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The time of day in UTC, and what happened.
fn text(event: &Event, database: &str) -> String {
    let strong = show::STRONG;
    let what = match event {
        Event::Recording { lsn, .. } => {
            let name = show::plain(database);
            format!("recording {strong}{name}{strong:#} from LSN {lsn} on; Ctrl-C ends it")
        }
        Event::Moment { lsn, .. } => format!("committed or rewound: LSN {lsn}"),
        Event::Mark(MarkFields { name, lsn, state, .. }) => {
            let gone = if ["lost", "evicted"].contains(state) { format!(", {state}") } else { String::new() };
            format!("mark {strong}{}{strong:#} at LSN {lsn}{gone}", show::plain(name))
        }
        Event::Drop { name } => format!("dropped mark {}", show::plain(name)),
        Event::End { .. } => "recording ended".to_owned(),
    };
    let now = show::time(Timestamp::now());
    let (dim, clock) = (show::DIM, now.get(11..19).unwrap_or(&now));
    format!("{dim}{clock}Z{dim:#} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_told_in_the_order_in_which_they_were_set() {
        let mark = |name: &str, lsn: u64, time: u64, state: MarkState| {
            let (lsn, time) = (Lsn::new(lsn), Timestamp::new(time));
            (name.to_owned(), Mark { name: name.to_owned(), lsn, time, pages: 1, state, pinned: false })
        };
        let before =
            BTreeMap::from([mark("gone", 1, 1, MarkState::Hot), mark("stays", 1, 2, MarkState::Hot)]);
        let after = BTreeMap::from([
            mark("stays", 1, 2, MarkState::Archived),
            mark("a", 4, 40, MarkState::Hot),
            mark("b", 3, 30, MarkState::Hot),
            mark("c", 3, 20, MarkState::Hot),
        ]);
        let told = differing(&before, &after);
        let told: Vec<(u64, &str)> = told
            .iter()
            .map(|(lsn, event)| match event {
                Event::Drop { name } | Event::Mark(MarkFields { name, .. }) => (*lsn, name.as_str()),
                other => panic!("{}", text(other, "app.db")),
            })
            .collect();
        assert_eq!(told, [(0, "gone"), (3, "c"), (3, "b"), (4, "a")]);
    }
}
