//! Who records when no command does, and `watch`.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::scene::{BINARY, Ran, Scene, rows};

/// `dbrewind watch --json`, running.
struct Watch {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watch {
    fn begin(scene: &Scene, rest: &[&str]) -> Self {
        let mut child = scene.command("watch", rest).arg("--json").stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut watch = Self { child, lines };
        assert_eq!(watch.next()["event"], "recording");
        watch
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Events up to one of this kind.
    fn until(&mut self, event: &str) -> Value {
        loop {
            let next = self.next();
            if next["event"] == event {
                return next;
            }
        }
    }

    fn end(mut self, signal: &str) {
        let sent = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
        self.until("end");
        assert!(self.child.wait().unwrap().success());
    }
}

/// The stock shell, or whatever: opens, writes and closes, which brings the WAL into the file.
fn alone(scene: &Scene, sql: &str) {
    scene.connect().execute_batch(sql).unwrap();
}

#[test]
fn a_mark_of_a_command_alone_is_kept_or_lost_as_it_said() {
    let scene = Scene::new("wal");
    let marked = scene.run("mark", &["seeded"]).ok();
    assert!(marked.err.contains("recording ends with this command"), "{marked:?}");
    assert!(marked.err.contains("dbrewind watch app.db"), "{marked:?}");
    // Somebody who has it open all the time: kept.
    let app = scene.connect();
    assert_eq!(rows(&app), 3);
    scene.run("mark", &["opened"]).ok();
    app.execute_batch("DELETE FROM t").unwrap();
    scene.run("rewind", &["opened"]).ok();
    assert_eq!(rows(&app), 3);
    // And who brings what is unrecorded into the file: lost, and said so.
    app.execute_batch("DELETE FROM t").unwrap();
    drop(app);
    let message = scene.run("rewind", &["opened"]).refused("DBR011", 3);
    assert!(message.contains("--use-earliest"), "{message}");
    assert_eq!(rows(&scene.connect()), 0);
    assert_eq!(scene.json("status", &[])["marks"]["lost"], 2);
}

#[test]
fn a_file_without_bytes_gets_some_and_that_is_said() {
    let scene = Scene::new("wal");
    for (verb, journal, rest) in [
        ("mark", "wal", vec!["seeded"]),
        ("mark", "delete", vec!["seeded"]),
        ("run", "wal", vec!["--", "true"]),
    ] {
        let path = scene.folder().join(format!("{verb}-{journal}.db"));
        std::fs::write(&path, "").unwrap();
        let mut command = Command::new(BINARY);
        let ran = command.arg(verb).arg(&path).args(["--journal", journal]).args(&rest).output().unwrap();
        let ran = Ran::of(ran).ok();
        let size = std::fs::metadata(&path).unwrap().len();
        assert!(size > 0, "{ran:?}");
        let said = format!("was empty, and is a database without tables now, of {size} bytes");
        assert!(ran.err.contains(&said), "{ran:?}");
    }
    assert!(!scene.run("mark", &["seeded"]).ok().err.contains("was empty"));
}

#[test]
fn a_history_elsewhere_is_named_in_what_to_type() {
    let scene = Scene::new("wal");
    let app = scene.connect();
    assert_eq!(rows(&app), 3);
    let elsewhere = ["--store", "my history"];
    let marked = scene.run("mark", &[&["seeded"], elsewhere.as_slice()].concat()).ok();
    assert!(marked.err.contains("`dbrewind watch app.db --store 'my history'`"), "{marked:?}");
    app.execute_batch("DELETE FROM t").unwrap();
    let done = scene.run("rewind", &elsewhere).ok();
    let undo = done.out.lines().last().unwrap().strip_prefix("undo: dbrewind ").unwrap();
    let command = format!("{BINARY} {undo}");
    let undone = Command::new("sh").args(["-c", &command]).current_dir(scene.folder()).output().unwrap();
    Ran::of(undone).ok();
    assert_eq!(rows(&app), 0);
    assert!(!scene.store().exists());
}

#[test]
fn while_somebody_watches_marks_are_certain() {
    let scene = Scene::new("wal");
    let mut watch = Watch::begin(&scene, &[]);
    let marked = scene.run("mark", &["seeded"]).ok();
    assert_eq!(marked.err, "", "somebody records");
    assert_eq!(watch.until("mark")["name"], "seeded");
    alone(&scene, "DELETE FROM t");
    let moment = watch.until("moment");
    alone(&scene, "CREATE TABLE more(y); PRAGMA wal_checkpoint(TRUNCATE)");
    let status = scene.json("status", &[]);
    assert_eq!(status["recorders"][0]["pid"], watch.child.id());
    let done = scene.json("rewind", &["seeded"]);
    assert!(done["undo"].as_u64() >= moment["lsn"].as_u64(), "{done}");
    assert_eq!(rows(&scene.connect()), 3);
    scene.run("drop", &["seeded"]).ok();
    assert_eq!(watch.until("drop")["name"], "seeded");
    watch.end("-INT");
}

#[test]
fn a_stopped_process_is_named() {
    let scene = Scene::new("wal");
    let watch = Watch::begin(&scene, &[]);
    let first = |status: Value| status["recorders"][0].clone();
    assert_eq!(first(scene.json("status", &[]))["stopped"], false);
    signal("-STOP", watch.child.id());
    let told = scene.run("status", &[]).ok().out;
    let status = scene.json("status", &[]);
    let stopped = first(status.clone());
    signal("-CONT", watch.child.id());
    assert_eq!((&stopped["stopped"], &stopped["pid"]), (&true.into(), &watch.child.id().into()));
    assert_eq!(status["waits_for"], serde_json::json!([stopped]));
    assert_eq!(scene.json("status", &[])["waits_for"], serde_json::json!([]));
    assert!(told.contains(&format!("kill -CONT {}", watch.child.id())), "{told}");
    assert!(!scene.run("status", &[]).ok().out.contains("kill -CONT"));
    // Who keeps a past moment is named with what it holds. This process is none of the command's.
    scene.run("mark", &["seeded"]).ok();
    let options = dbrewind_sqlite::OpenOptions::default();
    let db = dbrewind_sqlite::Database::open(dbrewind_sqlite::SqliteApi::bundled(), &scene.path(), &options)
        .unwrap();
    let at = db.at(&"seeded".into()).unwrap();
    let status = scene.json("status", &[]);
    let own = status["recorders"].as_array().unwrap().iter().find(|one| one["pid"] == std::process::id());
    assert_eq!(own.unwrap()["holds"], serde_json::json!(["reads a past moment"]), "{status}");
    drop(at);
    watch.end("-INT");
}

fn signal(which: &str, pid: u32) {
    assert!(Command::new("kill").args([which, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn a_watch_takes_a_rollback_mode_to_wal_and_ends_by_sigterm() {
    let scene = Scene::new("delete");
    let watch = Watch::begin(&scene, &["--journal", "wal", "--window", "2 days", "--limit", "64MiB"]);
    scene.run("mark", &["seeded"]).ok();
    alone(&scene, "DELETE FROM t");
    scene.run("rewind", &["seeded"]).ok();
    assert_eq!(rows(&scene.connect()), 3);
    let status = scene.json("status", &[]);
    assert_eq!((status["limit"].as_u64(), status["target"].as_f64()), (Some(64 << 20), Some(172_800.0)));
    watch.end("-TERM");
}

#[test]
fn a_watch_of_a_rollback_mode_ends_when_somebody_writes_unrecorded() {
    let scene = Scene::new("delete");
    let mut watch = Watch::begin(&scene, &[]);
    alone(&scene, "DELETE FROM t");
    let failed = watch.next();
    assert_eq!(failed["error"]["code"], "DBR001", "{failed}");
    assert_eq!(watch.child.wait().unwrap().code(), Some(3));
}
