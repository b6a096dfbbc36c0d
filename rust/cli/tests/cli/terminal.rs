//! Colours and tables are for people: on a terminal, and nowhere else.

use std::process::{Command, Stdio};
use std::time::Duration;

use dbrewind_sqlite::{Database, OpenOptions, SqliteApi};

use crate::scene::{BINARY, Ran, Scene, rows};

/// Runs the command in a terminal of its own; standard error goes there, too.
fn in_terminal(scene: &Scene, variable: Option<(&str, &str)>, arguments: &[&str]) -> String {
    const PTY: &str = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let mut command = Command::new("python3");
    command.args(["-c", PTY, BINARY]).args(arguments).current_dir(scene.folder());
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    // There even a dumb terminal counts as one that shows colours.
    command.env_remove("CI").envs(variable);
    Ran::of(command.output().unwrap()).ok().out
}

#[test]
fn on_a_terminal_there_are_tables_and_colours() {
    let scene = Scene::new("wal");
    let app = scene.connect();
    assert_eq!(rows(&app), 3);
    scene.run("mark", &["seeded"]).ok();
    let table = in_terminal(&scene, None, &["list", "app.db"]);
    assert!(table.contains("MARK") && table.contains("\u{1b}[1mseeded"), "{table:?}");
    assert!(table.contains(" ago"), "{table:?}");
    app.execute_batch("DELETE FROM t WHERE x = 1; CREATE TABLE \"a\u{1b}[2Jb\"(y)").unwrap();
    let table = in_terminal(&scene, None, &["diff", "app.db", "seeded"]);
    assert!(table.contains("DELETED") && table.contains('\u{1b}'), "{table:?}");
    assert!(
        !table.contains("\u{1b}[2J") && table.contains("\\u{1b}[2J"),
        "a name clears no screen: {table:?}"
    );
    let status = in_terminal(&scene, None, &["status", "app.db"]);
    assert!(status.contains("\u{1b}[32mok"), "{status:?}");
}

/// Work that takes longer than a second says so, until it is done: here a rewind that waits for a transaction.
#[test]
fn on_a_terminal_long_work_tells_that_it_goes_on() {
    const PTY: &str = "import os, pty, sys\n\
        def read(fd):\n    data = os.read(fd, 1024)\n    if b'rewinding app.db, ' in data: open('seen', 'w').close()\n    return data\n\
        sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], read)))";
    let scene = Scene::new("wal");
    let app = scene.connect();
    assert_eq!(rows(&app), 3);
    scene.run("mark", &["seeded"]).ok();
    app.execute_batch("BEGIN IMMEDIATE; DELETE FROM t").unwrap();
    let mut command = Command::new("python3");
    command.args(["-c", PTY, BINARY, "rewind", "app.db", "--timeout", "600"]).current_dir(scene.folder());
    let mut rewind =
        command.env("TERM", "xterm").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !scene.folder().join("seen").exists() && rewind.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(10));
    }
    app.execute_batch("COMMIT").unwrap();
    let ran = Ran::of(rewind.wait_with_output().unwrap()).ok();
    let (_, after) = ran.out.rsplit_once("rewinding app.db, ").expect("it told");
    assert!(after.contains(" s\r\u{1b}[K") && after.contains("app.db is at mark"), "it is erased: {after:?}");
    assert_eq!(rows(&app), 3);
}

/// Work on many pages tells how much of it is done. It takes less than a second here, so it is stopped in its midst for longer.
#[test]
fn on_a_terminal_long_work_has_a_bar() {
    const PTY: &str = "import os, pty, signal, sys, time\n\
        pid, terminal = pty.fork()\n\
        if pid == 0: os.execvp(sys.argv[3], sys.argv[3:])\n\
        def done():\n    \
            told = dict(line.split(': ') for line in open(f'/proc/{pid}/io').read().splitlines())\n    \
            return int(told[sys.argv[1]])\n\
        def state(): return open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[0]\n\
        while done() < int(sys.argv[2]) and state() != 'Z': pass\n\
        os.kill(pid, signal.SIGSTOP); time.sleep(1.2); os.kill(pid, signal.SIGCONT)\n\
        while True:\n    \
            try: data = os.read(terminal, 1024)\n    \
            except OSError: break\n    \
            if not data: break\n    \
            sys.stdout.buffer.write(data)\n\
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))";
    const BYTES: &str = "12000000";
    let scene = Scene::new("delete");
    let app = scene.connect();
    let grow = "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) SELECT randomblob(3000) FROM n";
    app.execute_batch(grow).unwrap();
    scene.run("mark", &["seeded"]).ok();
    drop(app);
    let change = || {
        // In one process that records: each page is another then.
        let database = Database::open(SqliteApi::bundled(), &scene.path(), &OpenOptions::default()).unwrap();
        scene.connect().execute_batch("UPDATE t SET x = randomblob(3000)").unwrap();
        database.close().unwrap();
    };
    for (arguments, counter, what) in [
        (["clone", "app.db", "new.db"].as_slice(), "wchar", "cloning app.db ["),
        (&["diff", "app.db", "seeded", "--json"], "rchar", "comparing app.db ["),
        (&["rewind", "app.db", "seeded"], "wchar", "rewinding app.db ["),
    ] {
        // The machine may be so slow, or so fast, that it is stopped at the wrong moment.
        let seen = (0..20).any(|_| {
            change();
            let _ = std::fs::remove_file(scene.folder().join("new.db"));
            let mut command = Command::new("python3");
            command.args(["-c", PTY, counter, BYTES, BINARY]).args(arguments).current_dir(scene.folder());
            let ran = Ran::of(command.env("TERM", "xterm").output().unwrap()).ok();
            let bar = ran.out.split('\r').find(|line| line.contains(what));
            bar.is_some_and(|bar| bar.contains("] ") && bar.contains(" %, "))
        });
        assert!(seen, "{arguments:?} has shown no bar");
    }
}

#[test]
fn no_color_is_honoured_and_json_is_json() {
    let scene = Scene::new("wal");
    scene.run("mark", &["seeded"]).ok();
    for (variable, arguments) in [
        (Some(("NO_COLOR", "1")), vec!["list", "app.db"]),
        (Some(("TERM", "dumb")), vec!["list", "app.db"]),
        (None, vec!["list", "app.db", "--color", "never"]),
    ] {
        let table = in_terminal(&scene, variable, &arguments);
        assert!(table.contains("MARK") && !table.contains('\u{1b}'), "{variable:?}: {table:?}");
    }
    let json = in_terminal(&scene, None, &["list", "app.db", "--json"]);
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json:?}");
}

#[test]
fn into_a_pipe_there_is_neither() {
    let scene = Scene::new("wal");
    scene.run("mark", &["seeded"]).ok();
    for verb in ["list", "status", "diff"] {
        let ran = scene.run(verb, &[]).ok();
        assert!(!ran.out.contains('\u{1b}') && !ran.out.contains("MARK"), "{verb}: {ran:?}");
    }
    let refused = scene.run("rewind", &["sedeed"]);
    assert!(!refused.err.contains('\u{1b}'), "{refused:?}");
    let coloured = scene.run("rewind", &["sedeed", "--color", "always"]);
    assert!(coloured.err.contains("\u{1b}["), "{coloured:?}");
}
