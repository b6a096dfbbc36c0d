//! Which rows differ between two moments: found by the pages that differ, then compared (`as-of.md`, "What differs").

mod btree;
mod counters;
#[cfg(any(test, feature = "fuzzing"))]
mod hostile;
mod pages;
mod record;
mod schema;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dbrewind_core::Lsn;

use super::{At, Origin, View};
use crate::engine::locked;
use crate::error::Error;
use crate::progress::Steps;
#[cfg(feature = "fuzzing")]
pub(crate) use hostile::{compare, record};
use pages::Pages;
pub use record::Value;
use schema::{Item, Schema};
use table::{Rows, key_len};

/// What differs between two moments.
///
/// ```
/// use dbrewind_sqlite::{Database, OpenOptions, SqliteApi, Value};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("app.db");
/// # let app = rusqlite::Connection::open(&path)?;
/// # app.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE users(id INTEGER PRIMARY KEY, name)")?;
/// # let db = Database::open(SqliteApi::bundled(), &path, &OpenOptions::default())?;
/// db.mark("empty")?;
/// app.execute("INSERT INTO users VALUES (7, 'Ann')", [])?;
///
/// let diff = db.diff(&"empty".into(), None)?;
/// assert_eq!(diff.tables["users"].inserted, [[Value::Integer(7)]]);
/// assert!(diff.schema.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Diff {
    /// The first moment.
    pub from: Lsn,
    /// The second.
    pub to: Lsn,
    /// Tables, indexes, views and triggers that are there at one of the moments only, or have another definition. By kind
    /// and name.
    pub schema: Vec<SchemaChange>,
    /// The tables with rows that differ, by name; of those that are there at one moment only all rows do. Without virtual
    /// tables, whose rows are in tables of their own, and without SQLite's own (`sqlite_...`).
    pub tables: BTreeMap<String, TableDiff>,
    /// The counters that differ, and what they were and are: `sqlite_sequence.users`, the highest id that `AUTOINCREMENT`
    /// has given in the table `users`; `user_version` and `application_id`.
    pub counters: BTreeMap<String, CounterDiff>,
    /// How many pages were read for it, at both moments together.
    pub pages_read: u64,
}

/// One object of the schema that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SchemaChange {
    /// `table`, `index`, `view` or `trigger`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// How.
    pub how: Altered,
}

/// How an object of the schema differs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Altered {
    /// It is there at the second moment only.
    Created,
    /// It is there at the first moment only.
    Dropped,
    /// It has another definition.
    Changed,
}

/// What a counter was and is; `None`: it is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CounterDiff {
    /// At the first moment.
    pub before: Option<i64>,
    /// At the second moment.
    pub after: Option<i64>,
}

/// The rows of one table that differ, by their keys: the rowid, or the primary key of a table without one.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TableDiff {
    /// There at the second moment only.
    pub inserted: Vec<Vec<Value>>,
    /// There at the first moment only.
    pub deleted: Vec<Vec<Value>>,
    /// There at both, with different content.
    pub updated: Vec<Vec<Value>>,
}

impl TableDiff {
    /// Whether no row differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inserted.is_empty() && self.deleted.is_empty() && self.updated.is_empty()
    }
}

impl Diff {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.schema.is_empty() && self.tables.is_empty() && self.counters.is_empty()
    }
}

impl std::fmt::Display for Altered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Dropped => "dropped",
            Self::Changed => "changed",
        })
    }
}

impl std::fmt::Display for Diff {
    /// `users: 2 inserted (7, 9), 1 updated (3)`, a line for each table.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing differs");
        }
        let mut lines = Vec::new();
        for change in &self.schema {
            lines.push(format!("{} {}: {}", change.kind, change.name, change.how));
        }
        for (name, table) in &self.tables {
            let kinds =
                [("inserted", &table.inserted), ("deleted", &table.deleted), ("updated", &table.updated)];
            let parts = kinds.iter().filter(|(_, keys)| !keys.is_empty()).map(|(how, keys)| {
                let some: Vec<String> = keys.iter().take(SHOWN).map(|key| key_text(key)).collect();
                let more = if keys.len() > SHOWN { ", ..." } else { "" };
                format!("{} {how} ({}{more})", keys.len(), some.join(", "))
            });
            lines.push(format!("{name}: {}", parts.collect::<Vec<_>>().join(", ")));
        }
        let shown =
            |number: Option<i64>| number.map_or_else(|| "none".to_owned(), |number| number.to_string());
        for (name, CounterDiff { before, after }) in &self.counters {
            lines.push(format!("{name}: {} -> {}", shown(*before), shown(*after)));
        }
        f.write_str(&lines.join("\n"))
    }
}

/// More keys are not shown in one line.
const SHOWN: usize = 8;

fn key_text(key: &[Value]) -> String {
    match key {
        [one] => one.to_string(),
        several => format!("({})", several.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Compares two moments that are granted.
pub(crate) fn diff(origin: &Arc<Origin>, from: &At, to: &At) -> Result<Diff, Error> {
    let mut both = Both {
        a: Pages::new(View::open(origin, from.lsn())?)?,
        b: Pages::new(View::open(origin, to.lsn())?)?,
        changed: changed(origin, from.lsn(), to.lsn())?,
    };
    if both.a.size != both.b.size || u64::from(both.a.size) != both.a.block() {
        // Pages are not what the log speaks of.
        both.changed = None;
    }
    let key_lens = (|item: &Item| key_len(item, from, origin), |item: &Item| key_len(item, to, origin));
    compare_pages(&mut both, (from.lsn(), to.lsn()), (&key_lens.0, &key_lens.1))
}

/// How many columns the keys of tables without rowids have, at each of the moments.
type KeyLens<'a> = (&'a dyn Fn(&Item) -> Result<usize, Error>, &'a dyn Fn(&Item) -> Result<usize, Error>);

fn compare_pages(both: &mut Both, (from, to): (Lsn, Lsn), key_lens: KeyLens<'_>) -> Result<Diff, Error> {
    let (old, new) = (Schema::read(&mut both.a)?, Schema::read(&mut both.b)?);
    let mut compared = Vec::new();
    let names: BTreeSet<&String> = old.tables().chain(new.tables()).collect();
    for name in names {
        let (one, other) = (old.table(name), new.table(name));
        compared.push(Compared::of(name, one, other, both, key_lens)?);
    }
    let pages = compared.iter().map(|table| table.only.0.len() + table.only.1.len()).sum::<usize>();
    let mut steps = Steps::of(pages as u64);
    for table in &mut compared {
        table.load(both, &mut steps)?;
    }
    both.look_for_overflow(&mut compared)?;
    let counters =
        counters::compared(&counters::read(&old, &mut both.a)?, &counters::read(&new, &mut both.b)?);
    let tables = compared
        .into_iter()
        .map(|table| (table.name.clone(), table.differences()))
        .filter(|(_, table)| !table.is_empty());
    Ok(Diff {
        from,
        to,
        schema: old.changes(&new),
        tables: tables.collect(),
        counters,
        pages_read: both.a.read + both.b.read,
    })
}

/// The pages that may differ, of those that both moments have. `None`: any may.
fn changed(origin: &Arc<Origin>, from: Lsn, to: Lsn) -> Result<Option<BTreeSet<u32>>, Error> {
    let history = origin.history()?;
    let mut history = locked(&history);
    history.catch_up()?;
    // The present of a rollback mode is no moment to go to.
    let plan = history.plan(to, from).or_else(|_| history.plan(from, to));
    Ok(plan.ok().map(|plan| plan.items.iter().filter_map(|(key, _)| u32::try_from(key.get()).ok()).collect()))
}

/// The two moments, and which pages differ between them.
struct Both {
    a: Pages,
    b: Pages,
    changed: Option<BTreeSet<u32>>,
}

impl Both {
    /// Whether a page that both moments have holds the same.
    fn is_same(&self, page: u32) -> bool {
        self.changed.as_ref().is_some_and(|changed| !changed.contains(&page))
    }

    /// SQLite overwrites a long value in place: then a page of its overflow chain differs, and the row's own page does not.
    /// If a page differs of which nothing else is known, all rows with overflow are looked at.
    fn look_for_overflow(&mut self, compared: &mut [Compared]) -> Result<(), Error> {
        let Some(changed) = &self.changed else { return Ok(()) };
        let last = self.a.count.min(self.b.count);
        let mut suspects: Vec<u32> =
            changed.iter().copied().filter(|page| *page > 1 && *page <= last).collect();
        suspects.retain(|page| !self.a.followed.contains(page) && !self.b.followed.contains(page));
        suspects.retain(|page| !self.a.is_map(*page));
        let mut rest = BTreeSet::new();
        for page in suspects {
            if !self.a.is_of_a_tree(page)? && !self.b.is_of_a_tree(page)? {
                rest.insert(page);
            }
        }
        if !rest.is_empty() {
            let free = self.a.free()?;
            rest.retain(|page| !free.contains(page));
        }
        if !rest.is_empty() {
            let free = self.b.free()?;
            rest.retain(|page| !free.contains(page));
        }
        if rest.is_empty() {
            return Ok(());
        }
        for table in compared {
            table.load_overflowing(self, &rest)?;
        }
        Ok(())
    }
}

/// One table, and its rows on the pages that are not the same at both moments.
struct Compared {
    name: String,
    a: Option<Rows>,
    b: Option<Rows>,
    /// Pages with rows that are the same, but for what their rows have elsewhere.
    common: Vec<u32>,
    /// The other pages with rows, at each of the moments.
    only: (Vec<u32>, Vec<u32>),
}

impl Compared {
    fn of(
        name: &str,
        old: Option<&Item>,
        new: Option<&Item>,
        both: &mut Both,
        key_lens: KeyLens<'_>,
    ) -> Result<Self, Error> {
        let mut a = old.map(|item| Rows::open(item, &mut both.a, key_lens.0)).transpose()?;
        let mut b = new.map(|item| Rows::open(item, &mut both.b, key_lens.1)).transpose()?;
        let here = a.as_mut().map(|rows| rows.pages(&mut both.a)).transpose()?.unwrap_or_default();
        let there = b.as_mut().map(|rows| rows.pages(&mut both.b)).transpose()?.unwrap_or_default();
        let alike = a.as_ref().zip(b.as_ref()).is_some_and(|(a, b)| a.is_like(b));
        let common: BTreeSet<u32> =
            here.intersection(&there).copied().filter(|page| alike && both.is_same(*page)).collect();
        let only = |pages: &BTreeSet<u32>| pages.difference(&common).copied().collect();
        let only = (only(&here), only(&there));
        Ok(Self { name: name.to_owned(), a, b, common: common.into_iter().collect(), only })
    }

    /// Loads the rows of the pages that are not common.
    fn load(&mut self, both: &mut Both, steps: &mut Steps) -> Result<(), Error> {
        let (here, there) = std::mem::take(&mut self.only);
        for page in here {
            self.a.as_mut().map_or(Ok(()), |rows| rows.load(page, &mut both.a))?;
            steps.add(1);
        }
        for page in there {
            self.b.as_mut().map_or(Ok(()), |rows| rows.load(page, &mut both.b))?;
            steps.add(1);
        }
        Ok(())
    }

    /// Loads the rows of the common pages that have a part on one of these pages.
    fn load_overflowing(&mut self, both: &mut Both, on: &BTreeSet<u32>) -> Result<(), Error> {
        let (Some(a), Some(b)) = (&mut self.a, &mut self.b) else { return Ok(()) };
        for page in &self.common {
            a.load_if_on(*page, &mut both.a, on)?;
            b.load_if_on(*page, &mut both.b, on)?;
        }
        Ok(())
    }

    fn differences(self) -> TableDiff {
        let (mut old, new) =
            (self.a.map_or_else(BTreeMap::new, Rows::take), self.b.map_or_else(BTreeMap::new, Rows::take));
        let mut found = TableDiff::default();
        for (key, (content, shown)) in new {
            match old.remove(&key) {
                None => found.inserted.push(shown),
                Some((before, _)) if before != content => found.updated.push(shown),
                Some(_) => {}
            }
        }
        found.deleted = old.into_values().map(|(_, shown)| shown).collect();
        found
    }
}
