//! A table of rows, of which a round gives some another number and name.

use rusqlite::Connection;

use crate::random::Random;

/// Makes the table. The caller has begun no transaction.
pub(crate) fn table(app: &Connection, rows: u64, random: &mut Random) {
    app.execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY, number INTEGER, name TEXT, note TEXT); BEGIN")
        .unwrap();
    for id in 0..rows {
        let row = (id.cast_signed(), random.below(1 << 40).cast_signed(), random.name(), random.name());
        app.prepare_cached("INSERT INTO t VALUES(?1, ?2, ?3, ?4)").unwrap().execute(row).unwrap();
    }
    app.execute_batch("COMMIT").unwrap();
}

/// One transaction over so many random rows.
pub(crate) fn round(app: &Connection, rows: u64, a_round: u64, random: &mut Random) {
    app.execute_batch("BEGIN").unwrap();
    for _ in 0..a_round {
        let id = random.below(rows);
        let mut update = app.prepare_cached("UPDATE t SET number = ?2, name = ?3 WHERE id = ?1").unwrap();
        update.execute((id.cast_signed(), random.below(1 << 40).cast_signed(), random.name())).unwrap();
    }
    app.execute_batch("COMMIT").unwrap();
}
