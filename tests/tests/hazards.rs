//! Hazards that cross the engines' borders; each test carries its hazard's name.
#![allow(clippy::unwrap_used, reason = "functions of a test")]

mod scene;

use std::path::Path;

use dbrewind_testkit::peer::Peer;
use dbrewind_testkit::protocol::{Answer, Goal, Recording, Request};
use scene::{BINARY, Scene, count};

fn image(peer: &mut Peer) -> Answer {
    peer.ask(Request::Image { dump: None }).ok()
}

const MODES: [&str; 5] = ["wal", "delete", "truncate", "persist", "memory"];

/// A program without the recording wrote in a rollback mode: refused, not half rewound.
#[test]
fn foreign_writer_rollback() {
    for mode in &MODES[1..] {
        let mut scene = Scene::new(mode);
        scene.mark("start").ok();
        scene.app.must("insert into t(v) values('recorded')");
        let mut plain = scene.plain();
        plain.must("insert into t(v) values('unrecorded')");
        let before = image(&mut plain);
        let answer = scene.rewind("start");
        assert!(answer.is_dbr(1), "{mode}: {answer:?}");
        assert_eq!(image(&mut plain), before, "{mode}: a refusal changes nothing");
        // Own commits on top do not hide it.
        scene.app.must("insert into t(v) values('recorded again')");
        let answer = scene.rewind("start");
        assert!(answer.is_dbr(1) || answer.is_dbr(11), "{mode}: {answer:?}");
        assert_eq!(count(&mut plain), "4", "{mode}");
    }
}

/// A connection that was opened before the recording began bypasses the shim.
#[test]
fn opened_before_vfs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let mut early = Peer::process("early", Path::new(BINARY));
    early.open(&path, 200);
    early.must("create table t(id integer primary key, v)");
    let mut recorder = Peer::thread("recorder");
    recorder.attach(&path, Recording::quick(false)).ok();
    recorder.mark("start").ok();
    early.must("insert into t(v) values('unrecorded')");
    let answer = recorder.rewind("start", 300);
    assert!(answer.is_dbr(1), "{answer:?}");
    assert_eq!(count(&mut early), "1");
}

/// Whatever the recording does, it must not drop the locks of the application's connections in its process.
#[test]
fn posix_lock_trap() {
    for mode in MODES {
        let mut scene = Scene::new(mode);
        scene.patience = 300;
        let mut plain = scene.plain();
        scene.mark("start").ok();
        scene.app.must("begin immediate; insert into t(v) values('open')");
        let refused = plain.sql("begin immediate");
        assert!(refused.is_locked(), "{mode}: {refused:?}");
        let _either = scene.mark("more");
        assert!(scene.rewind("start").is_dbr(4), "{mode}");
        scene.recorder.ask(Request::Marks).ok();
        scene.recorder.ask(Request::Digest).ok();
        let _either = scene.recorder.ask(Request::Drain);
        let refused = plain.sql("begin immediate");
        assert!(refused.is_locked(), "{mode}, after a mark, a rewind, a digest: {refused:?}");
        let _either = scene.recorder.ask(Request::Detach);
        let refused = plain.sql("begin immediate");
        assert!(refused.is_locked(), "{mode}, after the end: {refused:?}");
        scene.app.must("commit");
        assert_eq!(count(&mut plain), "2", "{mode}");
        assert_eq!(plain.must("pragma integrity_check"), [["ok"]]);
    }
}

/// The file at the path is another one than was recorded.
#[test]
fn recreated_file() {
    for mode in ["wal", "delete"] {
        let mut scene = Scene::new(mode);
        scene.mark("start").ok();
        scene.app.must("insert into t(v) values('second')");
        scene.app.ask(Request::Close).ok();
        for ending in ["", "-wal", "-shm"] {
            let _absent = std::fs::remove_file(format!("{}{ending}", scene.path.display()));
        }
        let mut plain = scene.plain();
        plain.must("create table other(a); insert into other values(1)");
        let answer = scene.rewind("start");
        assert!(answer.is_dbr(18) || answer.is_dbr(12), "{mode}: {answer:?}");
        assert_eq!(plain.sql("select a from other").value(), "1");
        assert_eq!(plain.must("pragma integrity_check"), [["ok"]]);
    }
}

/// The page size changes under the recording: nothing is rewound with pages of another size.
#[test]
fn page_size_change() {
    let mut scene = Scene::new("delete");
    scene.mark("start").ok();
    let size = scene.app.sql("pragma page_size").value();
    let other = if size == "4096" { "8192" } else { "4096" };
    scene.app.must(&format!("pragma page_size={other}; vacuum; insert into t(v) values('x')"));
    let before = image(&mut scene.app);
    match scene.rewind("start") {
        Answer::Rewound { .. } => assert_eq!(count(&mut scene.app), "1"),
        other => {
            assert!(other.is_dbr(21) || other.is_dbr(11) || other.is_dbr(1), "{other:?}");
            assert_eq!(image(&mut scene.app), before, "a refusal changes nothing");
        }
    }
    assert_eq!(scene.app.must("pragma integrity_check"), [["ok"]]);
}

/// The application wants WAL off while it is recorded: it cannot have it, and nothing is lost.
#[test]
fn left_wal_after_mark() {
    let mut scene = Scene::new("wal");
    scene.mark("start").ok();
    scene.app.must("insert into t(v) values('second')");
    let answer = scene.app.sql("pragma journal_mode=delete");
    assert!(answer.is_locked() || answer.clone().value() == "wal", "{answer:?}");
    scene.rewind("start").ok();
    assert_eq!(count(&mut scene.app), "1");
}

/// A process that dies in the midst of a transaction leaves a hot journal: it is rolled back, not rewound.
#[test]
fn hot_journal_at_rewind() {
    for mode in ["delete", "truncate", "persist"] {
        let mut scene = Scene::new(mode);
        scene.mark("start").ok();
        scene.app.must("insert into t(v) values('committed')");
        let mut other = Peer::process("recording process", Path::new(BINARY));
        other.attach(&scene.path, Recording::quick(false)).ok();
        other.open(&scene.path, 200);
        other.must(&format!("pragma journal_mode={mode}; pragma cache_size=2; begin immediate"));
        other.must(
            "insert into t(v) with recursive n(i) as (select 1 union all select i + 1 from n where i < 500) \
             select zeroblob(500) from n",
        );
        other.kill();
        let answer = scene.rewind("start");
        assert!(matches!(answer, Answer::Rewound { .. }), "{mode}: {answer:?}");
        let mut plain = scene.plain();
        assert_eq!(count(&mut plain), "1", "{mode}");
        assert_eq!(plain.must("pragma integrity_check"), [["ok"]], "{mode}");
        let Answer::Rewound { undo, .. } = answer else { unreachable!() };
        scene.recorder.ask(Request::Rewind { to: Goal::Lsn(undo), timeout: 300 }).ok();
        assert_eq!(count(&mut plain), "2", "{mode}: forth again");
    }
}

/// Marks of one process are there for another, which can rewind while the first one records.
#[test]
fn holder_steps_aside() {
    let mut scene = Scene::new("wal");
    scene.mark("start").ok();
    scene.app.must("insert into t(v) values('second')");
    let mut other = Peer::process("recording process", Path::new(BINARY));
    other.attach(&scene.path, Recording::quick(true)).ok();
    other.rewind("start", 5000).ok();
    assert_eq!(count(&mut scene.app), "1");
    scene.app.must("insert into t(v) values('third'), ('fourth')");
    scene.rewind("start").ok();
    assert_eq!(count(&mut scene.app), "1");
    // The first one dies away; the second takes over.
    scene.app.must("insert into t(v) values('fifth')");
    scene.recorder.ask(Request::Detach).ok();
    other.rewind("start", 5000).ok();
    assert_eq!(count(&mut scene.app), "1");
}

/// A mark set at one moment and the same content written again: the old timeline's frames must not come back.
#[test]
fn resurrect_after_identical_replay() {
    let mut scene = Scene::new("wal");
    scene.mark("start").ok();
    for round in 0..5 {
        for n in 0..20 {
            scene.app.must(&format!("insert into t(id, v) values({}, 'the same')", 100 + n));
        }
        if round < 4 {
            scene.rewind("start").ok();
        }
        let mut fresh = scene.plain();
        assert_eq!(count(&mut fresh), if round < 4 { "1" } else { "21" });
    }
    scene.rewind("start").ok();
    scene.app.must("insert into t(id, v) values(100, 'the same')");
    scene.app.ask(Request::Close).ok();
    scene.recorder.ask(Request::Detach).ok();
    let _absent = std::fs::remove_file(format!("{}-shm", scene.path.display()));
    let mut plain = scene.plain();
    assert_eq!(count(&mut plain), "2");
    assert_eq!(plain.must("pragma integrity_check"), [["ok"]]);
}
