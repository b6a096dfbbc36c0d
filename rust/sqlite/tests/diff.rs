//! Rows that differ between two moments.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a failing test panics")]

mod support;

use std::collections::BTreeMap;

use dbrewind_sqlite::{Altered, At, CounterDiff, Database, Diff, Target, Value};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OpenFlags};
use support::World;
use support::wal::{WalWorld, to, unsynced};

fn past(at: &At) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(at.uri(), flags).unwrap()
}

fn ids(keys: &[Vec<Value>]) -> Vec<i64> {
    let id = |key: &Vec<Value>| match key.as_slice() {
        [Value::Integer(id)] => *id,
        other => panic!("{other:?}"),
    };
    keys.iter().map(id).collect()
}

/// A table's rows by key, as SQL tells.
fn rows(connection: &Connection, table: &str, key: &str) -> BTreeMap<String, Vec<Sql>> {
    let Ok(mut statement) = connection.prepare(&format!("select {key}, * from {table}")) else {
        return BTreeMap::new();
    };
    let columns = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut all = BTreeMap::new();
    while let Some(row) = rows.next().unwrap() {
        let values: Vec<Sql> = (0..columns).map(|at| row.get(at).unwrap()).collect();
        all.insert(format!("{:?}", values[0]), values);
    }
    all
}

/// Compares with what two connections tell, for a table with rowids.
fn is_right(db: &Database, diff: &Diff, table: &str) {
    let [old, new] = [diff.from, diff.to].map(|lsn| {
        let at = db.at(&Target::Lsn(lsn)).unwrap();
        rows(&past(&at), table, "rowid")
    });
    let found = diff.tables.get(table).cloned().unwrap_or_default();
    let names = |keys: &[Vec<Value>]| {
        let mut names: Vec<String> = ids(keys).iter().map(|id| format!("{:?}", Sql::Integer(*id))).collect();
        names.sort();
        names
    };
    let expected = |pick: &dyn Fn(&String) -> bool, of: &BTreeMap<String, Vec<Sql>>| {
        of.keys().filter(|key| pick(key)).cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&found.inserted), expected(&|key| !old.contains_key(key), &new), "inserted");
    assert_eq!(names(&found.deleted), expected(&|key| !new.contains_key(key), &old), "deleted");
    let differs = |key: &String| old.contains_key(key) && old[key] != new[key];
    assert_eq!(names(&found.updated), expected(&differs, &new), "updated");
}

#[test]
fn counters_are_told_by_name() {
    let world = WalWorld::with(unsynced());
    let (app, db) = (world.connect(), world.record());
    app.execute_batch("create table numbered(id integer primary key autoincrement)").unwrap();
    db.mark("a").unwrap();
    app.execute_batch("insert into numbered values (7); delete from numbered; pragma user_version=-5")
        .unwrap();
    let diff = db.diff(&to("a"), None).unwrap();
    let counter = |before, after| CounterDiff { before, after };
    let found: Vec<_> = diff.counters.iter().map(|(name, counter)| (name.as_str(), *counter)).collect();
    let expected =
        [("sqlite_sequence.numbered", counter(None, Some(7))), ("user_version", counter(Some(0), Some(-5)))];
    assert_eq!(found, expected);
    assert!(diff.tables.is_empty() && diff.schema.is_empty() && !diff.is_empty());
    assert_eq!(diff.to_string(), "sqlite_sequence.numbered: none -> 7\nuser_version: 0 -> -5");
}

#[test]
fn one_row_of_a_big_table_costs_a_few_pages() {
    let world = WalWorld::with(unsynced());
    let (app, db) = (world.connect(), world.record());
    app.execute_batch(
        "create table big(id integer primary key, a, b); create index i on big(a);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
         insert into big select i, i % 977, hex(i) || 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' from n",
    )
    .unwrap();
    let pages: i64 = app.query_row("pragma page_count", [], |row| row.get(0)).unwrap();
    assert!(pages > 3000, "{pages}");
    db.mark("a").unwrap();
    app.execute_batch("update big set b = 'other' where id = 123456").unwrap();
    let diff = db.diff(&to("a"), None).unwrap();
    assert_eq!(ids(&diff.tables["big"].updated), [123456]);
    assert_eq!((diff.tables.len(), diff.schema.len()), (1, 0));
    assert!(diff.tables["big"].inserted.is_empty() && diff.tables["big"].deleted.is_empty());
    assert!(diff.pages_read < 60, "{} of {pages} pages", diff.pages_read);
    assert_eq!(diff.to_string(), "big: 1 updated (123456)");
    // An index of it changes, too.
    app.execute_batch("update big set a = -1 where id in (7, 150000); delete from big where id = 8").unwrap();
    let diff = db.diff(&to("a"), None).unwrap();
    assert_eq!(ids(&diff.tables["big"].updated), [7, 123456, 150000]);
    assert_eq!(ids(&diff.tables["big"].deleted), [8]);
    assert!(diff.pages_read < 90, "{} of {pages} pages", diff.pages_read);
    let none = db.diff(&to("a"), Some(&to("a"))).unwrap();
    assert!(none.is_empty());
    assert_eq!(none.to_string(), "nothing differs");
}

#[test]
fn the_schema_is_compared() {
    let world = WalWorld::with(unsynced());
    let (app, db) = (world.connect(), world.record());
    app.execute_batch("create table gone(x); insert into gone values (1), (2); create view v as select 1")
        .unwrap();
    db.mark("a").unwrap();
    app.execute_batch(
        "drop table gone; create table new(x); insert into new values (5); create index i on new(x);
         alter table t add column y; insert into t(x, y) values (1, 2); drop view v; create view v as select 2",
    )
    .unwrap();
    let diff = db.diff(&to("a"), None).unwrap();
    let changes: Vec<(&str, &str, Altered)> =
        diff.schema.iter().map(|change| (change.kind.as_str(), change.name.as_str(), change.how)).collect();
    assert_eq!(
        changes,
        [
            ("index", "i", Altered::Created),
            ("table", "gone", Altered::Dropped),
            ("table", "new", Altered::Created),
            ("table", "t", Altered::Changed),
            ("view", "v", Altered::Changed),
        ]
    );
    assert_eq!(ids(&diff.tables["gone"].deleted), [1, 2]);
    assert_eq!(ids(&diff.tables["new"].inserted), [1]);
    assert_eq!(ids(&diff.tables["t"].inserted), [1]);
    let back = db.diff(&Target::Lsn(diff.to), Some(&to("a"))).unwrap();
    assert_eq!(ids(&back.tables["gone"].inserted), [1, 2]);
    assert!(back.to_string().contains("table gone: created"), "{back}");
}

#[test]
fn a_table_without_rowids_tells_its_keys() {
    let world = WalWorld::with(unsynced());
    let (app, db) = (world.connect(), world.record());
    app.execute_batch(
        "create table w(v, name text, n int, primary key(name, n)) without rowid;
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
         insert into w select hex(i), 'name ' || (i % 100), i from n",
    )
    .unwrap();
    db.mark("a").unwrap();
    app.execute_batch(
        "update w set v = 'other' where n = 1234; delete from w where n = 77; insert into w values (0, 'new', -5)",
    )
    .unwrap();
    let diff = db.diff(&to("a"), None).unwrap();
    let key = |name: &str, n| vec![Value::Text(name.to_owned()), Value::Integer(n)];
    let w = &diff.tables["w"];
    assert_eq!(w.updated, [key("name 34", 1234)]);
    assert_eq!(w.deleted, [key("name 77", 77)]);
    assert_eq!(w.inserted, [key("new", -5)]);
    assert_eq!(
        diff.to_string(),
        "w: 1 inserted ((\"new\", -5)), 1 deleted ((\"name 77\", 77)), 1 updated ((\"name 34\", 1234))"
    );
}

/// Only pages of its overflow chain change.
#[test]
fn a_long_value_overwritten_in_place_is_found() {
    let world = WalWorld::with(unsynced());
    let (app, db) = (world.connect(), world.record());
    app.execute_batch(
        "insert into t values (1, hex(zeroblob(25000))), (2, hex(zeroblob(25000))), (3, 'short')",
    )
    .unwrap();
    db.mark("a").unwrap();
    app.execute_batch("update t set x = substr(x, 1, 30000) || 'changed' || substr(x, 30008) where id = 2")
        .unwrap();
    let diff = db.diff(&to("a"), None).unwrap();
    assert_eq!(ids(&diff.tables["t"].updated), [2]);
    is_right(&db, &diff, "t");
}

/// Random work, in both engines; compared with what SQL tells of the two moments.
#[test]
fn it_is_what_sql_tells() {
    for mode in ["wal", "delete"] {
        let world = World::with("delete", "pragma page_size = 1024; pragma auto_vacuum = 1");
        let (db, app) = (world.record(), world.connect());
        if mode == "wal" {
            app.execute_batch("pragma journal_mode = wal").unwrap();
        }
        let mut seed = 0x9e37_79b9_u64;
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let mut marks = Vec::new();
        for round in 0..24 {
            for _ in 0..1 + next(3) {
                let (a, b) = (next(900), next(5000));
                let sql = match next(9) {
                    0..3 => format!(
                        "with recursive n(i) as (select 1 union all select i + 1 from n where i < {})
                         insert into t(v) select hex(randomblob({})) from n",
                        1 + a / 9,
                        b / 30
                    ),
                    3 => format!("update t set v = hex(randomblob({b})) where id % 50 = {}", a % 50),
                    4 => format!("update t set v = v || 'x' where id between {a} and {}", a + 20),
                    5 => format!("delete from t where id between {a} and {}", a + b / 40),
                    6 => format!("update t set v = replace(v, 'A', 'B') where id % 20 = {}", a % 20),
                    7 => {
                        "update t set id = id + 1000000 where id = (select max(id) from t where id < 1000000)"
                            .into()
                    }
                    _ if round % 8 == 7 => "vacuum".into(),
                    _ => "create table if not exists u(x); insert into u values (1)".into(),
                };
                app.execute_batch(&sql).unwrap();
            }
            if round % 5 == 4 && !marks.is_empty() {
                let back: &String = &marks[next(marks.len() as u64) as usize];
                db.rewind(&to(back), None).unwrap();
            }
            let name = format!("m{round}");
            db.mark(&name).unwrap();
            marks.push(name);
            let (a, b) = (next(marks.len() as u64) as usize, next(marks.len() as u64) as usize);
            let diff = db.diff(&to(&marks[a]), Some(&to(&marks[b]))).unwrap();
            is_right(&db, &diff, "t");
            is_right(&db, &diff, "u");
            let diff = db.diff(&to(&marks[a]), None).unwrap();
            is_right(&db, &diff, "t");
        }
    }
}
