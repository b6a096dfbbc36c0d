//! `doctor`: who records, by which way, and what is missing; and the names that a database has.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::scene::{BINARY, Ran, Scene, rows};

/// The command, of a database by this name.
fn called(scene: &Scene, verb: &str, name: &str, rest: &[&str]) -> Ran {
    let mut command = Command::new(BINARY);
    // Without the library for programs, wherever this was built.
    command.current_dir(scene.folder()).env("DBREWIND_PRELOAD", "/none").args([verb, name]).args(rest);
    Ran::of(command.output().unwrap())
}

fn examined(scene: &Scene, name: &str) -> Value {
    called(scene, "doctor", name, &["--json"]).json()
}

#[test]
fn a_doctor_sees_who_is_not_recorded_and_touches_nothing() {
    let scene = Scene::new("delete");
    let quiet = scene.json("doctor", &[]);
    assert_eq!(
        (&quiet["journal"], &quiet["recorded"], &quiet["problems"]),
        (&json!("rollback"), &json!(false), &json!([]))
    );
    // This process is the application that does not record.
    let app = scene.connect();
    assert_eq!(rows(&app), 3);
    let seen = scene.run("doctor", &["--json"]);
    assert_eq!(seen.status, 1, "{seen:?}");
    let seen = seen.json();
    assert_eq!(seen["processes"][0]["pid"], std::process::id());
    assert_eq!(
        (&seen["processes"][0]["records"], &seen["problems"][0]["code"]),
        (&json!(false), &json!("DBR001"))
    );
    assert!(!scene.store().exists());
    // In WAL mode it takes one process that records.
    app.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    scene.run("mark", &["seeded"]).ok();
    let alone = scene.run("doctor", &[]);
    assert_eq!(alone.status, 1, "{alone:?}");
    assert!(
        alone.out.contains("[DBR011] nobody records now") && alone.out.contains("dbrewind watch app.db"),
        "{alone:?}"
    );
    let doctor = [BINARY, "doctor", "app.db", "--json"];
    let ran = scene.run("run", &[&["--"], doctor.as_slice()].concat()).ok();
    let seen = ran.json();
    assert_eq!(seen["problems"], json!([]), "{seen}");
    assert!(
        seen["processes"].as_array().unwrap().iter().any(|process| process["records"] == json!(true)),
        "{seen}"
    );
}

#[test]
fn a_doctor_of_no_database() {
    let scene = Scene::new("delete");
    std::fs::write(scene.path(), "Not a database at all.").unwrap();
    scene.run("doctor", &[]).refused("DBR013", 1);
    std::fs::remove_file(scene.path()).unwrap();
    scene.run("doctor", &[]).refused("DBR012", 1);
}

#[test]
fn every_command_takes_a_url() {
    let scene = Scene::new("wal");
    let whole = scene.path().display().to_string();
    let quiet = scene.connect();
    assert_eq!(rows(&quiet), 3);
    called(&scene, "mark", "sqlite:///app.db", &["seeded"]).ok();
    assert!(scene.store().exists(), "the history is beside the file");
    quiet.execute_batch("DELETE FROM t").unwrap();
    called(&scene, "rewind", &format!("sqlite+aiosqlite:///{whole}"), &["seeded"]).ok();
    assert_eq!(rows(&quiet), 3);
    for name in ["file:app.db?mode=ro", "sqlite+pysqlite:///app.db?timeout=5", &format!("file://{whole}")] {
        let listed = called(&scene, "list", name, &["--json"]).ok().json();
        assert_eq!(listed["marks"][0]["name"], "seeded", "{name}");
        let path = std::fs::canonicalize(scene.path()).unwrap();
        assert_eq!(examined(&scene, name)["path"], path.to_str().unwrap(), "{name}");
    }
    // What is printed names the file, for a shell.
    let told = called(&scene, "doctor", "file:app.db?mode=ro#here", &[]).out;
    assert!(told.starts_with("app.db, pages of 4096 bytes\n") && !told.contains("mode=ro"), "{told}");
}

#[test]
fn a_url_that_names_no_file_is_refused_and_makes_none() {
    let scene = Scene::new("wal");
    for (name, code, status) in [
        ("postgresql://ann:hunter2@db.example/shop", "DBR021", 4),
        ("mysql+pymysql://ann:hunter2@db.example/shop", "DBR021", 4),
        (":memory:", "DBR021", 4),
        ("sqlite://", "DBR021", 4),
        ("sqlite+aiosqlite:///:memory:", "DBR021", 4),
        ("file:shop?mode=memory&cache=shared", "DBR021", 4),
        ("sqlite://app.db", "DBR022", 2),
        ("file://elsewhere/app.db", "DBR022", 2),
        ("sqlite:///none.db", "DBR012", 1),
    ] {
        for verb in ["doctor", "list", "status", "watch"] {
            let message = called(&scene, verb, name, &[]).refused(code, status);
            assert!(!message.contains("hunter2"), "{verb} {name}: {message}");
        }
        called(&scene, "mark", name, &["seeded"]).refused(code, status);
    }
    let files: Vec<_> =
        std::fs::read_dir(scene.folder()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["app.db"]);
}

#[test]
fn the_route_of_a_wal_is_who_reads_it() {
    let scene = Scene::new("wal");
    let alone = examined(&scene, "app.db");
    assert_eq!((&alone["route"], &alone["problems"]), (&Value::Null, &json!([])), "{alone}");
    let told = scene.run("doctor", &[]).ok().out;
    assert!(told.contains("\nroute     none, nobody records. `dbrewind watch app.db` would"), "{told}");
    let version = rusqlite::version();
    assert!(told.contains(&format!("\nsqlite    {version}, inside this command\n")), "{told}");
    let sqlite = &alone["sqlite"];
    assert_eq!((&sqlite["version"], &sqlite["reached"]), (&json!(version), &json!(true)), "{alone}");
    let program = std::fs::canonicalize(BINARY).unwrap();
    assert_eq!(sqlite["library"], program.to_str().unwrap(), "{alone}");
    let within = [BINARY, "doctor", "app.db"];
    let ran = scene.run("run", &[&["--"], within.as_slice()].concat()).ok();
    assert!(ran.out.contains("\nroute     the WAL is read, nothing is put into programs: by "), "{ran:?}");
    let within = [BINARY, "doctor", "app.db", "--json"];
    assert_eq!(scene.run("run", &[&["--"], within.as_slice()].concat()).ok().json()["route"], "wal");
}

#[test]
fn the_route_of_a_rollback_mode_is_a_vfs_in_who_writes() {
    let scene = Scene::new("delete");
    let alone = called(&scene, "doctor", "app.db", &[]).ok().out;
    assert!(
        alone.contains("\nroute     none, nobody records. `dbrewind run app.db -- PROGRAM` would"),
        "{alone}"
    );
    assert!(alone.contains("\npreload   `dbrewind run` finds no libdbrewind_preload.so"), "{alone}");
    assert_eq!(examined(&scene, "app.db")["preload"], Value::Null);
    // A library that is there, whatever is in it.
    let library = scene.folder().join("libdbrewind_preload.so");
    std::fs::write(&library, "").unwrap();
    let told = scene.command("doctor", &["--json"]).env("DBREWIND_PRELOAD", &library).output().unwrap();
    assert_eq!(Ran::of(told).ok().json()["preload"], library.to_str().unwrap());
    let mut watch = scene.command("watch", &["--json"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(watch.stdout.as_mut().unwrap()), &mut line)
        .unwrap();
    let told = scene.run("doctor", &[]);
    let seen = examined(&scene, "app.db");
    assert!(Command::new("kill").args(["-INT", &watch.id().to_string()]).status().unwrap().success());
    watch.wait().unwrap();
    assert_eq!(seen["route"], "vfs", "{seen}");
    let by = format!(
        "in the SQLite of each program that writes: {} (dbrewind). No other program's writes are: start it by `dbrewind run app.db",
        watch.id()
    );
    assert!(told.out.contains(&by), "{told:?}");
}

#[test]
fn a_uri_that_goes_past_the_vfs_is_found_in_a_rollback_mode() {
    for (mode, vfs, found) in
        [("delete", "unix-excl", true), ("delete", "dbrewind", false), ("wal", "unix-dotfile", false)]
    {
        let scene = Scene::new(mode);
        let told = examined(&scene, &format!("file:app.db?vfs={vfs}"));
        let problems = told["problems"].as_array().unwrap();
        assert_eq!(problems.len(), usize::from(found), "{mode} {vfs}: {told}");
        for problem in problems {
            assert_eq!(problem["code"], "DBR001");
            assert!(
                problem["text"].as_str().unwrap().contains("it names the VFS \"unix-excl\""),
                "{problem}"
            );
        }
    }
}

/// What the problem says: a connection of that VFS and a recording keep each other out.
#[test]
fn a_uri_that_keeps_a_wal_to_itself_is_found() {
    let scene = Scene::new("wal");
    let uri = "file:app.db?vfs=unix-excl";
    let told = examined(&scene, uri);
    assert_eq!(told["problems"][0]["code"], "DBR004", "{told}");
    assert!(told["problems"][0]["text"].as_str().unwrap().contains("to itself"), "{told}");
    let alone = rusqlite::Connection::open_with_flags_and_vfs(
        scene.path(),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE,
        c"unix-excl",
    )
    .unwrap();
    alone.execute_batch("BEGIN IMMEDIATE; COMMIT").unwrap();
    scene.run("mark", &["seeded"]).refused("DBR004", 3);
}

#[test]
fn what_is_not_there_is_named_whole_and_with_a_fix() {
    let scene = Scene::new("wal");
    let folder = std::fs::canonicalize(scene.folder()).unwrap();
    for name in ["none.db", "sqlite:///none.db", "file:none.db"] {
        let message = called(&scene, "doctor", name, &[]).refused("DBR012", 1);
        assert!(message.contains(folder.join("none.db").to_str().unwrap()), "{name}: {message}");
        assert!(message.contains("create it first, or check the path"), "{name}: {message}");
    }
}

#[test]
fn a_hint_names_a_file_that_reads_as_a_url_so_that_it_is_taken_for_one() {
    let scene = Scene::new("wal");
    std::fs::rename(scene.path(), scene.folder().join("file:app.db")).unwrap();
    let told = called(&scene, "doctor", "./file:app.db", &[]).ok().out;
    assert!(told.contains("`dbrewind watch ./file:app.db` would"), "{told}");
    let told = called(&scene, "doctor", "sqlite:///file:app.db", &[]).ok().out;
    assert!(told.contains("`dbrewind watch ./file:app.db` would"), "{told}");
}
