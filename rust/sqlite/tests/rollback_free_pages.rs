//! SQLite neither journals pages of the free list nor restores them: a program that we do not see can overwrite what
//! a mark still needs, and roll back, without a trace in the change counter.
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use dbrewind_sqlite::Target;
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
