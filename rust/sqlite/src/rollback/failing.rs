//! A rewind fails when its guard is in the journal's place: nothing has happened, and no spare file is trusted after it.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dbrewind_core::{Lsn, Store, StoreOptions};
use rusqlite::{Connection, OpenFlags};

use super::engine::Rollback;
use super::rewind::newest_begun;
use crate::SqliteApi;
use crate::engine::{Engine, History, locked};
use crate::fault;
use crate::handover::Hook;
use crate::options::{OpenOptions, Synchronous};

const TIMEOUT: Duration = Duration::from_secs(10);

fn record(path: &Path, synchronous: Synchronous) -> Rollback {
    let store = Store::open(&path.with_file_name("store"), &StoreOptions::default()).unwrap();
    let object = store.object("app", 4096).unwrap();
    let history = Arc::new(Mutex::new(History::new(store, object, 4096)));
    let options = OpenOptions { timeout: TIMEOUT, synchronous, default_vfs: false, ..OpenOptions::default() };
    let hook = Hook::silent(|_, _, _, _| None);
    Rollback::open(SqliteApi::bundled(), path, history, 4096, &options, hook).unwrap()
}

/// Whether the next spare file is known to be where it belongs, whatever a power cut does.
fn next_is_back(engine: &Rollback) -> bool {
    let mut history = locked(&engine.history);
    history.catch_up().unwrap();
    let newest = newest_begun(&history.timeline);
    engine.spares.next(engine.store.dir(), engine.object, newest, engine.synchronous).unwrap().is_back
}

fn rows(app: &Connection) -> u32 {
    app.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
}

#[test]
fn failed_rewind_leaves_no_spare_file_certain() {
    for synchronous in [Synchronous::Normal, Synchronous::Full] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("app.db");
        let journal = super::journal_path(&path);
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t(x)").unwrap();
        let (mut ours, mut theirs) = (record(&path, synchronous), record(&path, synchronous));
        let app = Connection::open_with_flags_and_vfs(&path, OpenFlags::default(), "dbrewind").unwrap();
        let first = ours.moment(true).unwrap().lsn;
        app.execute_batch("INSERT INTO t VALUES(1)").unwrap();
        let second = ours.moment(true).unwrap().lsn;
        let go = |engine: &mut Rollback, to: Lsn, count: u32| {
            engine.rewind(to, TIMEOUT).map(drop).unwrap();
            assert_eq!((rows(&app), journal.exists()), (count, false));
        };
        let fail = |engine: &mut Rollback, to: Lsn| {
            let before = rows(&app);
            fault::fail("guard: in the journal's place", 1);
            assert!(engine.rewind(to, TIMEOUT).is_err());
            assert_eq!((rows(&app), journal.exists()), (before, false));
        };
        assert!(!next_is_back(&ours));
        go(&mut ours, first, 0);
        assert!(next_is_back(&ours) && !next_is_back(&theirs));
        fail(&mut ours, second);
        assert!(!next_is_back(&ours) && !next_is_back(&theirs));
        go(&mut ours, second, 1);
        assert!(next_is_back(&ours));
        fail(&mut theirs, first);
        assert!(!next_is_back(&ours) && !next_is_back(&theirs));
        go(&mut theirs, first, 0);
        assert!(!next_is_back(&ours) && next_is_back(&theirs));
    }
}
