//! Changes of the journal mode between mark and rewind, the application's and the recording's own.
#![allow(clippy::unwrap_used, reason = "functions of a test")]

mod scene;

use std::path::Path;

use dbrewind_testkit::peer::Peer;
use dbrewind_testkit::protocol::{Answer, Recording, Request};
use scene::{BINARY, Scene, count};

const MODES: [&str; 4] = ["delete", "truncate", "persist", "memory"];

impl Scene {
    fn name(&self) -> String {
        self.path.to_str().unwrap().to_owned()
    }

    fn leave_wal(&mut self) -> Answer {
        let path = self.name();
        self.recorder.ask(Request::LeaveWal { path, options: Recording::quick(false) })
    }

    fn fill(&mut self, rows: u32) {
        let sql = format!(
            "insert into t(v) with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows}) \
             select printf('%d %.*c', i, 300, 'x') from n"
        );
        self.app.must(&sql);
    }

    fn image(&self) -> Answer {
        let mut reader = Peer::thread("reader");
        reader.open_as(&self.path, 2000, None, true).ok();
        let found = reader.ask(Request::Image { dump: None }).ok();
        assert_eq!(reader.must("pragma integrity_check"), [["ok"]]);
        match found {
            Answer::Pages { page_size, pages, digest, live, .. } => {
                Answer::Pages { page_size, pages, digest, live, cookie: 0 }
            }
            other => other,
        }
    }
}

/// The application switches to WAL through a recorded connection and goes on.
#[test]
fn the_application_switches_to_wal() {
    for mode in MODES {
        let mut scene = Scene::new(mode);
        scene.mark("start").ok();
        let start = scene.image();
        scene.fill(200);
        scene.mark("before").ok();
        let before = scene.image();
        assert_eq!(scene.app.sql("pragma journal_mode=wal").value(), "wal", "{mode}");
        scene.app.must("delete from t where id % 2");
        scene.fill(300);
        scene.mark("in wal").ok();
        let in_wal = scene.image();
        scene.app.must("drop table t; create table u(a); pragma wal_checkpoint(truncate)");
        for (name, image) in [
            ("start", &start),
            ("in wal", &in_wal),
            ("before", &before),
            ("start", &start),
            ("in wal", &in_wal),
        ] {
            scene.rewind(name).ok();
            assert_eq!(scene.image(), *image, "{mode}: {name}");
        }
        assert_eq!(count(&mut scene.app), count(&mut scene.plain()), "{mode}");
        // And after a new beginning.
        scene.recorder.ask(Request::Detach).ok();
        scene.attach(false).ok();
        for (name, image) in [("start", &start), ("before", &before), ("in wal", &in_wal)] {
            scene.rewind(name).ok();
            assert_eq!(scene.image(), *image, "{mode}: {name}, attached anew");
        }
    }
}

/// Nobody asks the recording for a while, and other programs do to the new WAL what they can.
#[test]
fn others_checkpoint_before_the_takeover() {
    let mut scene = Scene::new("delete");
    scene.fill(100);
    scene.mark("start").ok();
    let start = scene.image();
    let mut plain = scene.plain();
    assert_eq!(count(&mut plain), "101");
    scene.app.must("pragma journal_mode=wal");
    plain.must("pragma wal_autocheckpoint=1; delete from t where id > 50");
    for how in ["passive", "full", "restart", "truncate"] {
        let _busy = plain.sql(&format!("pragma wal_checkpoint({how})"));
    }
    plain.must("update t set v = 'changed'");
    plain.ask(Request::Close).ok();
    scene.app.ask(Request::Close).ok();
    scene.rewind("start").ok();
    assert_eq!(scene.image(), start);
}

/// The application itself checkpoints with the very next statements, faster than anybody could take over.
#[test]
fn a_checkpoint_right_after_the_switch() {
    for how in ["passive", "full", "restart", "truncate"] {
        for _ in 0..5 {
            let mut scene = Scene::new("delete");
            scene.fill(20);
            scene.mark("start").ok();
            let start = scene.image();
            let _busy = scene.app.sql(&format!(
                "pragma journal_mode=wal; pragma synchronous=off; pragma wal_autocheckpoint=1; delete from t where id > 5; \
                 pragma wal_checkpoint({how}); delete from t where id > 3; pragma wal_checkpoint({how})"
            ));
            scene.rewind("start").ok();
            assert_eq!(scene.image(), start, "{how}");
        }
    }
}

/// The recording in another process goes over as well.
#[test]
fn two_recordings_follow() {
    for _ in 0..5 {
        let mut scene = Scene::new("delete");
        let mut other = Peer::process("recording process", Path::new(BINARY));
        other.attach(&scene.path, Recording::quick(false)).ok();
        scene.fill(50);
        other.mark("start").ok();
        let start = scene.image();
        scene.app.must("pragma journal_mode=wal");
        scene.app.must("delete from t");
        other.rewind("start", 2000).ok();
        assert_eq!(scene.image(), start);
        scene.fill(50);
        scene.rewind("start").ok();
        assert_eq!(scene.image(), start);
        scene.recorder.ask(Request::Detach).ok();
        scene.fill(5);
        other.rewind("start", 2000).ok();
        assert_eq!(scene.image(), start);
    }
}

/// A process that records, but whose recording nobody has asked since the switch, checkpoints: no writes of a
/// transaction.
#[test]
fn back_fills_are_no_transactions() {
    let mut scene = Scene::new("delete");
    let mut other = Peer::process("recording process", Path::new(BINARY));
    other.attach(&scene.path, Recording::quick(false)).ok();
    other.open(&scene.path, 200);
    scene.mark("start").ok();
    scene.app.must("pragma journal_mode=wal");
    scene.fill(100);
    scene.mark("in wal").ok();
    scene.app.ask(Request::Close).ok();
    scene.recorder.ask(Request::Detach).ok();
    other.must("update t set v = 'unrecorded'; pragma wal_checkpoint(truncate); begin immediate; commit");
    other.must("pragma locking_mode=exclusive; update t set v = 'again'; pragma wal_checkpoint(truncate)");
    other.must("begin immediate; commit; pragma locking_mode=normal; select 1 from t; update t set v = 1");
    let before = scene.image();
    scene.attach(false).ok();
    for name in ["start", "in wal"] {
        let answer = scene.rewind(name);
        assert!(answer.is_dbr(11), "{name}: {answer:?}");
    }
    assert_eq!(scene.image(), before);
    other.mark("anew").ok();
    other.must("delete from t");
    scene.rewind("anew").ok();
    assert_eq!(scene.image(), before);
}

/// Somebody unrecorded switches: what happened then is not known.
#[test]
fn a_foreign_switch_is_refused() {
    let mut scene = Scene::new("delete");
    scene.mark("start").ok();
    let mut plain = scene.plain();
    plain.must("pragma journal_mode=wal; insert into t(v) values('unrecorded')");
    let before = scene.image();
    let answer = scene.rewind("start");
    assert!(answer.is_dbr(11), "{answer:?}");
    assert_eq!(scene.image(), before);
    let rows = scene.recorder.ask(Request::Marks).rows();
    assert_eq!(rows[0][3], "lost");
    // Recording goes on, in WAL mode.
    scene.mark("anew").ok();
    plain.must("insert into t(v) values('recorded')");
    scene.rewind("anew").ok();
    assert_eq!(scene.image(), before);
}

/// A connection in exclusive locking mode keeps the WAL to itself.
#[test]
fn a_switch_in_exclusive_locking_mode_is_refused() {
    let mut scene = Scene::new("delete");
    scene.mark("start").ok();
    scene
        .app
        .must("pragma locking_mode=exclusive; pragma journal_mode=wal; insert into t(v) values('second')");
    let answer = scene.recorder.rewind("start", 100);
    assert!(matches!(answer, Answer::Failed { .. }), "{answer:?}");
    assert_eq!(count(&mut scene.app), "2");
    scene.app.ask(Request::Close).ok();
    let answer = scene.rewind("start");
    assert!(answer.is_dbr(11), "{answer:?}");
    assert_eq!(count(&mut scene.plain()), "2");
}

/// The process that recorded the switch dies; what is certain is kept, the rest refused.
#[test]
fn a_kill_after_the_switch() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..8 {
        let path = folder.path().join(format!("{n}.db"));
        let mut other = Peer::process("recording process", Path::new(BINARY));
        other.open(&path, 200);
        other.must("create table t(id integer primary key, v); insert into t(v) values('first')");
        other.ask(Request::Close).ok();
        other.attach(&path, Recording::quick(false)).ok();
        other.mark("start").ok();
        other.open(&path, 200);
        other.must("insert into t(v) values('second')");
        other.send(Request::Sql { sql: "pragma journal_mode=wal; insert into t(v) values('third')".into() });
        if n % 2 == 0 {
            other.receive().ok();
        }
        other.kill();
        let mut plain = Peer::process("plain", Path::new(BINARY));
        plain.open(&path, 200);
        let before = count(&mut plain);
        let mut recorder = Peer::thread("recorder");
        recorder.attach(&path, Recording::quick(false)).ok();
        match recorder.rewind("start", 2000) {
            Answer::Rewound { .. } => assert_eq!(count(&mut plain), "1", "{n}"),
            answer => {
                assert!(answer.is_dbr(11), "{n}: {answer:?}");
                assert_eq!(count(&mut plain), before, "{n}");
            }
        }
        assert_eq!(plain.must("pragma integrity_check"), [["ok"]]);
    }
}

/// The recording itself switches, several times; every mark of every era is exact all the time.
#[test]
fn reopened_back_and_forth() {
    let mut scene = Scene::new("delete");
    let mut marks = Vec::new();
    for turn in 0..7 {
        let wal = turn % 2 == 1;
        for step in 0..2 {
            scene.fill(30 + 40 * turn);
            scene.app.must(&format!("delete from t where id % {} = {step}", turn + 2));
            let name = format!("mark {turn} {step}");
            scene.mark(&name).ok();
            marks.push((name, scene.image()));
        }
        scene.app.must("vacuum; pragma user_version=7");
        for (name, image) in marks.iter().rev().step_by(2).chain(&marks) {
            scene.rewind(name).ok();
            assert_eq!(scene.image(), *image, "turn {turn}: {name}");
        }
        scene.app.ask(Request::Close).ok();
        scene.recorder.ask(Request::Detach).ok();
        if wal {
            scene.leave_wal().ok()
        } else {
            scene.attach(true).ok()
        };
        scene.connect("wal");
        assert_eq!(scene.app.sql("pragma journal_mode").value(), if wal { "delete" } else { "wal" });
        for suffix in ["-wal", "-shm"] {
            let there = Path::new(&format!("{}{suffix}", scene.path.display())).exists();
            assert_eq!(there, !wal, "turn {turn}: {suffix}");
        }
        let rows = scene.recorder.ask(Request::Marks).rows();
        assert!(rows.len() == marks.len() && rows.iter().all(|row| row[3] != "lost"), "{rows:?}");
        for (name, image) in &marks {
            scene.rewind(name).ok();
            assert_eq!(scene.image(), *image, "after turn {turn}: {name}");
        }
    }
}

/// Somebody has the database open: WAL mode stays, and the marks with it.
#[test]
fn leaving_wal_needs_the_database_alone() {
    let mut scene = Scene::new("wal");
    scene.mark("start").ok();
    let start = scene.image();
    scene.fill(20);
    let mut plain = scene.plain();
    assert_eq!(count(&mut plain), "21");
    scene.recorder.ask(Request::Detach).ok();
    let answer = scene.leave_wal();
    assert!(answer.is_dbr(4), "{answer:?}");
    plain.must("insert into t(v) values('still WAL')");
    plain.ask(Request::Close).ok();
    scene.app.ask(Request::Close).ok();
    scene.attach(true).ok();
    let _either = scene.rewind("start");
    scene.leave_wal().ok();
    if !scene.rewind("start").is_dbr(11) {
        assert_eq!(scene.image(), start);
    }
}

/// WAL mode ended while nobody recorded: certainly lost.
#[test]
fn wal_left_unrecorded() {
    let mut scene = Scene::new("wal");
    scene.mark("start").ok();
    scene.fill(20);
    scene.app.ask(Request::Close).ok();
    scene.recorder.ask(Request::Detach).ok();
    let mut plain = scene.plain();
    plain.must("pragma journal_mode=delete");
    plain.ask(Request::Close).ok();
    let before = scene.image();
    scene.attach(false).ok();
    let answer = scene.rewind("start");
    assert!(answer.is_dbr(11), "{answer:?}");
    assert_eq!(scene.image(), before);
    let rows = scene.recorder.ask(Request::Marks).rows();
    assert_eq!(rows[0][3], "lost");
}

/// A process that recorded in a rollback mode has slept through an era of WAL, and the mode was changed back by somebody
/// who does not record: what it writes then goes unrecorded, since the era knows no images of its kind.
#[test]
fn a_recorder_that_slept_through_wal() {
    let mut scene = Scene::new("delete");
    scene.fill(200);
    scene.mark("start").ok();
    let mut stale = Peer::process("recording process", Path::new(BINARY));
    stale.attach(&scene.path, Recording::quick(false)).ok();
    stale.open(&scene.path, 200);
    stale.must("insert into t(v) values('recorded')");
    scene.app.ask(Request::Close).ok();
    scene.recorder.ask(Request::Detach).ok();
    scene.attach(true).ok();
    scene.mark("in wal").ok();
    scene.recorder.ask(Request::Detach).ok();
    let mut plain = scene.plain();
    assert_eq!(plain.sql("pragma journal_mode=delete").value(), "delete");
    plain.ask(Request::Close).ok();
    stale.must("update t set v = 'unrecorded'");
    let before = scene.image();
    scene.attach(false).ok();
    for name in ["start", "in wal"] {
        let answer = scene.rewind(name);
        assert!(answer.is_dbr(11), "{name}: {answer:?}");
        assert_eq!(scene.image(), before);
    }
    // From now on it records again.
    scene.mark("anew").ok();
    stale.must("update t set v = 'recorded again'; insert into t(v) values('and more')");
    scene.rewind("anew").ok();
    assert_eq!(scene.image(), before);
}

/// In WAL mode the size of the pages is for ever.
#[test]
fn page_size_and_wal() {
    // The pages are no longer the blocks when WAL begins: lost, and listed so.
    let mut scene = Scene::new("delete");
    scene.mark("start").ok();
    scene.app.must("pragma page_size=1024; vacuum");
    scene.app.must("pragma journal_mode=wal; insert into t(v) values('second')");
    let before = scene.image();
    let answer = scene.rewind("start");
    assert!(answer.is_dbr(11), "{answer:?}");
    assert_eq!(scene.image(), before);
    assert_eq!(scene.recorder.ask(Request::Marks).rows()[0][3], "lost");
    scene.mark("anew").ok();
    scene.fill(5);
    scene.rewind("anew").ok();
    assert_eq!(scene.image(), before);

    // They are again, but were not at the mark: refused in WAL mode, possible in a rollback mode.
    let mut scene = Scene::new("delete");
    let size = scene.app.sql("pragma page_size").value();
    scene.app.must("pragma page_size=1024; vacuum");
    scene.mark("small").ok();
    let small = scene.image();
    scene.app.must(&format!("pragma page_size={size}; vacuum"));
    scene.app.must("pragma journal_mode=wal");
    scene.fill(5);
    let before = scene.image();
    let answer = scene.rewind("small");
    assert!(answer.is_dbr(21), "{answer:?}");
    assert_eq!(scene.image(), before);
    scene.app.ask(Request::Close).ok();
    scene.recorder.ask(Request::Detach).ok();
    scene.leave_wal().ok();
    scene.rewind("small").ok();
    assert_eq!(scene.image(), small);
}

/// Killed between two steps of a change, the process leaves a sound database; marks are exact or refused.
#[cfg(feature = "fault")]
#[test]
fn killed_between_the_steps() {
    const PLACES: [(&str, bool); 10] = [
        ("rollback commit: not numbered", false),
        ("rollback commit: not recorded", false),
        ("rollback commit: boundary moved", false),
        ("rollback commit: registers not raised", false),
        ("switch to wal: no era yet", false),
        ("switch to wal: era begun", false),
        ("wal checkpoint: bases saved", true),
        ("wal checkpoint: pages written", true),
        ("wal end: wal removed", true),
        ("wal end: page 1 written", true),
    ];
    let mut kept = 0;
    for (place, leaving) in PLACES {
        let mut scene = Scene::new(if leaving { "wal" } else { "delete" });
        scene.fill(50);
        scene.mark("start").ok();
        let start = scene.image();
        scene.recorder.ask(Request::Detach).ok();
        if leaving {
            scene.app.open_as(&scene.path, 200, None, true).ok();
            scene.fill(50);
        }
        let end = scene.image();
        scene.app.ask(Request::Close).ok();
        let mut child = Peer::faulty("recording process", Path::new(BINARY), &format!("1 {place}"));
        let path = scene.name();
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if leaving {
                child.ask(Request::LeaveWal { path, options: Recording::quick(false) })
            } else {
                let commits = place == "rollback commit: boundary moved";
                child.attach(&scene.path, Recording { commits, ..Recording::quick(false) });
                child.open(Path::new(&path), 200);
                child.sql("pragma journal_mode=wal");
                child.ask(Request::Now);
                child.ask(Request::Now)
            }
        }));
        assert!(died.is_err(), "{place} was not passed: {died:?}");
        child.kill();
        assert_eq!(scene.image(), end, "{place}: plain SQLite finds the newest state");
        scene.attach(false).ok();
        let answer = scene.rewind("start");
        match answer {
            Answer::Rewound { .. } => {
                kept += 1;
                assert_eq!(scene.image(), start, "{place}");
            }
            other => {
                assert!(other.is_dbr(11), "{place}: {other:?}");
                assert_eq!(scene.image(), end, "{place}");
            }
        }
        scene.mark("anew").ok();
        let anew = scene.image();
        scene.app.open(&scene.path, 200);
        scene.fill(10);
        scene.rewind("anew").ok();
        assert_eq!(scene.image(), anew, "{place}");
    }
    eprintln!("{kept} of {} kept", PLACES.len());
}
