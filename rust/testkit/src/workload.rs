//! Random work for a database: what applications do between two marks.

use std::fmt::Write;

use crate::peer::Peer;
use crate::seed::Rng;

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// New rows, small and large.
    Insert,
    /// Changes to some rows.
    Update,
    /// Rows that go.
    Delete,
    /// One value of many pages.
    Blob,
    /// Everything of one table goes.
    Empty,
    /// A table, of one of several kinds.
    CreateTable,
    /// A table less.
    DropTable,
    /// A column more, or another name.
    Alter,
    /// An index, or one less.
    Index,
    /// Full text search.
    FullText,
    /// A view with a trigger, or without.
    Trigger,
    /// `user_version`, `application_id`.
    Numbers,
    /// The file is written anew.
    Vacuum,
    /// Some pages off the free list.
    IncrementalVacuum,
    /// Another page size, in rollback modes; the file is written anew.
    PageSize,
    /// Another mode of `auto_vacuum`, which rewrites the file.
    AutoVacuum,
    /// Statistics.
    Analyze,
    /// Several statements, savepoints, part of it taken back.
    Savepoints,
    /// A transaction that is rolled back, larger than the cache.
    RolledBack,
    /// A transaction larger than the cache.
    Spill,
    /// A transaction without a change.
    Nothing,
    /// The application's own `wal_checkpoint`.
    Checkpoint,
}

/// Weights of an ordinary mixture.
pub const MIXTURE: &[(u64, Work)] = &[
    (30, Work::Insert),
    (25, Work::Update),
    (15, Work::Delete),
    (5, Work::Blob),
    (2, Work::Empty),
    (6, Work::CreateTable),
    (3, Work::DropTable),
    (4, Work::Alter),
    (5, Work::Index),
    (4, Work::FullText),
    (2, Work::Trigger),
    (3, Work::Numbers),
    (2, Work::Vacuum),
    (3, Work::IncrementalVacuum),
    (1, Work::PageSize),
    (1, Work::AutoVacuum),
    (1, Work::Analyze),
    (6, Work::Savepoints),
    (4, Work::RolledBack),
    (3, Work::Spill),
    (2, Work::Nothing),
    (6, Work::Checkpoint),
];

impl Work {
    /// True when other connections' open statements can make it fail, or it cannot run in a transaction.
    #[must_use]
    pub fn is_alone(self) -> bool {
        matches!(
            self,
            Self::Vacuum | Self::PageSize | Self::AutoVacuum | Self::Checkpoint | Self::IncrementalVacuum
        )
    }
}

/// The names a step can use, read from the database itself, since rewinds change them.
#[derive(Debug, Default)]
pub struct Schema {
    tables: Vec<String>,
    indices: Vec<String>,
    views: Vec<String>,
    bytes: u64,
}

impl Schema {
    /// Reads it through a peer.
    pub fn read(peer: &mut Peer) -> Self {
        let mut schema = Self::default();
        let rows =
            peer.must("select type, name from sqlite_schema where name glob '[tiv][0-9]*' order by name");
        for row in rows {
            match row[0].as_str() {
                "table" => schema.tables.push(row[1].clone()),
                "index" => schema.indices.push(row[1].clone()),
                "view" => schema.views.push(row[1].clone()),
                _ => {}
            }
        }
        let size = peer.must("select page_count * page_size from pragma_page_count, pragma_page_size");
        schema.bytes = size[0][0].parse().expect("a number");
        schema
    }
}

/// Above this the work shrinks the database.
const LARGE: u64 = 3 << 20;

/// SQL for one step.
pub fn sql(work: Work, rng: &mut Rng, schema: &Schema) -> String {
    let work = if schema.bytes > LARGE && matches!(work, Work::Insert | Work::Blob | Work::Spill) {
        Work::Empty
    } else {
        work
    };
    let Some(table) = (!schema.tables.is_empty()).then(|| rng.pick(&schema.tables).clone()) else {
        return create(rng);
    };
    match work {
        Work::Insert => insert(rng, &table, 40),
        Work::Update => update(rng, &table),
        Work::Delete => delete(rng, &table),
        Work::Blob => {
            let size = 1 << (10 + rng.below(8));
            format!(
                "insert into {table}(a, b) values({}, {})",
                rng.below(1000),
                payload(rng, size + rng_size(size))
            )
        }
        Work::Empty => format!("delete from {table}"),
        Work::CreateTable => {
            if schema.tables.len() < 8 {
                create(rng)
            } else {
                drop_table(schema, &table)
            }
        }
        Work::DropTable => drop_table(schema, &table),
        Work::Alter => match rng.below(3) {
            0 => format!("alter table {table} rename to t{}", rng.below(1_000_000)),
            _ => format!(
                "alter table {table} add column c{} any default {}",
                rng.below(1_000_000),
                rng.below(99)
            ),
        },
        Work::Index if !schema.indices.is_empty() && rng.chance(40) => {
            format!("drop index {}", rng.pick(&schema.indices))
        }
        Work::Index => {
            let columns = *rng.pick(&["a", "a, length(b)", "b, a", "a desc"]);
            format!("create index i{} on {table}({columns})", rng.below(1_000_000))
        }
        Work::FullText => full_text(rng),
        Work::Trigger if !schema.views.is_empty() && rng.chance(50) => {
            format!("drop view {}", rng.pick(&schema.views))
        }
        Work::Trigger => {
            let n = rng.below(1_000_000);
            format!(
                "create view v{n} as select a, length(b) as l from {table};
                 create trigger r{n} instead of insert on v{n} begin insert into {table}(a, b) \
                 values(new.a, zeroblob(new.l)); end;
                 insert into v{n}(a, l) values(1, 100), (2, 3000)"
            )
        }
        Work::Numbers => match rng.below(2) {
            0 => format!("pragma user_version = {}", rng.below(1 << 31)),
            _ => format!("pragma application_id = {}", rng.below(1 << 31)),
        },
        Work::Vacuum => "vacuum".to_owned(),
        Work::IncrementalVacuum => format!("pragma incremental_vacuum({})", rng.below(20)),
        Work::PageSize => format!("pragma page_size = {}; vacuum", 512 << rng.below(8)),
        Work::AutoVacuum => format!("pragma auto_vacuum = {}; vacuum", rng.below(3)),
        Work::Analyze => "analyze".to_owned(),
        Work::Savepoints => savepoints(rng, &table),
        Work::RolledBack => {
            format!("begin; {}; {}; {}; rollback", fill(rng, &table, 200), update(rng, &table), create(rng))
        }
        Work::Spill => {
            // Some milliseconds in which others can see the frames of a transaction that is not over.
            let busy = "select count(*) from (with recursive n(i) as (select 1 union all select i + 1 from n \
                        where i < 20000) select i from n)";
            format!(
                "pragma cache_size = 5; begin; {}; {busy}; {}; {busy}; {}; pragma cache_size = -2000",
                fill(rng, &table, 300),
                update(rng, &table),
                rng.pick(&["commit", "commit", "rollback"])
            )
        }
        Work::Nothing => {
            (*rng.pick(&["begin immediate; commit", "begin; select * from sqlite_schema; commit"])).to_owned()
        }
        Work::Checkpoint => {
            format!("pragma wal_checkpoint({})", rng.pick(&["passive", "full", "restart", "truncate"]))
        }
    }
}

/// SQL that creates a table.
pub fn create(rng: &mut Rng) -> String {
    let n = rng.below(1_000_000);
    let columns = *rng.pick(&[
        "(id integer primary key, a integer, b)",
        "(id integer primary key autoincrement, a integer, b)",
        "(a integer, b)",
        "(id integer primary key, a integer, b) strict",
        "(a integer, b, k integer not null default (random() & 1), id integer primary key) ",
        "(id integer primary key, a integer unique on conflict ignore, b)",
    ]);
    // `strict` knows no untyped column.
    let columns =
        if columns.ends_with("strict") { columns.replace(", b)", ", b any)") } else { columns.to_owned() };
    format!("create table t{n}{columns}; {}", insert(rng, &format!("t{n}"), 10))
}

/// Views go first: one that names a missing table makes every `alter table` fail.
fn drop_table(schema: &Schema, table: &str) -> String {
    let views = schema.views.iter().fold(String::new(), |all, view| all + "drop view " + view + "; ");
    format!("{views}drop table {table}")
}

fn insert(rng: &mut Rng, table: &str, rows: u64) -> String {
    let rows = 1 + rng.below(rows);
    fill(rng, table, rows)
}

fn fill(rng: &mut Rng, table: &str, rows: u64) -> String {
    let size = 1 + rng.below(700);
    let factor = 1 + rng.below(1 << 30);
    format!(
        "insert into {table}(a, b) with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows}) \
         select (i * {factor}) % 1000, printf('%d %.*c', i * {factor}, (i * {factor}) % {size}, char(97 + i % 26)) from n"
    )
}

fn update(rng: &mut Rng, table: &str) -> String {
    let from = rng.below(1000);
    let to = from + rng.below(200);
    match rng.below(3) {
        0 => format!("update {table} set b = {} where a between {from} and {to}", rng.bits() >> 20),
        1 => format!("update {table} set b = b || '{:x}' where a between {from} and {to}", rng.bits()),
        _ => format!("update or replace {table} set a = (a + 7) % 1000 where a between {from} and {to}"),
    }
}

fn delete(rng: &mut Rng, table: &str) -> String {
    let from = rng.below(1000);
    format!("delete from {table} where a between {from} and {}", from + rng.below(300))
}

fn payload(rng: &mut Rng, size: u64) -> String {
    format!("cast(printf('%d %.*c', {}, {size}, char({})) as blob)", rng.bits() >> 8, 97 + rng.below(26))
}

fn rng_size(size: u64) -> u64 {
    size / 3
}

fn full_text(rng: &mut Rng) -> String {
    let mut text = "create virtual table if not exists f using fts5(x)".to_owned();
    match rng.below(4) {
        0 => text += "; drop table f",
        1 => text += "; insert into f(f) values('optimize')",
        2 => text += "; delete from f where rowid % 3 = 0",
        _ => {
            for _ in 0..=rng.below(5) {
                let words = (0..12).fold(String::new(), |mut all, _| {
                    let _infallible = write!(all, "w{} ", rng.below(200));
                    all
                });
                let _infallible = write!(text, "; insert into f(x) values('{words}')");
            }
        }
    }
    text
}

fn savepoints(rng: &mut Rng, table: &str) -> String {
    format!(
        "begin; {}; savepoint one; {}; {}; savepoint two; {}; rollback to one; {}; release one; commit",
        insert(rng, table, 20),
        delete(rng, table),
        create(rng),
        update(rng, table),
        insert(rng, table, 5),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_valid_sql() {
        let dir = tempfile::tempdir().unwrap();
        for seed in 0..8 {
            let mut rng = Rng::new(seed);
            let mut peer = Peer::thread("worker");
            peer.open(&dir.path().join(format!("{seed}.db")), 0);
            for _ in 0..150 {
                let schema = Schema::read(&mut peer);
                let step = sql(rng.weighted(MIXTURE), &mut rng, &schema);
                peer.must(&step);
            }
            assert_eq!(peer.must("pragma integrity_check"), [["ok"]]);
        }
    }
}
