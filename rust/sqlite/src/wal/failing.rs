//! The disk fails in the middle of a rewind or of a new generation: nothing comes back later, and the next call goes on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dbrewind_core::{Code, Lsn, Store, StoreOptions};
use rusqlite::Connection;

use super::core::Core;
use crate::engine::{History, locked};
use crate::fault;
use crate::options::{OpenOptions, Synchronous};
use crate::rewound::Method;
use crate::{Error, SqliteApi};

const TIMEOUT: Duration = Duration::from_secs(10);

/// A recording without its tail: what happens, happens on the test's thread.
struct Scene {
    dir: tempfile::TempDir,
    app: Connection,
    core: Core,
}

impl Scene {
    fn new() -> Self {
        Self::with(StoreOptions::default())
    }

    fn with(store: StoreOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        let app = Connection::open(&path).unwrap();
        app.execute_batch(
            "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; CREATE TABLE t(x)",
        )
        .unwrap();
        let core = record(&path, &store);
        Self { dir, app, core }
    }

    /// Another recording, as of another process.
    fn second(&self) -> Core {
        record(&self.path(), &StoreOptions::default())
    }

    /// Begins a transaction of this many frames, which SQLite writes to the WAL before it commits.
    fn begin_long(&self, frames: usize) {
        let long = format!("PRAGMA cache_size=5; BEGIN; INSERT INTO t VALUES(zeroblob({}))", frames * 4096);
        self.app.execute_batch(&long).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("app.db")
    }

    fn insert(&self, text: &str) {
        self.app.execute("INSERT INTO t VALUES(?1)", [text]).unwrap();
    }

    fn now(&mut self) -> Lsn {
        self.core.moment().unwrap().lsn
    }

    fn rewind(&mut self, to: Lsn) -> Result<Method, Error> {
        self.core.attached(|core| core.rewind(to, TIMEOUT)).map(|change| change.method)
    }

    fn rows(&self) -> Vec<String> {
        rows(&self.app)
    }

    /// What a connection finds after everybody was killed now. Copied by another process: closing the file in this one
    /// would drop our locks.
    fn rows_after_a_kill(&self) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let mut wal = self.path().into_os_string();
        wal.push("-wal");
        let copied = Command::new("cp").arg(self.path()).arg(wal).arg(dir.path()).status().unwrap();
        assert!(copied.success());
        rows(&Connection::open(dir.path().join("app.db")).unwrap())
    }

    /// Goes to every one of these moments, twice.
    fn check(&mut self, moments: &[(Lsn, Vec<String>)]) {
        for (lsn, expected) in moments.iter().chain(moments.iter().rev()) {
            self.rewind(*lsn).unwrap();
            assert_eq!(self.rows(), *expected, "{lsn}");
            assert_eq!(self.rows_after_a_kill(), *expected, "{lsn}");
        }
        let check: String = self.app.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    }
}

fn record(path: &Path, store: &StoreOptions) -> Core {
    record_into(path, &path.with_file_name("store"), store)
}

fn record_into(path: &Path, store: &Path, options: &StoreOptions) -> Core {
    let store = Store::open(store, options).unwrap();
    let object = store.object("app", 4096).unwrap();
    let history = Arc::new(Mutex::new(History::new(store, object, 4096)));
    let options = OpenOptions { timeout: TIMEOUT, synchronous: Synchronous::Full, ..OpenOptions::default() };
    let mut core = Core::open(SqliteApi::bundled(), path, 4096, history, &options).unwrap();
    core.attach().unwrap();
    core
}

fn rows(app: &Connection) -> Vec<String> {
    let mut statement = app.prepare("SELECT x FROM t ORDER BY rowid").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn three_moments(scene: &mut Scene) -> Vec<(Lsn, Vec<String>)> {
    ["one", "two", "three"]
        .map(|text| {
            scene.insert(text);
            (scene.now(), scene.rows())
        })
        .to_vec()
}

/// A transaction that was written but not published must not be found by SQLite's next recovery.
#[test]
fn a_written_rewind_that_failed_does_not_come_back() {
    for place in ["wal: sync", "wal: write", "wal index: enter"] {
        let mut scene = Scene::new();
        let mut moments = three_moments(&mut scene);
        // A reader in its transaction: the rewind is written.
        let reader = Connection::open(scene.path()).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        let first = moments[0].0;
        fault::fail(place, 1);
        assert!(scene.rewind(first).is_err(), "{place}");
        assert_eq!(scene.rows(), ["one", "two", "three"]);
        assert_eq!(scene.rows_after_a_kill(), ["one", "two", "three"], "{place}");
        assert_eq!(scene.rewind(first).unwrap(), Method::Written);
        assert_eq!(scene.rows_after_a_kill(), ["one"]);
        scene.insert("four");
        moments.push((scene.now(), scene.rows()));
        drop(reader);
        scene.check(&moments);
    }
}

/// The old frame is put back; where that fails as well, it is as after a kill, which the next call finds out about.
#[test]
fn a_moved_rewind_that_failed_leaves_one_of_two_states_and_goes_on() {
    for (place, times) in [("wal: sync", 1), ("wal: write", 1), ("wal: write", 2), ("wal index: enter", 1)] {
        let mut scene = Scene::new();
        let mut moments = three_moments(&mut scene);
        let first = moments[0].0;
        fault::fail(place, times);
        let error = scene.rewind(first).unwrap_err();
        let found = scene.rows();
        let old = found == ["one", "two", "three"];
        assert!(old || found == ["one"], "{place}: {found:?}");
        // Every other error leaves the old state.
        let late = matches!(error, Error::Late { .. });
        assert!(old || late, "{place}: {error}");
        assert_eq!(late, times > 1 || place == "wal index: enter", "{place}: {error}");
        assert_eq!(error.to_string().contains("the database is at the target"), late, "{place}: {error}");
        assert_eq!(scene.rows_after_a_kill(), found, "{place}");
        if !late {
            let mut history = locked(&scene.core.history);
            history.catch_up().unwrap();
            let timeline = &history.timeline;
            // Else no anchor could vouch for it at the next end of the recording.
            assert_eq!(timeline.highest_said(), timeline.last(), "{place}: what came of it is said");
        }
        scene.insert("four");
        moments.push((scene.now(), scene.rows()));
        assert_eq!(scene.rewind(first).unwrap(), Method::Moved, "{place} {times}");
        scene.check(&moments);
    }
}

/// A checkpoint that failed in the middle has brought some pages into the database file. Those who come next know how far
/// that may have come, and no moment is lost.
#[test]
fn a_back_fill_that_failed_halfway_loses_nothing() {
    for attached_again in [true, false] {
        let mut scene = Scene::new();
        scene.app.execute_batch("CREATE TABLE u(x); CREATE TABLE v(x)").unwrap();
        let mut moments = three_moments(&mut scene);
        {
            let _lock = scene.core.lock_object(TIMEOUT).unwrap();
            let header = scene.core.header().unwrap();
            scene.core.drain_to(&header, u32::MAX).unwrap();
            fault::fail("wal checkpoint: one page", 1);
            assert!(scene.core.back_fill(header.max_frame).is_err());
        }
        if attached_again {
            scene.core.let_go();
        }
        scene.insert("four");
        moments.push((scene.now(), scene.rows()));
        scene.check(&moments);
        {
            let _lock = scene.core.lock_object(TIMEOUT).unwrap();
            let header = scene.core.header().unwrap();
            scene.core.drain_to(&header, u32::MAX).unwrap();
            assert!(scene.core.back_fill(header.max_frame).unwrap());
        }
        scene.check(&moments);
    }
}

/// A new generation of the WAL that was begun halfway: the next call heals it, and no moment is lost.
#[test]
fn a_restart_that_failed_halfway_is_healed_by_the_next_call() {
    for (place, ahead) in
        [("wal: header", false), ("wal: write", true), ("wal: sync", false), ("wal index: enter", true)]
    {
        let mut scene = Scene::new();
        let mut moments = three_moments(&mut scene);
        {
            let lock = scene.core.lock_object(TIMEOUT).unwrap();
            let header = scene.core.header().unwrap();
            scene.core.drain_to(&header, u32::MAX).unwrap();
            if ahead {
                // A transaction that is rolled back, but had its frames copied.
                scene.begin_long(100);
                scene.core.copy_ahead(&header).unwrap();
                scene.app.execute_batch("ROLLBACK").unwrap();
                let mut history = locked(&scene.core.history);
                history.catch_up().unwrap();
                assert!(history.timeline.highest() > scene.core.tailed, "nothing was copied");
            }
            assert!(scene.core.back_fill(header.max_frame).unwrap());
            fault::fail(place, 1);
            assert!(scene.core.restart(Duration::ZERO).is_err(), "{place}");
            scene.core.let_go_if_adrift();
            drop(lock);
        }
        assert_eq!(scene.rows(), ["one", "two", "three"], "{place}");
        assert_eq!(scene.rows_after_a_kill(), ["one", "two", "three"], "{place}");
        scene.insert("four");
        moments.push((scene.now(), scene.rows()));
        scene.check(&moments);
    }
}

/// The holder has recorded a commit and a part of the next one, and dies before it says how far it came. Another
/// recording takes that part back, and knows that the commit before it stays.
#[test]
#[cfg_attr(feature = "fault", ignore = "then one frame is read at once")]
fn a_holder_killed_in_the_midst_of_a_drain_leaves_a_log_that_others_go_on_with() {
    let mut scene = Scene::new();
    let mut moments = three_moments(&mut scene);
    scene.core.drain_all(TIMEOUT).unwrap();
    let mut other = scene.second();
    assert!(other.holder.is_none());
    scene.insert("four");
    // More than is read at once.
    scene.begin_long(400);
    scene.app.execute_batch("COMMIT; DELETE FROM t WHERE x NOT IN ('one', 'two', 'three', 'four')").unwrap();
    fault::fail("wal tail: one frame", 1);
    assert!(scene.core.drain_all(TIMEOUT).is_err());
    {
        let mut history = locked(&scene.core.history);
        history.catch_up().unwrap();
        assert!(history.timeline.last() > other.tailed, "no commit was recorded");
        assert!(history.timeline.ahead().is_some(), "no part of a transaction was recorded");
        assert_eq!(other.store.last_lsn(other.object), other.tailed, "the commit was announced");
    }
    scene.core.let_go();
    // Beside a holder that is no more.
    other.rewind(moments[1].0, TIMEOUT).unwrap();
    assert_eq!(scene.rows(), ["one", "two"]);
    other.attach().unwrap();
    drop(std::mem::replace(&mut scene.core, other));
    scene.insert("five");
    moments.push((scene.now(), scene.rows()));
    scene.check(&moments);
}

/// Where the store has no room, frames of a running transaction are not tried again and again: once, and then when
/// it has committed, which tells.
#[test]
fn a_full_store_is_not_asked_for_room_again_and_again() {
    let mut scene = Scene::with(StoreOptions { limit: 4 << 20, ..StoreOptions::default() });
    scene.insert("one");
    scene.core.drain_all(TIMEOUT).unwrap();
    scene.begin_long(2000);
    let header = scene.core.header().unwrap();
    let mut tries = 0;
    {
        let _lock = scene.core.lock_object(TIMEOUT).unwrap();
        while scene.core.something_ahead(&header) && tries < 100 {
            tries += 1;
            match scene.core.copy_ahead(&header) {
                Ok(more) => assert!(more, "it ended before the store was full"),
                Err(error) => assert_eq!(error.code(), Code::StoreFull, "{error}"),
            }
        }
    }
    assert!(tries < 20, "it does not give up");
    assert!(!scene.core.something_ahead(&header));
    // What was committed before is there, and nothing has stopped yet.
    assert_eq!(scene.core.store.broken(scene.core.object), None);
    scene.app.execute_batch("ROLLBACK").unwrap();
    // Another end of the WAL, another try.
    scene.insert("four");
    scene.begin_long(2000);
    let header = scene.core.header().unwrap();
    assert!(scene.core.something_ahead(&header));
    scene.app.execute_batch("COMMIT").unwrap();
    assert_eq!(scene.core.drain_all(TIMEOUT).unwrap_err().code(), Code::StoreFull);
}

/// A writer died while it published, SQLite recovers, and then the freeze cannot be had again: it ends, and the next call
/// attaches.
#[test]
fn a_freeze_that_is_not_got_back_after_a_recovery_ends() {
    let mut scene = Scene::new();
    let mut moments = three_moments(&mut scene);
    scene.core.drain_all(TIMEOUT).unwrap();
    scene.core.index.invalidate(&mut scene.core.file);
    fault::fail("wal recovery: lock again", 1);
    assert!(scene.core.moment().is_err());
    moments.push((scene.now(), scene.rows()));
    // Refused, as it is while we hold CKPT.
    let busy = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    assert_eq!(scene.app.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], busy).unwrap(), 1);
    scene.insert("four");
    moments.push((scene.now(), scene.rows()));
    scene.check(&moments);
}

/// Takes salts and checksum from frames, as SQLite forgets them after some `ROLLBACK TO`.
fn unchain(scene: &Scene, frames: std::ops::RangeInclusive<u32>) {
    use std::os::unix::fs::FileExt;
    let mut wal = scene.path().into_os_string();
    wal.push("-wal");
    let wal = std::fs::File::options().write(true).open(wal).unwrap();
    for frame in frames {
        wal.write_all_at(&[0; 16], 32 + u64::from(frame - 1) * (24 + 4096) + 8).unwrap();
    }
}

/// What was committed is found without the wal-index, too, and the application goes on from there.
#[test]
fn frames_outside_the_chain_get_their_place_in_it() {
    for failing in [0, 1, 2] {
        let mut scene = Scene::new();
        let mut moments = three_moments(&mut scene);
        let before = scene.core.header().unwrap().max_frame;
        scene.app.execute_batch("BEGIN").unwrap();
        scene.insert(&"long ".repeat(2000));
        scene.insert("four");
        scene.app.execute_batch("COMMIT").unwrap();
        scene.insert("five");
        let expected = scene.rows();
        unchain(&scene, before + 1..=before + 2);
        assert_ne!(scene.rows_after_a_kill(), expected);

        // At the second frame before the header is published, then at the first one behind it.
        fault::fail("wal: write", failing);
        for _ in 0..failing {
            assert!(scene.core.drain_all(TIMEOUT).is_err());
            // An application goes on with the wal-index as it is.
            scene.insert("more");
        }
        let expected = scene.rows();
        scene.core.drain_all(TIMEOUT).unwrap();
        assert_eq!(scene.rows_after_a_kill(), expected, "{failing}");
        moments.push((scene.now(), expected));
        scene.insert("seven");
        moments.push((scene.now(), scene.rows()));
        assert_eq!(scene.rows_after_a_kill(), scene.rows(), "{failing}");
        scene.check(&moments);
    }
}

/// A rewind is under SQLite's lock already when it finds them, and goes back before them or to them.
#[test]
fn a_rewind_heals_the_chain_before_it_goes() {
    let mut scene = Scene::new();
    let mut moments = three_moments(&mut scene);
    let before = scene.core.header().unwrap().max_frame;
    scene.insert("four");
    moments.push((scene.now(), scene.rows()));
    unchain(&scene, before + 1..=before + 1);
    scene.check(&moments);
}

/// While another connection writes there is no healing, and nobody waits for it but those who must.
#[test]
fn the_chain_is_healed_once_nobody_writes() {
    let mut scene = Scene::new();
    let before = scene.core.header().unwrap().max_frame;
    scene.insert("one");
    unchain(&scene, before + 1..=before + 1);
    let writer = Connection::open(scene.path()).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(scene.core.drain_all(Duration::ZERO), Err(Error::Busy { .. })));
    writer.execute_batch("COMMIT").unwrap();
    scene.core.drain_all(TIMEOUT).unwrap();
    assert_eq!(scene.rows_after_a_kill(), ["one"]);
}

/// They were there before the recording.
#[test]
fn a_recording_begins_with_a_whole_chain() {
    let mut scene = Scene::new();
    scene.core.let_go();
    scene.insert("one");
    let frames = scene.core.index.watch().header().unwrap().max_frame;
    scene.insert("two");
    unchain(&scene, frames..=frames);
    let _other = record_into(&scene.path(), &scene.dir.path().join("other"), &StoreOptions::default());
    assert_eq!(scene.rows_after_a_kill(), ["one", "two"]);
}
