//! `run` in the rollback modes: programs that know nothing of us record what they write.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::json;

use crate::scene::{BINARY, Ran, Scene, rows};

/// Whether the library is built (`cargo build --package dbrewind-preload`), and the shell there.
fn is_here() -> bool {
    let library = Path::new(BINARY).with_file_name("libdbrewind_preload.so").exists();
    let shell = Command::new("sqlite3").arg("--version").output().is_ok_and(|out| out.status.success());
    if !(library && shell) {
        assert!(std::env::var_os("CI").is_none(), "libdbrewind_preload.so or the sqlite3 shell is missing");
        eprintln!("SKIPPED: libdbrewind_preload.so or the sqlite3 shell is missing");
    }
    library && shell
}

const MODES: [&str; 3] = ["delete", "truncate", "persist"];

fn run(scene: &Scene, options: &[&str], program: &[&str]) -> Ran {
    scene.run("run", &[options, &["--"], program].concat())
}

/// In Python, with the database open as `db` in a journal mode.
fn python(mode: &str, script: &str) -> Vec<String> {
    let begin = "import os, sqlite3, sys\ndb = sqlite3.connect('app.db')\ndb.execute('PRAGMA journal_mode=";
    ["python3".into(), "-c".into(), format!("{begin}{mode}')\n{script}")].to_vec()
}

fn run_python(scene: &Scene, options: &[&str], mode: &str, script: &str) -> Ran {
    let program = python(mode, script);
    run(scene, options, &program.iter().map(String::as_str).collect::<Vec<_>>())
}

fn left(scene: &Scene) -> i64 {
    rows(&scene.connect())
}

#[test]
fn what_the_shell_and_python_write_is_rewound_after_them() {
    if !is_here() {
        return;
    }
    for mode in MODES {
        let scene = Scene::new(mode);
        let sql = format!("PRAGMA journal_mode={mode}; DELETE FROM t; SELECT count(*) FROM t");
        let ran = run(&scene, &["--rewind=after"], &["sqlite3", "app.db", &sql]).ok();
        assert_eq!((ran.out, left(&scene)), (format!("{mode}\n0\n"), 3));
        assert!(ran.err.contains("undo: dbrewind rewind app.db "), "{}", ran.err);
        let script = "db.execute('DELETE FROM t'); db.commit(); print('done'); sys.exit(7)";
        let ran = run_python(&scene, &["--rewind", "after", "--json"], mode, script);
        assert_eq!((ran.status, left(&scene)), (7, 3), "{ran:?}");
        let told: serde_json::Value = serde_json::from_str(ran.out.lines().nth(1).unwrap()).unwrap();
        assert_eq!((&told["exit"], told["rewound"]["pages"].as_u64() > Some(0)), (&json!(7), true));
        assert_eq!(scene.json("list", &[])["marks"], json!([]), "{mode}: the mark of `run` is dropped");
    }
}

#[test]
fn a_mark_stays_while_programs_write_and_is_begun_with() {
    if !is_here() {
        return;
    }
    for mode in MODES {
        let scene = Scene::new(mode);
        scene.run("mark", &["seeded"]).ok();
        run_python(&scene, &[], mode, "db.execute('DELETE FROM t'); db.commit()").ok();
        assert_eq!(left(&scene), 0);
        let count = ["sqlite3", "app.db", "SELECT count(*) FROM t; INSERT INTO t VALUES (4)"];
        let ran = run(&scene, &["--rewind=before"], &count).ok();
        assert_eq!((ran.out.as_str(), left(&scene)), ("3\n", 4), "{mode}");
        scene.run("rewind", &["seeded"]).ok();
        assert_eq!(left(&scene), 3);
    }
}

#[test]
fn children_of_all_kinds_are_recorded() {
    if !is_here() {
        return;
    }
    let scene = Scene::new("delete");
    let script = "sqlite3 app.db 'DELETE FROM t WHERE x = 1'\nexec python3 -c '\nimport os, sqlite3\n\
                  db = sqlite3.connect(\"app.db\"); db.execute(\"DELETE FROM t WHERE x = 2\"); db.commit()\n\
                  if os.fork() == 0:\n  own = sqlite3.connect(\"app.db\"); own.execute(\"DELETE FROM t\"); own.commit(); os._exit(0)\n\
                  assert os.wait()[1] == 0; db.execute(\"INSERT INTO t VALUES (9)\"); db.commit()'";
    let ran = run(&scene, &["--rewind=after"], &["sh", "-c", script]).ok();
    assert_eq!(left(&scene), 3, "{ran:?}");
    run(&scene, &[], &["sh", "-c", script]).ok();
    assert_eq!(left(&scene), 1);
}

#[test]
fn hazard_a_program_is_killed_within_a_transaction() {
    if !is_here() {
        return;
    }
    for mode in MODES {
        let scene = Scene::new(mode);
        scene.run("mark", &["seeded"]).ok();
        // The first transaction is committed; of the second one pages are in the file.
        let script = "db.execute('DELETE FROM t'); db.commit(); db.execute('PRAGMA cache_size=1')\n\
                      db.execute('CREATE TABLE big AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20000) \
                      SELECT n, randomblob(100) FROM c')\nos.kill(os.getpid(), 9)";
        let ran = run_python(&scene, &[], mode, script);
        assert_eq!(ran.status, 128 + 9, "{ran:?}");
        assert_eq!(left(&scene), 0, "{mode}: SQLite takes the open transaction back");
        scene.run("rewind", &["seeded"]).ok();
        assert_eq!(left(&scene), 3);
        let ran = run_python(&scene, &["--rewind=after"], mode, script);
        assert_eq!((ran.status, left(&scene)), (128 + 9, 3), "{mode}: {ran:?}");
        let checked: String =
            scene.connect().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(checked, "ok");
    }
}

#[test]
fn only_the_named_database_is_recorded_in_the_store_that_was_named() {
    if !is_here() {
        return;
    }
    let scene = Scene::new("delete");
    let other = scene.folder().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE t(x)").unwrap();
    let script = "db.execute(\"ATTACH 'other.db' AS o\"); db.execute('DELETE FROM t'); db.execute('INSERT INTO o.t VALUES (1)'); db.commit()";
    run_python(&scene, &["--rewind=after", "--store", "elsewhere"], "delete", script).ok();
    assert_eq!((left(&scene), rows(&Connection::open(&other).unwrap())), (3, 1));
    assert!(scene.folder().join("elsewhere").exists() && !scene.store().exists());
    assert!(!scene.folder().join("other.db-rewind").exists());
}

/// Not a test of its own: a program with a SQLite inside, whose functions nobody can look up.
#[test]
fn a_program_with_its_own_sqlite() {
    if let Some(path) = std::env::var_os("WRITES_WITH_ITS_OWN_SQLITE") {
        let refused = Connection::open(path).unwrap().execute_batch("DELETE FROM t").unwrap_err();
        assert!(refused.to_string().contains("readonly"), "{refused}");
    }
}

#[test]
fn a_sqlite_that_cannot_be_reached_changes_nothing() {
    if !is_here() {
        return;
    }
    let scene = Scene::new("delete");
    scene.run("mark", &["seeded"]).ok();
    let before = std::fs::read(scene.path()).unwrap();
    let refused = |ran: Ran| {
        assert_eq!(ran.status, 4, "{ran:?}");
        assert!(ran.err.contains("[DBR002]") && ran.err.contains("--journal wal"), "{ran:?}");
        assert_eq!(std::fs::read(scene.path()).unwrap(), before);
    };
    let temporary = scene.folder().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    // Whatever its name.
    let program = std::env::current_exe().unwrap();
    let renamed = scene.folder().join("dbrewind-load");
    std::fs::copy(&program, &renamed).unwrap();
    for program in [program, renamed] {
        let words = ["--", program.to_str().unwrap(), "--exact", "preloaded::a_program_with_its_own_sqlite"];
        let mut command = scene.command("run", &words);
        command.env("WRITES_WITH_ITS_OWN_SQLITE", scene.path()).env("TMPDIR", &temporary);
        let ran = Ran::of(command.output().unwrap());
        assert!(
            ran.err.contains("cannot be reached") && ran.err.contains("it gets no right to write"),
            "{ran:?}"
        );
        refused(ran);
    }
    refused(run(&scene, &["--rewind=after"], &["sqlite3", "file:app.db?vfs=unix", "DELETE FROM t"]));
    // By `dlsym`.
    let script = "import ctypes\nlib = ctypes.CDLL('libsqlite3.so.0'); db = ctypes.c_void_p()\n\
                  lib.sqlite3_open(b'app.db', ctypes.byref(db)); lib.sqlite3_exec(db, b'DELETE FROM t', None, None, None)";
    refused(run(&scene, &[], &["python3", "-c", script]));
    // A static program: an ELF header of 64 bits with no program that loads others. Also as what a script is for.
    let mut header = [0_u8; 64];
    header[..5].copy_from_slice(b"\x7fELF\x02");
    let (program, script) = (scene.folder().join("static"), scene.folder().join("script"));
    std::fs::write(&program, header).unwrap();
    std::fs::write(&script, format!("#! {}\n", program.display())).unwrap();
    for path in [&program, &script] {
        let ran = run(&scene, &["--rewind=after"], &[path.to_str().unwrap()]);
        assert!(ran.err.contains("is linked statically"), "{ran:?}");
        refused(ran);
    }
    // Who only reads, or copies, is served; and so is dbrewind itself.
    run(&scene, &[], &["cp", "app.db", "copy.db"]).ok();
    run(&scene, &[], &[BINARY, "mark", "app.db", "within"]).ok();
    scene.run("rewind", &["seeded"]).ok();
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "nothing is left in the temporary folder");
}

/// Nothing can be loaded into it, and it is started by a program that nobody can keep from that.
#[test]
fn a_static_program_that_another_one_starts_is_told_of_while_that_runs() {
    const WRITER: &str = "#include <fcntl.h>\n#include <unistd.h>\nint main(int count, char **words) {\n\
        unsigned char counter[4]; int file = open(words[1], O_RDWR);\n\
        if (count < 2 || pread(file, counter, 4, 24) != 4) return 1;\n\
        counter[3]++; return pwrite(file, counter, 4, 24) != 4 || pwrite(file, counter, 4, 92) != 4;\n}\n";
    if !is_here() {
        return;
    }
    let scene = Scene::new("delete");
    let source = scene.folder().join("writer.c");
    std::fs::write(&source, WRITER).unwrap();
    let built = Command::new("gcc")
        .args(["-static", "-o", "writer", "writer.c"])
        .current_dir(scene.folder())
        .status();
    if !built.is_ok_and(|built| built.success()) {
        assert!(std::env::var_os("CI").is_none(), "gcc links no static program");
        eprintln!("SKIPPED: gcc links no static program");
        return;
    }
    scene.run("mark", &["seeded"]).ok();
    let script = "./writer app.db && while [ ! -e told ]; do sleep 0.05; done";
    let mut command = scene.command("run", &["--", "sh", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    err.read_line(&mut line).unwrap();
    assert!(line.contains("[DBR001]") && line.contains("app.db"), "{line:?}");
    std::fs::write(scene.folder().join("told"), "").unwrap();
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(rest.starts_with("dbrewind: [DBR001] "), "once, and then what came of it: {rest:?}");
}

#[test]
fn a_library_that_is_not_there_is_named() {
    let scene = Scene::new("delete");
    let mut command = scene.command("run", &["--", "true"]);
    let ran = Ran::of(command.env("DBREWIND_PRELOAD", "/no/such/library.so").output().unwrap());
    let message = ran.refused("DBR002", 4);
    assert!(message.contains("libdbrewind_preload.so") && message.contains("--journal wal"), "{message}");
    scene.run("run", &["--journal", "wal", "--", "true"]).ok();
}
