//! Other programs: `run`, `bench`, and what a shell and `man` know.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::scene::{BINARY, Ran, Scene, rows};

/// A program that opens the database alone, deletes everything and says so.
const DELETES: &[&str] = &[
    "python3",
    "-c",
    "import sqlite3; db = sqlite3.connect('app.db'); db.execute('DELETE FROM t'); db.commit(); print('deleted'); raise SystemExit(7)",
];

#[test]
fn what_a_program_did_is_rewound_after_it() {
    let scene = Scene::new("wal");
    let ran = scene.run("run", &[&["--rewind=after", "--"], DELETES].concat());
    assert_eq!((ran.status, ran.out.as_str()), (7, "deleted\n"), "{ran:?}");
    assert!(ran.err.contains("undo: dbrewind rewind app.db ") && !ran.err.contains("u{1b}"), "{ran:?}");
    assert_eq!(rows(&scene.connect()), 3);
}

#[test]
fn a_program_begins_with_the_state_of_a_mark() {
    let scene = Scene::new("wal");
    // Whoever has it open keeps the mark in the meantime.
    let app = scene.connect();
    assert_eq!(rows(&app), 3);
    scene.run("mark", &["seeded"]).ok();
    app.execute_batch("INSERT INTO t VALUES (4)").unwrap();
    let count =
        "import sqlite3; print(sqlite3.connect('app.db').execute('SELECT count(*) FROM t').fetchone()[0])";
    let ran = scene.run("run", &["--rewind", "before", "--json", "--", "python3", "-c", count]).ok();
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(lines[0], "3");
    let told: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!((&told["exit"], told["rewound"]["pages"].as_u64() > Some(0)), (&json!(0), true), "{told}");
    // Without a rewind it is recorded all the same.
    let ran = scene.run("run", &[&["--json", "--"], DELETES].concat());
    assert_eq!(ran.status, 7, "{ran:?}");
    scene.run("rewind", &["seeded"]).ok();
    assert_eq!(rows(&app), 3);
}

#[test]
fn a_program_that_cannot_be_started_or_recorded() {
    let scene = Scene::new("wal");
    scene.run("run", &["--", "./no-such-program"]).refused("DBR025", 1);
    scene.run("run", &["--rewind", "after", "--to", "none", "--", "true"]).refused("DBR003", 1);
    let killed = scene.run("run", &["--", "sh", "-c", "kill -KILL $$"]);
    assert_eq!(killed.status, 128 + 9, "{killed:?}");
}

#[test]
fn a_signal_is_passed_on_to_the_program() {
    let scene = Scene::new("wal");
    let program = "trap 'echo asked; exit 5' TERM; echo ready; while :; do sleep 0.02; done";
    let mut run = scene.command("run", &["--rewind=after", "--", "sh", "-c", program]);
    let mut run = run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(run.stdout.as_mut().unwrap(), &mut ready).unwrap();
    assert!(Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap().success());
    let ran = Ran::of(run.wait_with_output().unwrap());
    assert_eq!((ran.status, ran.out.as_str()), (5, "asked\n"), "{ran:?}");
}

#[test]
fn completions_and_pages_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let bash = Ran::of(Command::new(BINARY).args(["completions", "bash"]).output().unwrap()).ok().out;
    let pages = Ran::of(Command::new(BINARY).arg("man").arg(folder.path()).output().unwrap()).ok().out;
    for verb in
        ["status", "list", "mark", "rewind", "drop", "diff", "clone", "doctor", "bench", "run", "watch"]
    {
        assert!(bash.contains(verb), "{verb}");
        assert!(pages.lines().any(|page| page == format!("dbrewind-{verb}.1")), "{verb}: {pages}");
    }
    let page = std::fs::read_to_string(folder.path().join("dbrewind-rewind.1")).unwrap();
    assert!(page.contains("5 minutes ago") && page.contains("use\\-earliest"), "{page}");
    let checked = Command::new("bash").args(["-n", "-c", &bash]).status().unwrap();
    assert!(checked.success());
    let message =
        Ran::of(Command::new(BINARY).args(["man", "/no/such/folder"]).output().unwrap()).refused("DBR025", 1);
    assert!(message.contains("/no/such/folder"), "{message}");
}

#[test]
fn a_bench_measures_a_copy_and_leaves_the_database_alone() {
    for mode in ["wal", "delete"] {
        let scene = Scene::new(mode);
        let app = scene.connect();
        // What others have open, and a table that no row may be inserted into a second time, as its trigger says.
        app.execute_batch("CREATE TABLE once(x UNIQUE); INSERT INTO once VALUES (1); CREATE TRIGGER no BEFORE INSERT ON once BEGIN SELECT RAISE(ABORT, 'no'); END").unwrap();
        let content = || std::fs::read(scene.path()).unwrap();
        let names = || {
            let mut names: Vec<_> =
                std::fs::read_dir(scene.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let before = (content(), names());
        let measured = scene.json("bench", &["--rounds", "3", "--rows", "10"]);
        assert_eq!((content(), names()), before, "{mode}");
        assert_eq!((&measured["rounds"], &measured["rows"]), (&json!(3), &json!(10)));
        let ways = measured["ways"].as_array().unwrap();
        let names: Vec<_> = ways.iter().map(|way| way["way"].as_str().unwrap()).collect();
        assert_eq!(names, ["rewind", "copy", "truncate"]);
        for way in ways {
            assert!(
                way["median"].as_f64() >= way["least"].as_f64() && way["least"].as_f64() > Some(0.0),
                "{way}"
            );
        }
        let told = scene.run("bench", &["--rounds", "2", "--in", "."]).ok().out;
        assert!(told.contains("RESET BY") && told.contains("truncate"), "{told}");
        assert_eq!(std::fs::read_dir(scene.folder()).unwrap().count(), before.1.len(), "nothing is left");
        scene.run("bench", &["--in", "/no/such/folder"]).refused("DBR025", 1);
    }
}
