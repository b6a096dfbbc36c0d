//! The disk, or the store's limit, is reached: the application goes on, nothing is damaged, the answer is `DBR010`.
#![allow(clippy::unwrap_used, reason = "functions of a test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use dbrewind_core::WindowState;
use dbrewind_sqlite::{Database, OpenOptions, SqliteApi, Synchronous};
use dbrewind_testkit::peer::Peer;
use dbrewind_testkit::protocol::{Answer, Recording, Request};

/// A file system of its own, unmounted at the end.
struct Small(PathBuf);

impl Small {
    /// `None` where mounting is not allowed; on CI that is a failure.
    fn mount(folder: &Path, megabytes: u32) -> Option<Self> {
        let options = format!("size={megabytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(folder.to_owned()));
        }
        assert!(std::env::var_os("CI").is_none(), "CI must be able to mount a tmpfs");
        eprintln!("SKIPPED: this user cannot mount a tmpfs");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _status = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn create(path: &Path, wal: bool) {
    let mut peer = Peer::thread("creator");
    peer.open(path, 0);
    if wal {
        peer.must("pragma journal_mode=wal");
    }
    peer.must("create table t(id integer primary key, v); insert into t(v) values('first')");
}

/// Writes far more than the store may take, which must not hold up the application.
///
/// A mark each time: in the rollback modes a page is recorded once after each mark. Bytes that sealing makes no smaller, which would
/// make room again.
fn outgrow(app: &mut Peer, recorder: &mut Peer) {
    for n in 0..60 {
        let answer = recorder.mark(&format!("mark {n}"));
        assert!(matches!(answer, Answer::Lsn { .. }) || answer.is_dbr(10), "{answer:?}");
        app.must(&format!("insert or replace into t values({}, randomblob(300000))", n % 12));
        app.must(&format!("update t set v = randomblob(200000) where id = {}", n % 12));
    }
}

/// The store is full, the application was not held up, and nothing is answered that is not known.
fn refused_but_unharmed(app: &mut Peer, recorder: &mut Peer, help: &str) {
    outgrow(app, recorder);
    let before = app.ask(Request::Image { dump: None });
    let drained = recorder.ask(Request::Drain);
    let answer = recorder.rewind("start", 2000);
    assert!(answer.is_dbr(10) || answer.is_dbr(11), "rewind: {answer:?}, drain: {drained:?}");
    assert!(drained.is_dbr(10), "drain: {drained:?}");
    let refused = recorder.mark("more");
    assert!(refused.is_dbr(10) && format!("{refused:?}").contains(help), "{refused:?}");
    assert_eq!(app.ask(Request::Image { dump: None }), before, "a refusal changes nothing");
    assert_eq!(app.must("pragma integrity_check"), [["ok"]]);
    app.must("insert into t(v) values('after')");
}

fn limit_reached(wal: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    create(&path, wal);
    let mut recorder = Peer::thread("recorder");
    recorder.attach(&path, Recording { limit: Some(5 << 20), ..Recording::quick(wal) }).ok();
    let mut app = Peer::thread("application");
    app.open(&path, 5000);
    // Otherwise the oldest goes, and there is always room.
    recorder.pin("start").ok();
    refused_but_unharmed(&mut app, &mut recorder, "such as limit=");
    // With room again recording begins anew; what was not recorded is lost, not guessed.
    app.ask(Request::Close).ok();
    // It has said why it stopped.
    recorder.ask(Request::Detach).ok();
    recorder.attach(&path, Recording { limit: Some(1 << 30), ..Recording::quick(wal) }).ok();
    app.open(&path, 5000);
    let answer = recorder.rewind("start", 2000);
    assert!(answer.is_dbr(11), "{answer:?}");
    recorder.mark("anew").ok();
    let then = app.must("select count(*) from t");
    app.must("delete from t");
    recorder.rewind("anew", 2000).ok();
    assert_eq!(app.must("select count(*) from t"), then);
}

#[test]
fn limit_reached_in_wal_mode() {
    limit_reached(true);
}

#[test]
fn limit_reached_in_a_rollback_mode() {
    limit_reached(false);
}

fn store_on_a_full_disk(wal: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let small = folder.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let Some(_mounted) = Small::mount(&small, 7) else { return };
    create(&path, wal);
    let mut recorder = Peer::thread("recorder");
    let store = Some(small.join("store").to_str().unwrap().to_owned());
    recorder.attach(&path, Recording { store, ..Recording::quick(wal) }).ok();
    let mut app = Peer::thread("application");
    app.open(&path, 5000);
    recorder.mark("start").ok();
    refused_but_unharmed(&mut app, &mut recorder, "is full. What");
}

#[test]
fn store_on_a_full_disk_in_wal_mode() {
    store_on_a_full_disk(true);
}

#[test]
fn store_on_a_full_disk_in_a_rollback_mode() {
    store_on_a_full_disk(false);
}

/// Everything on one disk, which the application fills: its own error, and whatever a rewind answers, the
/// database is whole.
fn database_on_a_full_disk(wal: bool) {
    let folder = tempfile::tempdir().unwrap();
    let Some(_mounted) = Small::mount(folder.path(), 24) else { return };
    let path = folder.path().join("app.db");
    create(&path, wal);
    let mut recorder = Peer::thread("recorder");
    recorder.attach(&path, Recording::quick(wal)).ok();
    let mut app = Peer::thread("application");
    app.open(&path, 5000);
    app.must("insert into t(v) values(zeroblob(500000))");
    recorder.mark("start").ok();
    let start = app.ask(Request::Image { dump: None });
    let full = (0..400).find(|n| {
        let sql = format!("insert or replace into t values({n}, cast(printf('%.*c', 100000, 'y') as blob))");
        matches!(app.sql(&sql), Answer::Failed { .. })
    });
    assert!(full.is_some(), "the disk must be full by now");
    let _none = app.sql("rollback");
    let before = app.ask(Request::Image { dump: None });
    let answer = recorder.rewind("start", 2000);
    let after = app.ask(Request::Image { dump: None });
    match answer {
        Answer::Rewound { .. } => assert_eq!(after, start),
        other => {
            assert!(other.is_dbr(10) || other.is_dbr(11) || other.is_dbr(25), "{other:?}");
            assert_eq!(after, before, "a refusal changes nothing: {other:?}");
        }
    }
    assert_eq!(app.must("pragma integrity_check"), [["ok"]]);
}

#[test]
fn database_on_a_full_disk_in_wal_mode() {
    database_on_a_full_disk(true);
}

#[test]
fn database_on_a_full_disk_in_a_rollback_mode() {
    database_on_a_full_disk(false);
}

/// Fills a file system to its last byte.
fn fill_up(folder: &Path) -> PathBuf {
    let path = folder.join("filler");
    let mut file = std::fs::File::create(&path).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    path
}

/// While nothing has failed yet the status tells that something will.
#[test]
fn status_tells_of_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let Some(_mounted) = Small::mount(&small, 24) else { return };
    for wal in [true, false] {
        let path = folder.path().join(format!("{wal}.db"));
        create(&path, wal);
        let store = Some(small.join(format!("store-{wal}")));
        let options = OpenOptions { store, synchronous: Synchronous::Off, ..OpenOptions::default() };
        let database = Database::open(SqliteApi::bundled(), &path, &options).unwrap();
        let state = || database.status().unwrap().state;
        assert_eq!(state(), WindowState::Ok);
        let filler = fill_up(&small);
        assert_eq!(state(), WindowState::Full);
        std::fs::remove_file(filler).unwrap();
        assert_eq!(state(), WindowState::Ok);
    }
}
