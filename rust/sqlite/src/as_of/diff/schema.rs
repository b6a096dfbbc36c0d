//! What `sqlite_schema` says at a moment.

use std::collections::BTreeMap;

use super::pages::{Pages, damaged};
use super::record::{Value, values};
use super::{Altered, SchemaChange};
use crate::error::Error;

/// One row of it.
pub(super) struct Item {
    pub(super) name: String,
    pub(super) root: u32,
    sql: String,
}

/// Its rows, by kind and name.
pub(super) struct Schema(BTreeMap<(String, String), Item>);

impl Schema {
    pub(super) fn read(pages: &mut Pages) -> Result<Self, Error> {
        let mut items = BTreeMap::new();
        let records = if pages.count == 0 { Vec::new() } else { pages.records(1)? };
        for record in records {
            let Some((row, _)) = values(&record, 5, pages.encoding) else {
                return Err(damaged("a row of its schema is none"));
            };
            if let [Value::Text(kind), Value::Text(name), _, root, sql] = row.as_slice() {
                let root =
                    if let Value::Integer(root) = root { u32::try_from(*root).unwrap_or(0) } else { 0 };
                let sql = if let Value::Text(sql) = sql { sql.clone() } else { String::new() };
                items.insert((kind.clone(), name.clone()), Item { name: name.clone(), root, sql });
            }
        }
        Ok(Self(items))
    }

    /// The names of the tables that have rows of their own, without SQLite's.
    pub(super) fn tables(&self) -> impl Iterator<Item = &String> {
        self.0
            .iter()
            .filter(|((kind, name), item)| kind == "table" && item.root > 0 && !name.starts_with("sqlite_"))
            .map(|((_, name), _)| name)
    }

    pub(super) fn table(&self, name: &str) -> Option<&Item> {
        self.0.get(&("table".to_owned(), name.to_owned())).filter(|item| item.root > 0)
    }

    /// What is different in a later one.
    pub(super) fn changes(&self, later: &Self) -> Vec<SchemaChange> {
        let one = |(kind, name): &(String, String), how| SchemaChange {
            kind: kind.clone(),
            name: name.clone(),
            how,
        };
        let mut changes = Vec::new();
        for (key, item) in &self.0 {
            match later.0.get(key) {
                None => changes.push(one(key, Altered::Dropped)),
                Some(other) if other.sql != item.sql => changes.push(one(key, Altered::Changed)),
                Some(_) => {}
            }
        }
        let new = later.0.keys().filter(|key| !self.0.contains_key(key));
        changes.extend(new.map(|key| one(key, Altered::Created)));
        changes.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
        changes
    }
}
