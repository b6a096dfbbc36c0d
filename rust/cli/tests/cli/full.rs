//! A full history: it can be looked at, and dropping pinned marks makes room.

use dbrewind_sqlite::{Database, OpenOptions, SqliteApi, Synchronous};
use serde_json::{Value, json};

use crate::scene::Scene;

/// Recorded by this process, as by an application.
fn record(scene: &Scene) -> Database {
    let options = OpenOptions {
        limit: Some(1 << 20),
        synchronous: Synchronous::Off,
        seal: false,
        ..OpenOptions::default()
    };
    Database::open(SqliteApi::bundled(), &scene.path(), &options).unwrap()
}

/// Pins a mark after each change until there is no room for another one. Answers what is pinned.
fn outgrow(scene: &Scene, database: &Database) -> Vec<String> {
    let app = scene.connect();
    let mut pinned = Vec::new();
    for round in 0..100 {
        let name = format!("round {round}");
        if database.mark_pinned(&name).is_ok() {
            pinned.push(name);
        }
        app.execute_batch("UPDATE t SET x = hex(randomblob(20000))").unwrap();
        if database.drain().is_err() {
            return pinned;
        }
    }
    panic!("the store is not full");
}

fn states(scene: &Scene) -> Vec<Value> {
    let list = scene.json("list", &[]);
    list["marks"].as_array().unwrap().iter().map(|mark| mark["state"].clone()).collect()
}

#[test]
fn a_history_that_is_full_while_a_program_records_can_be_looked_at_and_its_pins_dropped() {
    let scene = Scene::new("wal");
    let database = record(&scene);
    let pinned = outgrow(&scene, &database);
    let status = scene.json("status", &[]);
    assert_eq!((&status["state"], &status["now"]), (&json!("stopped"), &Value::Null), "{status}");
    assert_eq!(status["pins"].as_array().unwrap().len(), pinned.len());
    assert!(states(&scene).iter().all(|state| *state == "lost"));
    scene.run("mark", &["more"]).refused("DBR010", 1);
    let text = scene.run("status", &[]).ok().out;
    assert!(text.contains("there is no room to record"), "{text}");
    for (number, name) in pinned.iter().enumerate() {
        let left = pinned.len() - number - 1;
        let ran = scene.run("drop", &[name]).ok();
        assert!(ran.err.contains("nothing is recorded any more until"), "{name}: {ran:?}");
        let says =
            ran.err.contains(if left == 1 { "; one pinned mark is left" } else { " pinned marks are left" });
        assert_eq!(says, left > 0, "{name}: {ran:?}");
    }
    assert_eq!(scene.json("status", &[])["pins"], json!([]));
    assert_eq!(states(&scene), [] as [Value; 0]);
    database.close().unwrap();
    scene.run("mark", &["anew"]).ok();
}

/// There whoever comes next begins anew, for all who record.
#[test]
fn a_history_in_a_rollback_mode_that_is_full_goes_on_with_the_next_command() {
    let scene = Scene::new("delete");
    let database = record(&scene);
    let pinned = outgrow(&scene, &database);
    assert_eq!(scene.json("status", &[])["marks"]["lost"], json!(pinned.len()));
    for name in &pinned {
        scene.run("drop", &[name]).ok();
    }
    database.mark("anew").unwrap();
    scene.connect().execute_batch("DELETE FROM t").unwrap();
    scene.run("rewind", &["anew"]).ok();
    assert_eq!(crate::scene::rows(&scene.connect()), 3);
    database.close().unwrap();
}

/// Nobody records: what could not be recorded is lost, pins keep nothing of it, and the history begins anew.
#[test]
fn a_history_that_is_full_and_has_stopped_begins_anew_with_the_next_command() {
    for mode in ["wal", "delete"] {
        let scene = Scene::new(mode);
        let database = record(&scene);
        let pinned = outgrow(&scene, &database);
        database.close().unwrap();
        let status = scene.json("status", &[]);
        assert_eq!(status["marks"]["lost"], json!(pinned.len()), "{mode}: {status}");
        assert!(states(&scene).iter().all(|state| *state == "lost"), "{mode}");
        scene.run("drop", &[&pinned[0]]).ok();
        scene.run("mark", &["anew", "--pin"]).ok();
        assert_eq!(states(&scene).len(), pinned.len(), "{mode}");
        let state = &scene.json("status", &[])["state"];
        assert!(["ok", "alert"].iter().any(|good| state == good), "{mode}: {state}");
    }
}
