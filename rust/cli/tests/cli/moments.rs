//! Marks, rewinds, and looks at the past, while an application has the database open.

use dbrewind_sqlite::{Database, OpenOptions, SqliteApi};
use serde_json::json;

use crate::scene::{Scene, rows};

#[test]
fn a_rewind_from_another_process_while_the_application_runs() {
    let scene = Scene::new("wal");
    let app = scene.connect();
    assert_eq!(rows(&app), 3);
    let marked = scene.json("mark", &["seeded"]);
    assert_eq!(
        (&marked["name"], &marked["pinned"], &marked["recorders"]),
        (&json!("seeded"), &json!(false), &json!([]))
    );
    app.execute_batch("DELETE FROM t; CREATE TABLE more(y)").unwrap();
    let done = scene.json("rewind", &["seeded"]);
    assert_eq!(done["to"], marked["lsn"]);
    assert!(done["pages"].as_u64().unwrap() >= 1 && done["seconds"].as_f64().unwrap() > 0.0, "{done}");
    assert!(["moved", "written"].contains(&done["method"].as_str().unwrap()), "{done}");
    assert_eq!(rows(&app), 3, "the connection is open and sees the mark");
    assert!(app.prepare("SELECT * FROM more").is_err());
    // And forward again, by the LSN.
    let undo = done["undo"].to_string();
    let again = scene.json("rewind", &[&undo]);
    assert_eq!(again["to"], done["undo"]);
    assert_eq!(rows(&app), 0);
    // The newest mark is what is meant without a word.
    scene.run("mark", &["empty"]).ok();
    scene.run("rewind", &["seeded"]).ok();
    assert_eq!(rows(&app), 3);
    let done = scene.run("rewind", &[]).ok();
    assert!(done.out.contains("app.db is at mark empty, LSN "), "{}", done.out);
    assert!(done.out.contains("\nundo: dbrewind rewind app.db "), "{}", done.out);
    assert_eq!(rows(&app), 0);
    let there = scene.run("rewind", &["empty"]).ok();
    assert!(there.out.ends_with(" already\n"), "{}", there.out);
}

#[test]
fn marks_are_listed_and_dropped() {
    let scene = Scene::new("wal");
    let app = scene.connect();
    assert_eq!(rows(&app), 3);
    scene.run("mark", &["a"]).ok();
    scene.run("mark", &["b c", "--pin"]).ok();
    let listed = scene.json("list", &[]);
    let marks = listed["marks"].as_array().unwrap();
    let told: Vec<_> = marks.iter().map(|mark| (&mark["name"], &mark["pinned"])).collect();
    assert_eq!(told, [(&json!("a"), &json!(false)), (&json!("b c"), &json!(true))]);
    assert!(marks[0]["bytes"].is_null() && marks[1]["bytes"].is_u64(), "{listed}");
    // Between tabs, for programs.
    let lines = scene.run("list", &[]).ok().out;
    let first: Vec<_> = lines.lines().next().unwrap().split('\t').collect();
    assert_eq!((first[0], first[2], first.len()), ("a", marks[0]["lsn"].to_string().as_str(), 5));
    assert_eq!(scene.json("drop", &["a"])["dropped"], "a");
    let left = scene.json("list", &[]);
    assert_eq!(left["marks"].as_array().unwrap().len(), 1);
    scene.run("drop", &["a"]).refused("DBR003", 1);
    let status = scene.json("status", &[]);
    assert_eq!(
        (&status["state"], &status["recorded"], &status["journal"]),
        (&json!("ok"), &json!(true), &json!("wal"))
    );
    assert_eq!(status["pins"][0]["name"], "b c");
    assert_eq!(status["marks"]["lost"], 0);
    assert_eq!(status["target"], 259_200.0);
}

#[test]
fn a_time_with_and_without_quotes() {
    let scene = Scene::new("wal");
    let app = scene.connect();
    assert_eq!(rows(&app), 3);
    let time = scene.json("mark", &["seeded"])["time"].as_str().unwrap().to_owned();
    app.execute_batch("DELETE FROM t").unwrap();
    scene.run("rewind", &[&time]).ok();
    assert_eq!(rows(&app), 3);
    app.execute_batch("DELETE FROM t").unwrap();
    let message = scene.run("rewind", &["5", "minutes", "ago"]).refused("DBR027", 3);
    assert!(message.contains("--use-earliest"), "{message}");
    scene.run("rewind", &["5 minutes ago", "--use-earliest"]).ok();
    assert_eq!(rows(&app), 3);
    scene.run("rewind", &["5 fortnights ago"]).refused("DBR022", 2);
    scene.run("rewind", &["2026-11-22T07:48:00"]).refused("DBR022", 2);
}

#[test]
fn digits_are_an_lsn_unless_they_are_said_to_be_a_mark() {
    let scene = Scene::new("wal");
    let app = scene.connect();
    assert_eq!(rows(&app), 3);
    let database = Database::open(SqliteApi::bundled(), &scene.path(), &OpenOptions::default()).unwrap();
    database.mark("4242").unwrap();
    app.execute_batch("DELETE FROM t").unwrap();
    scene.run("rewind", &["4242"]).refused("DBR003", 1);
    scene.run("rewind", &["--mark", "4242"]).ok();
    assert_eq!(rows(&app), 3);
    scene.run("mark", &["4343"]).refused("DBR022", 2);
}

#[test]
fn what_differs_and_a_copy_of_the_past() {
    let scene = Scene::new("wal");
    let app = scene.connect();
    app.execute_batch(
        "CREATE TABLE k(a, b BLOB, PRIMARY KEY(a, b)) WITHOUT ROWID; INSERT INTO k VALUES ('x', x'00ff')",
    )
    .unwrap();
    scene.run("mark", &["seeded"]).ok();
    assert_eq!(scene.run("diff", &[]).ok().out, "nothing differs\n");
    app.execute_batch("DELETE FROM t WHERE x = 2; UPDATE t SET x = 9 WHERE x = 3; INSERT INTO t VALUES (4); DELETE FROM k; CREATE VIEW v AS SELECT 1")
        .unwrap();
    let diff = scene.json("diff", &["seeded"]);
    assert_eq!(diff["tables"]["t"], json!({"inserted": [4], "deleted": [2], "updated": [3]}));
    assert_eq!(diff["tables"]["k"]["deleted"], json!([["x", {"blob": "00ff"}]]));
    assert_eq!(diff["schema"], json!({"view v": "created"}));
    assert!(diff["before"].as_u64() < diff["after"].as_u64());
    let before = diff["before"].to_string();
    assert_eq!(scene.json("diff", &["seeded", &before])["tables"], json!({}));
    // The present moment, and the past.
    for (new, of, there) in [("now.db", vec![], 3), ("then.db", vec!["seeded"], 3)] {
        let cloned = scene.json("clone", &[&[new], of.as_slice()].concat());
        assert_eq!(cloned["clone"], json!(std::fs::canonicalize(scene.folder().join(new)).unwrap()));
        let copy = rusqlite::Connection::open(scene.folder().join(new)).unwrap();
        assert_eq!(rows(&copy), there);
        let has_k: i64 = copy.query_row("SELECT count(*) FROM k", [], |row| row.get(0)).unwrap();
        assert_eq!(has_k, i64::from(new == "then.db"));
    }
    let message = scene.run("clone", &["then.db"]).refused("DBR022", 2);
    assert!(message.contains("then.db"), "{message}");
}

#[test]
fn in_a_rollback_mode_what_nobody_recorded_is_refused() {
    let scene = Scene::new("delete");
    let marked = scene.run("mark", &["seeded"]).ok();
    assert!(marked.err.contains("--journal wal"), "{marked:?}");
    let app = scene.connect();
    assert_eq!(rows(&app), 3);
    // Reading is nothing.
    let done = scene.json("rewind", &["seeded"]);
    assert_eq!(done["method"], "nothing");
    app.execute_batch("DELETE FROM t").unwrap();
    let refused = scene.run("rewind", &["seeded"]);
    assert_eq!(refused.status, 3, "{refused:?}");
    assert_eq!(rows(&app), 0, "nothing was changed");
    let listed = scene.json("list", &[]);
    assert_eq!(listed["marks"][0]["state"], "lost");
}
