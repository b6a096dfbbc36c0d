//! SQLite neither journals pages of the free list nor restores them: a program that we do not see can overwrite what
//! a mark still needs, and roll back, without a trace in the change counter.
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use dbrewind_sqlite::{Database, Journal, OpenOptions, SqliteApi, Target};
use support::World;

#[test]
fn free_pages_of_a_foreign_rollback() {
    let world = World::new("delete", 1024);
    let database = world.record();
    let app = world.connect();
    world.fill(&app, 0..200);
    database.mark("full").unwrap();
    app.execute_batch("delete from t").unwrap();
    drop(app);
    database.close().unwrap();
    drop(database);

    world.plain(
        "pragma cache_size=5; begin; \
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 150) \
         insert into t select i, hex(randomblob(150)) from n; rollback",
    );

    let database = world.record();
    match database.rewind(&Target::Name("full".to_owned()), None) {
        Ok(_) => {
            let app = world.connect();
            world.check(&app);
            let wrong: i64 = app
                .query_row("select count(*) from t where v <> printf('%0300d', id)", [], |row| row.get(0))
                .unwrap();
            assert_eq!((world.count(&app), wrong), (200, 0), "a kept mark is wrong");
        }
        Err(error) => assert_eq!(error.code().text(), "DBR011"),
    }
}

/// Pages that became free in WAL mode leave no frame: an era of before-images that follows saves them at its beginning.
#[test]
fn free_pages_from_before_a_change_to_delete() {
    let world = World::new("delete", 1024);
    world.plain("pragma journal_mode=wal");
    let wal = OpenOptions { journal: Some(Journal::Wal), ..OpenOptions::default() };
    let database = Database::open(SqliteApi::bundled(), &world.path(), &wal).unwrap();
    world.plain(
        "with recursive n(i) as (select 0 union all select i + 1 from n where i < 199) \
         insert into t select i, printf('%0300d', i) from n",
    );
    database.mark("full").unwrap();
    let full = database.digest().unwrap();
    // Not by the shell, which may be one that overwrites what it frees.
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let app = rusqlite::Connection::open_with_flags_and_vfs(world.path(), flags, c"unix").unwrap();
    app.execute_batch("delete from t").unwrap();
    drop(app);
    database.close().unwrap();
    drop(database);
    let delete = OpenOptions { journal: Some(Journal::Delete), ..OpenOptions::default() };
    let database = Database::open(SqliteApi::bundled(), &world.path(), &delete).unwrap();
    let before = database.digest().unwrap();
    world.plain(
        "pragma cache_size=5; begin; \
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 150) \
         insert into t select i, hex(randomblob(150)) from n; rollback",
    );
    assert_ne!(database.digest().unwrap(), before, "nothing was written to free pages");
    database.rewind(&Target::Name("full".to_owned()), None).unwrap();
    assert_eq!(database.digest().unwrap(), full, "a kept mark is wrong");
    world.check(&world.connect());
}
