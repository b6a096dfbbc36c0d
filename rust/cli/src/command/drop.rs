//! `dbrewind drop`: forgets a mark's name.

use dbrewind_sqlite::{Status, WindowState};
use serde::Serialize;

use super::within;
use crate::arguments::DropArgs;
use crate::failure::Failure;
use crate::report::Report;
use crate::session::Session;
use crate::show;

#[derive(Serialize)]
struct Dropped<'a> {
    path: String,
    dropped: &'a str,
}

/// What is left to do, for who drops marks to make room.
fn still_full(status: &Status) -> Option<String> {
    let pins = match status.pins.as_slice() {
        [] => String::new(),
        [one] => format!("; one pinned mark is left, {}", one.name),
        [.., last] => format!("; {} pinned marks are left, such as {}", status.pins.len(), last.name),
    };
    match status.state {
        WindowState::Full => Some(format!("the history is still full{pins}")),
        WindowState::Stopped => {
            Some(format!("nothing is recorded any more until all who record have closed it{pins}"))
        }
        WindowState::Ok | WindowState::Alert => None,
    }
}

pub(crate) fn run(args: &DropArgs) -> Result<Report, Failure> {
    within(Session::open(&args.database)?, |session| {
        session.database.drop_mark(&args.name)?;
        let path = session.database.path().display().to_string();
        let (database, mark) = (show::plain(&session.name()), show::plain(&args.name));
        let text = format!("{database}: dropped mark {mark}");
        let mut report = Report::new(&Dropped { path, dropped: &args.name }, text)?;
        report.notes.extend(still_full(&session.database.status()?));
        Ok(report)
    })
}
