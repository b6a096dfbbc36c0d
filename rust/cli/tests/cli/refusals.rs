//! What goes wrong: codes, exit statuses, and that nothing is left behind.

use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::json;

use crate::scene::{BINARY, Ran, Scene, rows};

#[test]
fn a_missing_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.db");
    for verb in ["status", "list", "mark", "rewind", "drop", "diff", "clone", "doctor", "watch", "bench"] {
        let mut command = Command::new(BINARY);
        command.arg(verb).arg(&path);
        match verb {
            "mark" | "drop" => command.arg("name"),
            "clone" => command.arg(folder.path().join("new.db")),
            _ => &mut command,
        };
        let message = Ran::of(command.output().unwrap()).refused("DBR012", 1);
        assert!(message.contains("none.db"), "{verb}: {message}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn not_a_database() {
    let scene = Scene::new("delete");
    std::fs::write(
        scene.path(),
        "It was a dark and stormy night; the rain fell in torrents, except at occasional intervals.",
    )
    .unwrap();
    scene.run("mark", &["seeded"]).refused("DBR013", 1);
    for verb in ["status", "list", "rewind", "diff", "doctor"] {
        let message = scene.run(verb, &[]).refused("DBR013", 1);
        assert!(message.contains("is not an SQLite database"), "{verb}: {message}");
    }
    std::fs::remove_file(scene.path()).unwrap();
    std::fs::create_dir(scene.path()).unwrap();
    scene.run("mark", &["seeded"]).refused("DBR013", 1);
}

#[test]
fn a_database_without_history_gets_none_by_a_question() {
    let scene = Scene::new("wal");
    assert_eq!(scene.json("status", &[])["recorded"], false);
    assert_eq!(scene.json("list", &[])["marks"], json!([]));
    for verb in [vec!["rewind"], vec!["diff"], vec!["drop", "a"], vec!["clone", "new.db"]] {
        let message = scene.run(verb[0], &verb[1..]).refused("DBR012", 1);
        assert!(message.contains("`dbrewind mark app.db NAME` begins one"), "{message}");
    }
    assert!(!scene.store().exists());
    scene.run("mark", &["a"]).ok();
    assert!(scene.store().exists());
    scene.run("drop", &["a"]).ok();
    let message = scene.run("rewind", &[]).refused("DBR003", 1);
    assert!(message.contains("app.db has no mark yet"), "{message}");
}

#[test]
fn names() {
    let scene = Scene::new("wal");
    scene.run("mark", &["seeded"]).ok();
    let message = scene.run("rewind", &["sedeed"]).refused("DBR003", 1);
    assert!(message.contains("did you mean \"seeded\"?"), "{message}");
    assert!(message.contains("\n  fix: "), "{message}");
    assert!(message.contains("--mark"), "{message}");
    // What a mark may be called, too.
    let message = scene.run("rewind", &["42"]).refused("DBR003", 1);
    assert!(message.contains("--mark"), "{message}");
    let message = scene.run("rewind", &["--mark", "42"]).refused("DBR003", 1);
    assert!(!message.contains("--mark"), "{message}");
    let message = scene.run("rewind", &["5", "minuts", "ago"]).refused("DBR022", 2);
    assert!(message.contains("\"5 minutes ago\""), "{message}");
    assert!(!message.contains("friendly") && !message.contains("PT5M"), "the reader's insides: {message}");
    let failed = scene.run("rewind", &["sedeed", "--json"]);
    let error = failed.json();
    assert_eq!((failed.status, failed.err.as_str()), (1, ""), "{error}");
    assert_eq!((&error["error"]["code"], &error["status"]), (&json!("DBR003"), &json!(1)));
    assert!(error["error"]["text"].is_string() && error["error"]["fix"].is_string(), "{error}");
    let message = scene.run("mark", &["seeded"]).refused("DBR023", 3);
    assert!(message.contains("dbrewind drop"), "{message}");
    scene.run("mark", &["5 minutes ago"]).refused("DBR022", 2);
}

/// Going to the earliest moment is what only a rewind does.
#[test]
fn use_earliest_is_offered_by_rewind_alone() {
    let scene = Scene::new("wal");
    scene.run("mark", &["seeded"]).ok();
    let fix = |ran: Ran| ran.refused("DBR027", 3).split_once("\n  fix: ").expect("a fix").1.to_owned();
    let ago = "3 days ago";
    assert!(fix(scene.run("rewind", &[ago])).contains("--use-earliest"));
    for other in [["diff", ago].as_slice(), &["clone", "new.db", ago]] {
        let fix = fix(scene.run(other[0], &other[1..]));
        assert!(fix.contains("a later time") && !fix.contains("--use-earliest"), "{fix}");
    }
    // Lost marks: written unrecorded, and brought into the file by the program that closes last.
    scene.connect().execute_batch("DELETE FROM t").unwrap();
    let refused = |ran: Ran| ran.refused("DBR011", 3);
    assert!(refused(scene.run("rewind", &["seeded"])).contains("; --use-earliest goes back"));
    assert!(!refused(scene.run("diff", &["seeded"])).contains("; --use-earliest goes back"));
}

#[test]
fn a_database_that_was_renamed_without_its_history_is_not_called_one_without() {
    let scene = Scene::new("wal");
    // Older than its history, by the file system's clock.
    std::thread::sleep(std::time::Duration::from_millis(20));
    scene.run("mark", &["seeded"]).ok();
    std::fs::rename(scene.path(), scene.folder().join("moved.db")).unwrap();
    for verb in ["status", "list", "rewind", "diff"] {
        let ran = Command::new(BINARY).args([verb, "moved.db"]).current_dir(scene.folder()).output().unwrap();
        let message = Ran::of(ran).refused("DBR012", 1);
        assert!(
            message.contains("app.db-rewind") && message.contains("rename that folder"),
            "{verb}: {message}"
        );
    }
    assert!(!scene.folder().join("moved.db-rewind").exists());
}

/// Nothing of what was recorded is lost by a question.
#[test]
fn a_database_file_that_was_replaced_is_not_taken_for_the_recorded_one() {
    for mode in ["wal", "delete"] {
        let scene = Scene::new(mode);
        scene.run("mark", &["seeded"]).ok();
        let recorded = scene.folder().join("recorded.db");
        std::fs::rename(scene.path(), &recorded).unwrap();
        scene.connect().execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (7)").unwrap();
        let copy = std::fs::read(scene.path()).unwrap();
        for verb in [
            vec!["status"],
            vec!["list"],
            vec!["rewind"],
            vec!["rewind", "seeded"],
            vec!["diff"],
            vec!["drop", "seeded"],
            vec!["clone", "new.db", "seeded"],
            vec!["run", "--rewind=before", "--", "true"],
            vec!["run", "--rewind=after", "--to", "seeded", "--", "true"],
        ] {
            let message = scene.run(verb[0], &verb[1..]).refused("DBR018", 1);
            assert!(
                message.contains("app.db is not the file that was recorded"),
                "{mode} {verb:?}: {message}"
            );
            assert!(message.contains("`dbrewind mark app.db NAME`"), "{mode} {verb:?}: {message}");
        }
        assert_eq!(std::fs::read(scene.path()).unwrap(), copy, "{mode}");
        if mode == "delete" {
            // A rename changes times, which in WAL mode leaves no certainty.
            std::fs::rename(&recorded, scene.path()).unwrap();
            scene.connect().execute_batch("SELECT * FROM t").unwrap();
            scene.run("rewind", &["seeded"]).ok();
            std::fs::rename(scene.path(), &recorded).unwrap();
            std::fs::write(scene.path(), &copy).unwrap();
        }
        scene.run("mark", &["anew"]).ok();
        let marks = &scene.json("list", &[])["marks"];
        assert_eq!((&marks[0]["name"], &marks[0]["state"]), (&json!("seeded"), &json!("lost")), "{mode}");
        assert_eq!(marks[1]["name"], "anew", "{mode}");
        scene.run("rewind", &["seeded"]).refused("DBR011", 3);
        scene.run("rewind", &["anew"]).ok();
    }
}

#[test]
fn busy() {
    let scene = Scene::new("wal");
    let app = scene.connect();
    app.execute_batch("INSERT INTO t VALUES (4)").unwrap();
    scene.run("mark", &["seeded"]).ok();
    app.execute_batch("BEGIN IMMEDIATE; DELETE FROM t").unwrap();
    let message = scene.run("rewind", &["seeded", "--timeout", "0.2"]).refused("DBR004", 3);
    // The fix in one place.
    let (what, fix) = message.split_once("\n  fix: ").unwrap();
    assert!(!what.contains("end that transaction") && !what.contains("--timeout"), "{message}");
    assert!(fix.starts_with("end that transaction (commit it, "), "{message}");
    assert!(fix.ends_with(", or wait longer (--timeout SECONDS)\n"), "{message}");
    // The reader of the open transaction sees its own state, and goes on.
    assert_eq!(rows(&app), 0);
    app.execute_batch("COMMIT").unwrap();
    scene.run("rewind", &["seeded"]).ok();
    assert_eq!(rows(&app), 4);
}

#[test]
fn ctrl_c_ends_a_wait_and_changes_nothing() {
    let scene = Scene::new("wal");
    let app = scene.connect();
    app.execute_batch("INSERT INTO t VALUES (4)").unwrap();
    scene.run("mark", &["seeded"]).ok();
    app.execute_batch("BEGIN IMMEDIATE; DELETE FROM t").unwrap();
    let mut rewind = scene.command("rewind", &["seeded", "--timeout", "600"]);
    let rewind = rewind.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = rewind.id().to_string();
    // Once it has the history open it answers signals; until it waits for the transaction nothing else is long.
    let locks = scene.store().join("locks");
    let opened = || {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        open.flatten().any(|entry| {
            std::fs::read_link(entry.path()).is_ok_and(|to| to.ends_with(locks.file_name().unwrap()))
        })
    };
    while !opened() {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    Ran::of(rewind.wait_with_output().unwrap()).refused("DBR026", 1);
    app.execute_batch("COMMIT").unwrap();
    assert_eq!(rows(&app), 0);
}

#[test]
fn folders_that_are_none() {
    let scene = Scene::new("wal");
    scene.run("mark", &["seeded"]).ok();
    let message = scene.run("clone", &["nowhere/copy.db", "seeded"]).refused("DBR012", 1);
    assert!(message.contains("/nowhere for the copy; create it first"), "{message}");
    std::fs::write(scene.folder().join("notes"), "mine").unwrap();
    let message = scene.run("mark", &["other", "--store", "notes"]).refused("DBR022", 2);
    assert!(message.contains("--store must name a folder, and notes is a file"), "{message}");
    let other = scene.folder().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE t(x)").unwrap();
    std::fs::write(scene.folder().join("other.db-rewind"), "mine").unwrap();
    let ran = Command::new(BINARY).arg("mark").arg(&other).arg("a").output().unwrap();
    let message = Ran::of(ran).refused("DBR025", 1);
    assert!(message.contains("a file is where the history's folder would be: move it away"), "{message}");
    assert!(message.contains("(--store)"), "{message}");
}

#[test]
fn wrong_usage() {
    for arguments in [
        vec!["restore", "app.db"],
        vec!["rewind"],
        vec!["rewind", "app.db", "--to", "seeded"],
        vec!["rewind", "app.db", "--timeout", "soon"],
        vec!["mark", "app.db", "a", "--limit", "1 furlong"],
        vec!["rewind", "app.db", "--mark"],
    ] {
        let ran = Ran::of(Command::new(BINARY).args(&arguments).output().unwrap());
        assert_eq!(ran.status, 2, "{arguments:?}: {ran:?}");
        assert!(ran.out.is_empty() && ran.err.contains("--help"), "{arguments:?}: {ran:?}");
    }
    let scene = Scene::new("wal");
    scene.run("mark", &["a", "--limit", "5"]).refused("DBR022", 2);
    let version = Ran::of(Command::new(BINARY).arg("--version").output().unwrap()).ok();
    assert_eq!(version.out, format!("dbrewind {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn who_does_not_read_the_result_is_served() {
    let scene = Scene::new("wal");
    let mut mark = scene.command("mark", &["seeded"]);
    let mut child = mark.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(scene.json("list", &[])["marks"][0]["name"], "seeded");
}
