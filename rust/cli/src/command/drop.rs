//! `dbrewind drop`: forgets a mark's name.

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

pub(crate) fn run(args: &DropArgs) -> Result<Report, Failure> {
    within(Session::open(&args.database)?, |session| {
        session.database.drop_mark(&args.name)?;
        let path = session.database.path().display().to_string();
        let (database, mark) = (show::plain(&session.name()), show::plain(&args.name));
        Report::new(&Dropped { path, dropped: &args.name }, format!("{database}: dropped mark {mark}"))
    })
}
