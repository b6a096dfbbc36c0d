//! The rows of one table at one moment, as far as they are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use super::btree::{Cell, TreePage};
use super::pages::{Pages, damaged};
use super::record::{Value, values};
use super::schema::Item;
use crate::as_of::{At, Origin};
use crate::error::Error;
use crate::ffi::Connection;

/// A key by which rows are put in order and found again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Key {
    Rowid(i64),
    /// As it is written.
    Record(Vec<u8>),
}

/// The hash of each row's record, and its key in values.
pub(super) type Loaded = BTreeMap<Key, (u128, Vec<Value>)>;

/// See the module.
pub(super) struct Rows {
    root: u32,
    /// How many values the key has, of a table without rowids.
    key: Option<usize>,
    loaded: Loaded,
}

impl Rows {
    /// `key_len` answers how many columns the key has, of a table without rowids.
    pub(super) fn open(
        item: &Item,
        pages: &mut Pages,
        key_len: &dyn Fn(&Item) -> Result<usize, Error>,
    ) -> Result<Self, Error> {
        let rowids = TreePage::read(pages, item.root)?.kind.has_rowids();
        let key = if rowids { None } else { Some(key_len(item)?) };
        Ok(Self { root: item.root, key, loaded: Loaded::new() })
    }

    /// Whether rows of both are told apart in the same way.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// The pages that have rows. Reads the inner ones.
    pub(super) fn pages(&mut self, pages: &mut Pages) -> Result<BTreeSet<u32>, Error> {
        let mut found = BTreeSet::new();
        // Trees are as deep everywhere: below the level of a leaf nothing is read.
        let mut level = vec![self.root];
        let mut first = TreePage::read(pages, self.root)?;
        let mut visited = 0;
        loop {
            if !first.kind.is_inner() {
                found.extend(level);
                return Ok(found);
            }
            let mut below = Vec::new();
            for number in level {
                visited += 1;
                let page = TreePage::read(pages, number)?;
                if self.key.is_some() {
                    found.insert(number);
                }
                below.extend(page.children());
                pages.check_pages(visited + below.len())?;
            }
            let Some(next) = below.first() else { return Ok(found) };
            first = TreePage::read(pages, *next)?;
            level = below;
        }
    }

    /// Loads the rows of a page.
    pub(super) fn load(&mut self, page: u32, pages: &mut Pages) -> Result<(), Error> {
        for cell in TreePage::read(pages, page)?.rows()? {
            self.take_row(cell, pages)?;
        }
        Ok(())
    }

    /// Loads those rows of a page that have a part on one of these.
    pub(super) fn load_if_on(
        &mut self,
        page: u32,
        pages: &mut Pages,
        on: &BTreeSet<u32>,
    ) -> Result<(), Error> {
        for cell in TreePage::read(pages, page)?.rows()? {
            if cell.is_on(pages, on)? {
                self.take_row(cell, pages)?;
            }
        }
        Ok(())
    }

    fn take_row(&mut self, cell: Cell, pages: &mut Pages) -> Result<(), Error> {
        let rowid = cell.rowid;
        let record = cell.record(pages)?;
        let (key, shown) = match (rowid, self.key) {
            (Some(rowid), None) => (Key::Rowid(rowid), vec![Value::Integer(rowid)]),
            (None, Some(len)) => {
                let found = values(&record, len, pages.encoding);
                let (shown, raw) = found.ok_or_else(|| damaged("a row is none"))?;
                (Key::Record(raw), shown)
            }
            _ => return Err(damaged("a page of a table is of another kind of table")),
        };
        self.loaded.insert(key, (xxh3_128(&record), shown));
        Ok(())
    }

    pub(super) fn take(self) -> Loaded {
        self.loaded
    }
}

/// How many columns the key of a table without rowids has. SQLite reads the definition.
pub(super) fn key_len(item: &Item, at: &At, origin: &Arc<Origin>) -> Result<usize, Error> {
    let failed = || Error::sqlite("read a table's definition");
    let connection = Connection::open_uri(origin.api, at.uri()).map_err(failed())?;
    let name = item.name.replace('\'', "''");
    let sql = format!("SELECT count(*) FROM pragma_table_info('{name}') WHERE pk > 0");
    let sql = CString::new(sql).map_err(|_| damaged("a table's name has a NUL"))?;
    let found = connection.execute(&sql).map_err(failed())?;
    found
        .and_then(|count| count.parse().ok())
        .filter(|count| *count > 0)
        .ok_or_else(|| damaged("a key has no columns"))
}
