//! A golden store that says who wrote: two threads of one process and two other processes, whose commits are all kept.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use dbrewind_sqlite::{Database, Journal, Moments, OpenOptions, SqliteApi, Target};
use rusqlite::Connection;

use super::write::{begin, put_away};
use super::{DATABASE, STATES, STORE, WRITERS};
use crate::peer::Peer;
use crate::protocol::{Answer, Recording};

/// What somebody has committed, in the order of the newest commits, oldest first.
#[derive(Default)]
struct Committed(Vec<(u32, u32, String, u64)>);

impl Committed {
    fn add(&mut self, pid: u32, thread: u32, program: &str, commits: u64) {
        let known = self.0.iter().position(|one| (one.0, one.1) == (pid, thread));
        let before = known.map_or(0, |at| self.0.remove(at).3);
        self.0.push((pid, thread, program.to_owned(), before + commits));
    }

    fn lines(&self) -> String {
        let line = |(pid, thread, program, commits): &(u32, u32, String, u64)| {
            format!("{commits} commits of process {pid} thread {thread}, {program}\n")
        };
        self.0.iter().rev().map(line).collect()
    }
}

/// The number of the calling thread, as the system tells it.
fn thread() -> u32 {
    let link = fs::read_link("/proc/thread-self").expect("a thread");
    link.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("its number")
}

/// What the system calls a process.
fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).expect("a name").trim_end().to_owned()
}

/// `peer`: a program that begins to serve when its only argument is `serve`.
pub(super) fn write(folder: &Path, peer: &Path) {
    let path = folder.join(DATABASE);
    begin(folder, "delete");
    let options = OpenOptions {
        store: Some(folder.join(STORE)),
        journal: Some(Journal::Delete),
        moments: Some(Moments::Commits),
        seal: false,
        ..OpenOptions::default()
    };
    let database = Database::open(SqliteApi::bundled(), &path, &options).expect("a recording");
    let app = Mutex::new(Connection::open(&path).expect("a database"));
    let (own, me) = (std::process::id(), thread());
    let own_name = name(own);
    let mut committed = Committed::default();
    let change = |sql: &str| {
        let app = app.lock().expect("a connection");
        app.execute_batch(sql).expect("a commit");
    };
    let mark = |name: &str, pin: bool| {
        let lsn = if pin { database.mark_pinned(name) } else { database.mark(name) }.expect("a mark").lsn;
        let mut app = app.lock().expect("a connection");
        let content = app.serialize("main").expect("the content").to_vec();
        fs::write(folder.join(STATES).join(lsn.to_string()), content).expect("a state");
    };
    let commits_of_another_process = |from: i64| {
        let mut other = Peer::process("another process", peer);
        let store = Some(folder.join(STORE).to_str().expect("UTF-8").to_owned());
        let attached = other.attach(&path, Recording { store, commits: true, ..Recording::default() });
        assert!(matches!(attached, Answer::Done), "{attached:?}");
        other.open(&path, 10_000);
        for id in from..from + 2 {
            other.must(&format!("insert into t(id, v) values({id}, 'of another process')"));
        }
        let pid = other.pid().expect("a process");
        (pid, name(pid))
    };
    mark("empty, and pinned", true);
    change("insert into t(v) values('first'), (zeroblob(1500)), ('third')");
    mark("seeded", false);
    committed.add(own, me, &own_name, 1);
    let other = std::thread::scope(|scope| {
        let work = || {
            for n in 0..3 {
                change(&format!("update t set v = 'by thread {n}' where id = 1"));
            }
            thread()
        };
        scope.spawn(work).join().expect("a thread")
    });
    committed.add(own, other, &own_name, 3);
    // Several records on a page, one of which grows: the others are moved, and differ in nothing else.
    change(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 9) \
         insert into t(v) select 'a record ' || hex(i * 7919 + 1000003) || ' of its own' from n",
    );
    for n in 0..12 {
        change(&format!("update t set v = v || 'x{n}' where id in (6, 9)"));
    }
    committed.add(own, me, &own_name, 13);
    mark("worked", false);
    let (pid, program) = commits_of_another_process(1000);
    committed.add(pid, pid, &format!("{program} serve"), 2);
    database.rewind(&Target::Name("seeded".to_owned()), None).expect("a rewind");
    // The counter stays the same from the second one on.
    change(
        "pragma locking_mode=exclusive; update t set v = 'alone' where id = 3; update t set v = 'again' where id = 3",
    );
    change("update t set v = hex(zeroblob(1500)) where id = 2");
    change("pragma locking_mode=normal; select 1 from t limit 1");
    committed.add(own, me, &own_name, 3);
    mark("after exclusive locking", false);
    for n in 0..8 {
        change(&format!("update t set v = hex(zeroblob({})) where id = 2", 1200 + n));
    }
    committed.add(own, me, &own_name, 8);
    mark("filled", false);
    mark("dropped", false);
    database.drop_mark("dropped").expect("a drop");
    database.rewind(&Target::Name("worked".to_owned()), None).expect("a rewind");
    let (pid, program) = commits_of_another_process(2000);
    committed.add(pid, pid, &format!("{program} serve"), 2);
    database.drain().expect("everything is recorded");
    drop(app);
    database.close().expect("closed");
    put_away(folder);
    fs::write(folder.join(WRITERS), committed.lines()).expect("who wrote");
}
