//! A store of volumes, looked at while an engine uses it.

use std::path::{Path, PathBuf};
use std::process::Command;

use dbrewind_volume::{AttachOptions, Code, FileVolume, Memory, StoreSettings, Volume, VolumeStore};
use serde_json::{Value, json};

use crate::scene::{BINARY, Ran, Scene};

fn run(arguments: &[&str]) -> Ran {
    Ran::of(Command::new(BINARY).args(arguments).output().unwrap())
}

struct Engine {
    folder: tempfile::TempDir,
    store: VolumeStore,
}

impl Engine {
    fn new(settings: &StoreSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = VolumeStore::open(&folder.path().join("history"), settings).unwrap();
        Self { folder, store }
    }

    fn path(&self) -> &Path {
        self.store.folder()
    }

    fn word(&self) -> String {
        self.path().display().to_string()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

/// Everything below the folder, by size.
fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.map(|path| (path.clone(), path.metadata().unwrap().len())).collect();
    files.sort();
    files
}

#[test]
fn a_store_of_volumes_is_looked_at_while_it_is_used() {
    let engine = Engine::new(&StoreSettings { limit: Some(64 << 20), ..StoreSettings::default() });
    let store = engine.word();
    assert!(run(&["list", &store]).ok().err.contains("has no volumes"));
    assert_eq!(run(&["status", &store, "--json"]).ok().json()["volumes"], json!([]));

    let memory = Memory::new(&[7; 6400]);
    let table =
        Volume::attach(&engine.store, "table", 64, memory.clone(), &AttachOptions::default()).unwrap();
    let file =
        FileVolume::attach(&engine.store, "a file", 4096, &engine.data(), &AttachOptions::default()).unwrap();
    let pinned = table.mark_pinned("seeded").unwrap();
    file.mark("empty").unwrap();
    file.detach().unwrap();
    let before = files(engine.path());

    let listed = run(&["list", &store, "--json"]).ok().json();
    assert_eq!(listed["store"], json!(store));
    assert_eq!(
        (&listed["volumes"][0]["name"], &listed["volumes"][0]["attached"]),
        (&json!("a file"), &json!(false))
    );
    let one = &listed["volumes"][1];
    assert_eq!(
        (&one["name"], &one["block_size"], &one["attached"]),
        (&json!("table"), &json!(64), &json!(true))
    );
    let expected = json!({
        "name": "seeded", "lsn": pinned.lsn.get(), "pages": 100, "pinned": true, "state": "archived",
        "time": one["marks"][0]["time"],
    });
    assert_eq!(one["marks"], Value::Array(vec![expected]));
    let lines = run(&["list", &store]).ok();
    assert!(
        lines.out.starts_with("a file\tempty\tarchived\t")
            && lines.out.contains("\ntable\tseeded\tarchived\t"),
        "{lines:?}"
    );

    let status = run(&["status", &store, "--json"]).ok().json();
    assert_eq!(
        (&status["limit"], &status["recorders"][0]["pid"]),
        (&json!(64 << 20), &json!(std::process::id()))
    );
    let one = &status["volumes"][1];
    assert_eq!((&one["state"], &one["stopped"]), (&json!("ok"), &Value::Null));
    assert_eq!(one["marks"], json!({"hot": 0, "archived": 1, "evicted": 0, "lost": 0}));
    assert_eq!(
        (&one["pins"][0]["name"], &one["now"]),
        (&json!("seeded"), &json!(table.now().unwrap().get()))
    );
    let text = run(&["status", &store]).ok().out;
    assert!(
        text.contains("of 64.0 MiB") && text.contains("table, blocks of 64 bytes: ok, attached;"),
        "{text}"
    );

    assert_eq!(files(engine.path()), before, "looking changed the store");
    table.rewind("seeded").unwrap();
}

#[test]
fn a_recording_that_has_stopped_is_told_of() {
    let engine = Engine::new(&StoreSettings { limit: Some(5 << 20), ..StoreSettings::default() });
    let memory = Memory::new(&vec![1; 16 << 20]);
    let volume = Volume::attach(&engine.store, "v", 4096, memory.clone(), &AttachOptions::anew()).unwrap();
    volume.mark_pinned("m").unwrap();
    let lock = memory.locked();
    volume.enter().unwrap();
    assert_eq!(volume.will_write(0, 16 << 20).unwrap_err().code(), Code::StoreFull);
    drop(lock);
    let status = run(&["status", &engine.word(), "--json"]).ok().json();
    let one = &status["volumes"][0];
    assert_eq!(
        (&one["stopped"], &one["state"], &one["marks"]["lost"]),
        (&json!("DBR010"), &json!("stopped"), &json!(1))
    );
    assert!(run(&["status", &engine.word()]).ok().out.contains("stopped (DBR010: The store cannot grow)"));
    assert!(run(&["list", &engine.word()]).ok().out.starts_with("v\tm\tlost\t"));
}

#[test]
fn what_only_the_engine_can_do_is_refused() {
    let engine = Engine::new(&StoreSettings::default());
    let memory = Memory::new(&[7; 640]);
    let volume = Volume::attach(&engine.store, "v", 64, memory, &AttachOptions::default()).unwrap();
    volume.mark("m").unwrap();
    let store = engine.word();
    for arguments in [
        &["rewind", &store, "m"][..],
        &["rewind", &store],
        &["mark", &store, "n"],
        &["drop", &store, "m"],
        &["diff", &store],
        &["clone", &store, "new.db"],
        &["doctor", &store],
        &["bench", &store],
        &["run", &store, "--", "true"],
        &["watch", &store],
    ] {
        let message = run(arguments).refused("DBR021", 4);
        assert!(message.contains("is a store of volumes") && message.contains("dbrewind list "), "{message}");
        assert_eq!(volume.marks().unwrap().len(), 1, "{arguments:?}");
    }
    // The folder of a database's history is another thing, and one that is no store as well.
    let scene = Scene::new("wal");
    scene.run("mark", &["seeded"]).ok();
    let history = scene.store().display().to_string();
    for verb in ["list", "status", "rewind"] {
        let message = run(&[verb, &history]).refused("DBR022", 2);
        assert!(message.contains("the history of a database"), "{message}");
        assert!(message.contains(&format!("dbrewind {verb} {}", scene.path().display())), "{message}");
        let message = run(&[verb, &scene.folder().display().to_string()]);
        assert!(message.status != 0 && !message.err.contains("volumes"), "{message:?}");
    }
}
