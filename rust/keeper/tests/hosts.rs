//! Hosts that die or fork while a keeper records for them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![expect(unsafe_code, reason = "fork")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use dbrewind_keeper::{KeeperClient, KeeperCommand};
use dbrewind_sqlite::{Code, MarkState, OpenOptions};
use rusqlite::Connection;

fn open(path: &Path) -> KeeperClient {
    let keeper = KeeperCommand::new(env!("CARGO_BIN_EXE_dbrewind-keeper"));
    KeeperClient::open(&keeper, path, &OpenOptions::default()).unwrap()
}

fn database(path: &Path) -> Connection {
    let app = Connection::open(path).unwrap();
    app.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE IF NOT EXISTS t(x)").unwrap();
    app
}

/// A fork that waits until it is killed, with every descriptor of its parent.
fn forked() -> i32 {
    // SAFETY: the child calls only functions that may be called after a fork with threads, and does not return.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        loop {
            // SAFETY: waits for a signal; nothing else.
            unsafe { libc::pause() };
        }
    }
    pid
}

/// Not a test of its own: what the host processes below run.
#[test]
#[ignore = "run by the other tests, as a process"]
fn host() {
    let Ok(path) = std::env::var("DBREWIND_TEST_HOST") else { return };
    let app = database(path.as_ref());
    let db = open(path.as_ref());
    db.mark("one").unwrap();
    let fork = if std::env::var_os("DBREWIND_TEST_FORK").is_some() { forked() } else { 0 };
    app.execute("INSERT INTO t VALUES (1)", []).unwrap();
    println!("\nready {} {fork}", db.keeper());
    loop {
        sleep(Duration::from_secs(1000));
    }
}

struct Host {
    child: Child,
    keeper: u32,
    fork: i32,
}

impl Host {
    fn start(path: &Path, fork: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["host", "--exact", "--ignored", "--nocapture"]).env("DBREWIND_TEST_HOST", path);
        if fork {
            command.env("DBREWIND_TEST_FORK", "1");
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("ready ")).unwrap();
        let mut numbers = ready.split(' ').skip(1);
        let mut number = || numbers.next().unwrap();
        Self { child, keeper: number().parse().unwrap(), fork: number().parse().unwrap() }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn wait_for_keeper(&self) {
        while std::fs::read_to_string(format!("/proc/{}/stat", self.keeper))
            .is_ok_and(|stat| !stat.contains(") Z "))
        {
            sleep(Duration::from_millis(1));
        }
    }
}

fn mark_is_kept(path: &Path) {
    let app = database(path);
    let db = open(path);
    let marks = db.marks().unwrap();
    let [mark] = marks.as_slice() else { panic!("{marks:?}") };
    assert_ne!(mark.state, MarkState::Lost);
    db.rewind(&"one".into(), None).unwrap();
    assert_eq!(app.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[test]
fn a_killed_host_is_noticed_and_its_marks_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let mut host = Host::start(&path, false);
    host.kill();
    host.wait_for_keeper();
    mark_is_kept(&path);
}

#[test]
fn a_fork_that_holds_the_pipe_does_not_keep_the_keeper() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let mut host = Host::start(&path, true);
    host.kill();
    host.wait_for_keeper();
    // SAFETY: the fork is alive, so the number is still its own.
    unsafe { libc::kill(host.fork, libc::SIGKILL) };
    mark_is_kept(&path);
}

#[test]
fn a_forked_child_is_refused_and_disturbs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let _app = database(&path);
    let db = open(&path);
    // SAFETY: the child uses the handle, which by its contract touches nothing here, and exits without running
    // anything of the test harness.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let codes = [db.mark("x").map(drop), db.close(), db.drain(), db.now().map(drop)];
        let forked = codes.iter().all(|r| r.as_ref().is_err_and(|e| e.code() == Code::Forked));
        drop(db);
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(if forked { 42 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: `pid` is our child; `status` is valid.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert_eq!(libc::WEXITSTATUS(status), 42);
    db.mark("x").unwrap();
    db.close().unwrap();
}
