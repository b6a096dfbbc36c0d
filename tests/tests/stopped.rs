//! A process is stopped between two steps of a commit (SIGSTOP), and others come; then it goes on, or is killed. The commit counts once, as it
//! is in the database, and until that is certain nobody moves it.
#![cfg(feature = "fault")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "functions of a test")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dbrewind_testkit::peer::Peer;
use dbrewind_testkit::protocol::{Answer, Goal, Recording, Request};
use tempfile::TempDir;

/// How it ends for the one that was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    GoesOn,
    Killed,
}

struct Scene {
    /// The one that will be stopped.
    first: Peer,
    /// Another that records the same database.
    second: Peer,
    /// The first one owes an answer.
    asked: bool,
    _dir: TempDir,
}

impl Scene {
    fn new(journal: &str, place: &str) -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_crash"));
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("app.db");
        let mut plain = Peer::process("plain", binary);
        plain.open(&path, 0);
        plain.must(&format!(
            "pragma journal_mode={journal}; create table t(v); insert into t values('first')"
        ));
        plain.ask(Request::Close).ok();
        let [mut first, mut second] =
            [Peer::stopping("first", binary, place), Peer::process("second", binary)];
        for recorder in [&mut first, &mut second] {
            recorder.attach(&path, Recording::quick(journal == "wal")).ok();
        }
        assert!(matches!(second.mark("m"), Answer::Lsn { .. }));
        for writer in [&mut first, &mut second] {
            writer.open(&path, 20_000);
        }
        Self { first, second, asked: false, _dir: dir }
    }

    /// The first one inserts a row, and is stopped on the way.
    fn insert(&mut self) {
        self.first.send(Request::Sql { sql: "insert into t values('second')".to_owned() });
        self.asked = true;
        until(|| self.is_stopped());
    }

    fn is_stopped(&self) -> bool {
        let pid = self.first.pid().unwrap();
        let told = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        told.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
    }

    /// While it is stopped nobody moves the database; afterwards `m` and what came after it are what they were.
    fn ends(mut self, end: End, what: &str, rows: impl Fn(u64) -> bool) {
        let refused = self.second.rewind("m", 300);
        assert!(refused.is_dbr(4), "{what}, {end:?}: {refused:?}");
        match end {
            End::GoesOn => {
                let pid = self.first.pid().unwrap().to_string();
                assert!(Command::new("kill").args(["-CONT", &pid]).status().unwrap().success());
            }
            End::Killed => self.first.kill(),
        }
        if end == End::GoesOn && self.asked {
            assert!(matches!(self.first.receive(), Answer::Rows { .. }), "{what}");
        }
        let found = self.rows();
        assert!(rows(found), "{what}, {end:?}: {found} rows");
        for _ in 0..2 {
            let undo = match self.second.rewind("m", 20_000) {
                Answer::Rewound { undo, .. } => undo,
                other => panic!("{what}, {end:?}: {other:?}"),
            };
            assert_eq!(self.rows(), 1, "{what}, {end:?}");
            let back = self.second.ask(Request::Rewind { to: Goal::Lsn(undo), timeout: 20_000 });
            assert!(matches!(back, Answer::Rewound { .. }), "{what}, {end:?}: {back:?}");
            assert_eq!(self.rows(), found, "{what}, {end:?}");
        }
        // And recording goes on.
        assert!(matches!(self.second.mark("after"), Answer::Lsn { .. }), "{what}, {end:?}");
        self.second.must("insert into t values('later')");
        assert!(matches!(self.second.rewind("after", 20_000), Answer::Rewound { .. }), "{what}, {end:?}");
        assert_eq!(self.rows(), found, "{what}, {end:?}");
    }

    fn rows(&mut self) -> u64 {
        assert_eq!(self.second.must("pragma integrity_check"), [["ok"]]);
        self.second.must("select count(*) from t")[0][0].parse().unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // It may be stopped still, and would be waited for.
        self.first.kill();
    }
}

fn until(mut done: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it does not come to that");
}

/// Each step from the journal's end to the last register.
#[test]
fn hazard_a_commit_whose_process_is_stopped() {
    for journal in ["delete", "truncate", "persist"] {
        for step in ["not numbered", "not recorded", "registers not raised"] {
            for end in [End::GoesOn, End::Killed] {
                let place = format!("rollback commit: {step}");
                let mut scene = Scene::new(journal, &format!("1 {place}"));
                scene.insert();
                scene.ends(end, &format!("{journal}, {place}"), |rows| rows == 2);
            }
        }
    }
}

/// What was saved for a transaction that has written nothing yet.
#[test]
fn hazard_a_transaction_whose_process_is_stopped() {
    for end in [End::GoesOn, End::Killed] {
        let mut scene = Scene::new("delete", "1 rollback capture");
        scene.insert();
        let rows = if end == End::GoesOn { 2 } else { 1 };
        scene.ends(end, "rollback capture", |found| found == rows);
    }
}

/// The one that copies the WAL is stopped between the frames of a commit, while others go on committing.
#[test]
fn hazard_a_commit_half_copied_by_a_process_that_is_stopped() {
    for frame in 8..14 {
        for end in [End::GoesOn, End::Killed] {
            let mut scene = Scene::new("wal", &format!("{frame} wal tail: one frame"));
            let mut count = 1;
            until(|| {
                scene.second.must("insert into t values(randomblob(9000))");
                count += 1;
                std::thread::sleep(Duration::from_millis(5));
                scene.is_stopped()
            });
            scene.second.must("insert into t values('one more')");
            scene.ends(end, &format!("frame {frame}"), |rows| rows == count + 1);
        }
    }
}
