//! `dbrewind list`: the marks.

use dbrewind_sqlite::{Mark, MarkState, Status};
use serde::Serialize;

use super::within;
use crate::arguments::DatabaseArgs;
use crate::failure::Failure;
use crate::report::{MarkFields, Report};
use crate::session::{Session, is_without_history, state_name};
use crate::show::{self, Cell};

#[derive(Serialize)]
struct Listed {
    path: String,
    marks: Vec<ListedMark>,
}

#[derive(Serialize)]
struct ListedMark {
    #[serde(flatten)]
    mark: MarkFields,
    /// Of a pinned one: what it keeps.
    bytes: Option<u64>,
}

pub(crate) fn run(args: &DatabaseArgs) -> Result<Report, Failure> {
    if is_without_history(args)? {
        let path = args.path.display().to_string();
        let mut report = Report::new(&Listed { path, marks: Vec::new() }, String::new())?;
        report.notes.push(format!("{} has no history", args.path.display()));
        return Ok(report);
    }
    within(Session::open(args)?, |session| {
        let (marks, status) = (session.database.marks()?, session.database.status()?);
        let listed =
            marks.iter().map(|mark| ListedMark { mark: MarkFields::of(mark), bytes: held(mark, &status) });
        let json = Listed { path: session.database.path().display().to_string(), marks: listed.collect() };
        let text = if show::on_terminal() { table(&marks, &status) } else { lines(&marks) };
        let mut report = Report::new(&json, text)?;
        if marks.is_empty() {
            report.notes.push(format!("{} has no marks", session.name()));
        }
        Ok(report)
    })
}

fn held(mark: &Mark, status: &Status) -> Option<u64> {
    status.pins.iter().find(|pin| pin.name.as_str() == mark.name).map(|pin| pin.bytes)
}

/// For programs: name, state, LSN, pages, time, between tabs.
fn lines(marks: &[Mark]) -> String {
    let line = |mark: &Mark| {
        let name = show::plain(&mark.name);
        let state = state_name(mark.state);
        format!("{name}\t{state}\t{}\t{}\t{}", mark.lsn, mark.pages, show::time(mark.time))
    };
    marks.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn table(marks: &[Mark], status: &Status) -> String {
    if marks.is_empty() {
        return String::new();
    }
    let now = dbrewind_sqlite::Timestamp::now();
    let row = |mark: &Mark| {
        let style = match mark.state {
            MarkState::Hot | MarkState::Archived => show::GOOD,
            MarkState::Evicted | MarkState::Lost => show::BAD,
        };
        let pin = held(mark, status)
            .map_or_else(String::new, |bytes| format!("pinned, keeps {}", show::bytes(bytes)));
        vec![
            Cell::styled(&mark.name, show::STRONG),
            Cell::styled(state_name(mark.state), style),
            Cell::new(mark.lsn.to_string()),
            Cell::new(mark.pages.to_string()),
            Cell::new(show::age(mark.time, now)),
            Cell::new(pin),
        ]
    };
    let rows: Vec<_> = marks.iter().map(row).collect();
    show::table(&["MARK", "STATE", "LSN", "PAGES", "SET", ""], &rows)
}
