//! Writers and readers at full speed, in this process and in others, while marks are set and rewound to.
//! Nobody ever sees half a state or an unsound database.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "functions of a test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use dbrewind_testkit::peer::Peer;
use dbrewind_testkit::protocol::{Answer, Goal, Recording, Request};
use dbrewind_testkit::seed::{Rng, base, rounds};

const BINARY: &str = env!("CARGO_BIN_EXE_crash");

/// 100 accounts, 1,000 each: transfers keep the sum, whatever state is rewound to.
const SCHEMA: &str = "create table account(id integer primary key, v integer, padding);
    create index by_value on account(v);
    insert into account with recursive n(i) as (select 0 union all select i + 1 from n where i < 99) \
    select i, 1000, zeroblob(300) from n;
    create table log(id integer primary key, v)";

#[derive(Default)]
struct Traffic {
    stop: AtomicBool,
    written: AtomicU64,
    read: AtomicU64,
}

fn writer(mut peer: Peer, path: PathBuf, seed: u64, traffic: Arc<Traffic>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        peer.open(&path, 30_000);
        peer.must("pragma synchronous=off");
        let mut rng = Rng::new(seed);
        while !traffic.stop.load(Ordering::Relaxed) {
            let (from, to, amount) = (rng.below(100), rng.below(100), rng.below(50));
            let padding = rng.below(2000);
            let answer = peer.sql(&format!(
                "begin immediate; update account set v = v - {amount} where id = {from}; \
                 update account set v = v + {amount}, padding = zeroblob({padding}) where id = {to}; \
                 insert into log(v) values(zeroblob({padding})); delete from log where id % 50 = {from}; commit"
            ));
            if answer.is_locked() {
                let _none = peer.sql("rollback");
            } else {
                answer.ok();
                traffic.written.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
}

fn reader(mut peer: Peer, path: PathBuf, traffic: Arc<Traffic>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        peer.open(&path, 30_000);
        let mut n = 0_u64;
        while !traffic.stop.load(Ordering::Relaxed) {
            let answer = peer.sql("select sum(v), count(*), sum(id) from account");
            if !answer.is_locked() {
                assert_eq!(answer.rows(), [["100000", "100", "4950"]], "{}", peer.name);
                traffic.read.fetch_add(1, Ordering::Relaxed);
            }
            n += 1;
            if n.is_multiple_of(200) {
                let answer = peer.sql("pragma integrity_check");
                assert!(answer.is_locked() || answer.rows() == [["ok"]], "{}", peer.name);
            }
        }
    })
}

fn storm(wal: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let mut rng = Rng::new(base(0x5354_4f52));
    let mut creator = Peer::thread("creator");
    creator.open(&path, 5000);
    creator.must(SCHEMA);
    creator.ask(Request::Close).ok();
    let mut recorder = Peer::thread("recorder");
    let options = Recording { wal_limit: Some(300_000), ..Recording::quick(wal) };
    recorder.attach(&path, options).ok();
    let traffic = Arc::new(Traffic::default());
    let mut threads = Vec::new();
    for n in 0..2 {
        let peer = Peer::thread(&format!("writing thread {n}"));
        threads.push(writer(peer, path.clone(), rng.bits(), traffic.clone()));
    }
    if wal {
        let peer = Peer::process("writing process", Path::new(BINARY));
        threads.push(writer(peer, path.clone(), rng.bits(), traffic.clone()));
    }
    threads.push(reader(Peer::thread("reading thread"), path.clone(), traffic.clone()));
    threads.push(reader(Peer::process("reading process", Path::new(BINARY)), path.clone(), traffic.clone()));
    threads.extend(Peer::python("python").map(|peer| reader(peer, path.clone(), traffic.clone())));
    let (mut marks, mut rewound) = (Vec::new(), 0);
    for n in 0..rounds(150) {
        std::thread::sleep(std::time::Duration::from_micros(rng.below(8000)));
        if marks.len() < 3 || rng.chance(25) {
            let name = format!("mark {n}");
            let answer = recorder.mark(&name);
            if !answer.is_dbr(4) {
                answer.ok();
                marks.push(name);
            }
        } else {
            let to = Goal::Name(rng.pick(&marks).clone());
            match recorder.ask(Request::Rewind { to: to.clone(), timeout: 10_000 }) {
                Answer::Rewound { .. } => rewound += 1,
                other => assert!(other.is_dbr(4), "{to:?}: {other:?}"),
            }
        }
        assert!(!threads.iter().any(JoinHandle::is_finished), "a peer gave up");
    }
    traffic.stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    let (written, read) = (traffic.written.load(Ordering::Relaxed), traffic.read.load(Ordering::Relaxed));
    eprintln!("{rewound} rewinds, {written} transactions, {read} reads");
    assert!(rewound > 0 && written > 0 && read > 0, "somebody starved");
    creator.open(&path, 5000);
    assert_eq!(creator.must("pragma integrity_check"), [["ok"]]);
    // Still: two rewinds to the same mark give the same pages.
    let mut images = Vec::new();
    for _ in 0..2 {
        creator.must("update account set v = v + 1");
        recorder.rewind(&marks[0], 10_000).ok();
        images.push(creator.ask(Request::Image { dump: None }));
    }
    let digest = |answer: &Answer| match answer {
        Answer::Pages { digest, .. } => digest.clone(),
        other => unreachable!("{other:?}"),
    };
    assert_eq!(digest(&images[0]), digest(&images[1]));
}

#[test]
fn storm_in_wal_mode() {
    storm(true);
}

#[test]
fn storm_in_a_rollback_mode() {
    storm(false);
}
