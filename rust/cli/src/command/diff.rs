//! `dbrewind diff`: which rows differ.

use std::collections::BTreeMap;

use dbrewind_sqlite::{Altered, Diff, TableDiff, Value};
use serde::{Serialize, Serializer};

use super::within;
use crate::arguments::{DiffArgs, target};
use crate::failure::Failure;
use crate::report::Report;
use crate::session::Session;
use crate::show::{self, Cell};

/// As Python's `Diff`.
#[derive(Serialize)]
struct Differing<'a> {
    path: String,
    before: u64,
    after: u64,
    /// By kind and name, such as `table users`.
    schema: BTreeMap<String, &'static str>,
    tables: BTreeMap<&'a str, Rows<'a>>,
    /// What each was and is.
    counters: BTreeMap<&'a str, [Option<i64>; 2]>,
    pages_read: u64,
}

#[derive(Serialize)]
struct Rows<'a> {
    inserted: Vec<RowKey<'a>>,
    deleted: Vec<RowKey<'a>>,
    updated: Vec<RowKey<'a>>,
}

/// One value as it is, several as an array.
struct RowKey<'a>(&'a [Value]);

impl Serialize for RowKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [one] => Part(one).serialize(serializer),
            several => serializer.collect_seq(several.iter().map(Part)),
        }
    }
}

struct Part<'a>(&'a Value);

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Odd {
    /// In hex.
    Blob(String),
    /// `inf` or `-inf`, for which JSON has no number.
    Real(String),
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_none(),
            Value::Integer(number) => serializer.serialize_i64(*number),
            Value::Real(number) if number.is_finite() => serializer.serialize_f64(*number),
            Value::Real(number) => Odd::Real(number.to_string()).serialize(serializer),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Blob(bytes) => {
                let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                Odd::Blob(hex).serialize(serializer)
            }
        }
    }
}

impl<'a> Rows<'a> {
    fn of(table: &'a TableDiff) -> Self {
        let keys = |all: &'a [Vec<Value>]| all.iter().map(|key| RowKey(key)).collect();
        Self { inserted: keys(&table.inserted), deleted: keys(&table.deleted), updated: keys(&table.updated) }
    }
}

fn word(how: Altered) -> &'static str {
    match how {
        Altered::Created => "created",
        Altered::Dropped => "dropped",
        Altered::Changed => "changed",
    }
}

pub(crate) fn run(args: &DiffArgs) -> Result<Report, Failure> {
    within(Session::open(&args.database)?, |session| {
        let from = match &args.from {
            Some(text) => target(text)?,
            None => session.newest_mark()?,
        };
        let to = args.to.as_deref().map(target).transpose()?;
        let diff = session.database.diff(&from, to.as_ref())?;
        let json = Differing {
            path: session.database.path().display().to_string(),
            before: diff.from.get(),
            after: diff.to.get(),
            schema: diff
                .schema
                .iter()
                .map(|change| (format!("{} {}", change.kind, change.name), word(change.how)))
                .collect(),
            tables: diff.tables.iter().map(|(name, table)| (name.as_str(), Rows::of(table))).collect(),
            counters: diff
                .counters
                .iter()
                .map(|(name, counter)| (name.as_str(), [counter.before, counter.after]))
                .collect(),
            pages_read: diff.pages_read,
        };
        Report::new(&json, if show::on_terminal() { table(&diff) } else { lines(&diff) })
    })
}

/// The engine's own lines, in which names and keys stand as they are.
fn lines(diff: &Diff) -> String {
    diff.to_string().lines().map(show::plain).collect::<Vec<_>>().join("\n")
}

fn table(diff: &Diff) -> String {
    if diff.is_empty() {
        return "nothing differs".to_owned();
    }
    let counted = |count: usize, style| match count {
        0 => Cell::new("-"),
        count => Cell::styled(count.to_string(), style),
    };
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for change in &diff.schema {
        rows.push(vec![
            Cell::new(&change.kind),
            Cell::styled(&change.name, show::STRONG),
            Cell::styled(word(change.how), show::WARNING),
        ]);
    }
    for (name, table) in &diff.tables {
        rows.push(vec![
            Cell::new("rows of"),
            Cell::styled(name, show::STRONG),
            Cell::new(""),
            counted(table.inserted.len(), show::GOOD),
            counted(table.deleted.len(), show::BAD),
            counted(table.updated.len(), show::WARNING),
        ]);
    }
    let shown = |number: Option<i64>| number.map_or_else(|| "none".to_owned(), |number| number.to_string());
    for (name, counter) in &diff.counters {
        let change = format!("{} -> {}", shown(counter.before), shown(counter.after));
        rows.push(vec![
            Cell::new("counter"),
            Cell::styled(name, show::STRONG),
            Cell::styled(change, show::WARNING),
        ]);
    }
    show::table(&["", "NAME", "SCHEMA", "INSERTED", "DELETED", "UPDATED"], &rows)
}
