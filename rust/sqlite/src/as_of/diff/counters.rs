//! Numbers beside the rows: what `AUTOINCREMENT` has given, and the two of page 1 that belong to the application.

use std::collections::BTreeMap;

use super::CounterDiff;
use super::pages::{Pages, damaged};
use super::record::{Value, values};
use super::schema::Schema;
use crate::error::Error;

/// The table that SQLite keeps for `AUTOINCREMENT`.
const SEQUENCE: &str = "sqlite_sequence";

/// All of a moment, by name.
pub(super) fn read(schema: &Schema, pages: &mut Pages) -> Result<BTreeMap<String, i64>, Error> {
    let mut found = BTreeMap::from([
        ("user_version".to_owned(), pages.user_version),
        ("application_id".to_owned(), pages.application_id),
    ]);
    let Some(table) = schema.table(SEQUENCE) else { return Ok(found) };
    for record in pages.records(table.root)? {
        let (row, _) =
            values(&record, 2, pages.encoding).ok_or_else(|| damaged("a row of a counter is none"))?;
        // An application may write anything there.
        if let [Value::Text(name), Value::Integer(highest)] = row.as_slice() {
            found.insert(format!("{SEQUENCE}.{name}"), *highest);
        }
    }
    Ok(found)
}

/// Those that are not the same at both.
pub(super) fn compared(
    old: &BTreeMap<String, i64>,
    new: &BTreeMap<String, i64>,
) -> BTreeMap<String, CounterDiff> {
    let names = old.keys().chain(new.keys());
    names
        .map(|name| (name, CounterDiff { before: old.get(name).copied(), after: new.get(name).copied() }))
        .filter(|(_, counter)| counter.before != counter.after)
        .map(|(name, counter)| (name.clone(), counter))
        .collect()
}
