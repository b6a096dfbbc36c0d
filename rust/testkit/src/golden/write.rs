//! Writes golden stores, with whatever format this version has.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use dbrewind_core::fuzzing::{Forged, forge_word};
use dbrewind_core::{
    CommitBody, DropBody, Engine, EraBody, Extent, Head, Key, Kind, Lsn, MarkBody, MarkName, ObjectId,
    RewindBody, Store, StoreOptions, Timestamp,
};
use dbrewind_sqlite::{Database, Journal, MarkState, OpenOptions, SqliteApi, Target};
use rusqlite::Connection;

use super::{DATABASE, STATES, STORE, STORY, keyed, tell, volume, writers};

/// Writes the golden folders of this version below `root` that are not there yet. `peer`: a program that serves as
/// [`Peer::process`](crate::peer::Peer::process) wants it.
///
/// # Panics
/// When one cannot be written.
pub fn write(root: &Path, peer: &Path) {
    for name in [
        "wal",
        "rollback",
        "kinds",
        "sealed",
        "evicted",
        "digests-wal",
        "digests-rollback",
        "leaning-wal",
        "leaning-rollback",
        "volume",
        "volume-rewinding",
        "volume-keyed",
        "writers",
        "sealed-kinds",
    ] {
        let folder = root.join(name);
        if folder.exists() {
            continue;
        }
        fs::create_dir_all(folder.join(STATES)).expect("a folder");
        match name {
            "kinds" => kinds(&folder),
            "sealed-kinds" => {
                kinds(&folder);
                go_on_in_another_segment(&folder.join(STORE));
            }
            "rollback" | "digests-rollback" | "leaning-rollback" => sqlite(&folder, Journal::Delete),
            "evicted" => evicted(&folder),
            "volume" => volume::write(&folder, false),
            "volume-rewinding" => volume::write(&folder, true),
            "volume-keyed" => keyed::write(&folder),
            "writers" => writers::write(&folder, peer),
            _ => sqlite(&folder, Journal::Wal),
        }
        let sealed =
            ["sealed", "digests-", "leaning-", "writers"].iter().any(|begin| name.starts_with(begin));
        if sealed {
            let store = Store::open(&folder.join(STORE), &StoreOptions::default()).expect("a store");
            while store.seal_some().expect("sealed").is_some() {}
        }
        let scratch = tempfile::tempdir().expect("a folder");
        super::copy(&folder, scratch.path());
        let told = tell(&scratch.path().join(STORE), &scratch.path().join(DATABASE)).expect("a sound store");
        fs::write(folder.join(STORY), told.history + &told.registers).expect("a story");
    }
}

/// A database that a plain program works on, recorded by the adapter: commits, marks, rewinds, growth and shrinking.
fn sqlite(folder: &Path, journal: Journal) {
    let path = folder.join(DATABASE);
    begin(folder, if journal == Journal::Wal { "wal" } else { "delete" });
    let options = OpenOptions {
        store: Some(folder.join(STORE)),
        journal: Some(journal),
        seal: false,
        ..OpenOptions::default()
    };
    let database = Database::open(SqliteApi::bundled(), &path, &options).expect("a recording");
    let app = Connection::open(&path).expect("a database");
    app.execute_batch("pragma synchronous=off").expect("a pragma");
    let app = RefCell::new(app);
    let change = |sql: &str| app.borrow().execute_batch(sql).expect("a commit");
    let mark = |name: &str| {
        let lsn = database.mark(name).expect("a mark").lsn;
        let content = app.borrow_mut().serialize("main").expect("the content").to_vec();
        fs::write(folder.join(STATES).join(lsn.to_string()), content).expect("a state");
        lsn
    };
    let rewind = |name: &str| {
        database.rewind(&Target::Name(name.to_owned()), None).expect("a rewind");
    };
    mark("empty");
    change("insert into t(v) values('first'), (zeroblob(1500)), ('third')");
    mark("seeded");
    for n in 0..5 {
        change(&format!(
            "update t set v = 'changed {n}' where id % 3 = {}; insert into t(v) values(hex(zeroblob({})))",
            n % 3,
            90 * n
        ));
    }
    let worked = mark("worked");
    rewind("seeded");
    change("insert into t(v) values('after the rewind'); create table u(a, b)");
    mark("after a rewind, with blanks and an ä");
    change("delete from t; drop table u; vacuum");
    mark("vacuumed");
    mark("dropped");
    database.drop_mark("dropped").expect("a drop");
    database.rewind(&Target::Lsn(worked), None).expect("a rewind");
    change("insert into t(v) values(zeroblob(4000))");
    rewind("empty");
    change("insert into t(v) values('the present')");
    database.drain().expect("everything is recorded");
    drop(app);
    database.close().expect("closed");
    put_away(folder);
}

/// A database with a table and an index, and a store without anything, whose segments are small.
pub(super) fn begin(folder: &Path, mode: &str) {
    let app = Connection::open(folder.join(DATABASE)).expect("a database");
    app.execute_batch(&format!("pragma page_size=512; pragma journal_mode={mode}; pragma synchronous=off"))
        .expect("pragmas");
    app.execute_batch("create table t(id integer primary key, v); create index i on t(v)").expect("a schema");
    let small = StoreOptions { first_segment: 16 << 10, ..StoreOptions::default() };
    drop(Store::open(&folder.join(STORE), &small).expect("a store"));
}

/// Leaves nothing beside the database and its store, and no spare files in that.
pub(super) fn put_away(folder: &Path) {
    // The last program to close it puts the WAL away.
    Connection::open(folder.join(DATABASE))
        .and_then(|plain| plain.execute_batch("pragma user_version"))
        .expect("a plain program");
    for rest in ["app.db-wal", "app.db-shm", "app.db-journal"] {
        assert!(!folder.join(rest).exists(), "{rest} is left");
    }
    for spare in ["guard-0-a", "guard-0-b"] {
        let _none = fs::remove_file(folder.join(STORE).join(spare));
    }
}

/// A store whose beginning was evicted, with a pinned mark that is reached through a later rewind to it.
fn evicted(folder: &Path) {
    let path = folder.join(DATABASE);
    let app = Connection::open(&path).expect("a database");
    app.execute_batch(
        "pragma page_size=512; pragma journal_mode=wal; create table t(id integer primary key, v); \
         insert into t(v) values('first'), (zeroblob(3000)), ('third')",
    )
    .expect("a schema");
    let small = StoreOptions { first_segment: 8 << 10, max_segment: 16 << 10, limit: 1 << 20 };
    drop(Store::open(&folder.join(STORE), &small).expect("a store"));
    drop(app);
    let options = OpenOptions {
        store: Some(folder.join(STORE)),
        journal: Some(Journal::Wal),
        seal: false,
        limit: Some(1 << 20),
        window: Some(std::time::Duration::from_secs(1)),
        ..OpenOptions::default()
    };
    let database = Database::open(SqliteApi::bundled(), &path, &options).expect("a recording");
    let app = RefCell::new(Connection::open(&path).expect("a database"));
    let states = folder.join(STATES);
    let keep = |lsn: Lsn| {
        let content = app.borrow_mut().serialize("main").expect("the content").to_vec();
        fs::write(states.join(lsn.to_string()), content).expect("a state");
    };
    keep(database.mark_pinned("base").expect("a mark").lsn);
    for round in 0.. {
        let change = format!("update t set v = hex(zeroblob({})) where id = 2", 1000 + round);
        app.borrow().execute_batch(&change).expect("a commit");
        if round % 4 == 0 {
            keep(database.mark(&format!("round {round}")).expect("a mark").lsn);
        }
        database.rewind(&Target::Name("base".to_owned()), None).expect("a rewind");
        database.drain().expect("recorded");
        std::thread::sleep(std::time::Duration::from_millis(40));
        let counts = database.status().expect("a status").marks;
        if counts.evicted >= 3 {
            break;
        }
        assert!(round < 400, "nothing was evicted: {counts:?}");
    }
    app.borrow().execute_batch("insert into t(v) values('the present')").expect("a commit");
    drop(app);
    for mark in database.marks().expect("marks") {
        if mark.state == MarkState::Evicted {
            fs::remove_file(states.join(mark.lsn.to_string())).expect("a state");
        }
    }
    database.close().expect("closed");
    Connection::open(&path)
        .and_then(|plain| plain.execute_batch("pragma user_version"))
        .expect("a plain program");
    for rest in ["app.db-wal", "app.db-shm"] {
        assert!(!folder.join(rest).exists(), "{rest} is left");
    }
}

/// A store with every kind of record, in segments of 4 KiB, and what the adapter would never write.
fn kinds(folder: &Path) {
    let options = StoreOptions { first_segment: 4096, max_segment: 8192, limit: 1 << 20 };
    let present = [0x11, 0xf2, 0xf3, 0x50, 0, 0x16, 0x57, 0x58];
    let pages = |fills: &[u8]| fills.iter().flat_map(|fill| [*fill; 512]).collect::<Vec<u8>>();
    fs::write(folder.join(DATABASE), pages(&present)).expect("a file");
    for (lsn, fills) in [
        ("3", [0x21, 0x22, 0x23, 0x50].as_slice()),
        ("5", &[0x11, 0x12, 0x13, 0x50, 0, 0x16]),
        ("6", &[0x11, 0x12]),
        ("9", &[0x11, 0x12, 0x13, 0x50, 0, 0x16, 0x57, 0x58]),
        ("11", &present),
    ] {
        fs::write(folder.join(STATES).join(lsn), pages(fills)).expect("a state");
    }
    let dir = folder.join(STORE);
    let store = Store::open(&dir, &options).expect("a store");
    let object = store.object("/srv/first.db", 512).expect("an object");
    let other = store.object("/srv/second.db", 0).expect("an object");
    store.rename_object(other, "ä third").expect("a name");
    let mut clock = 1_700_000_000_000_000_000;
    let mut time = || {
        clock += 1_000_001;
        Timestamp::new(clock)
    };
    let head = |kind, key, lsn| Head { kind, flags: 0, object, key: Key::new(key), lsn: Lsn::new(lsn) };
    let append = |head: Head, body: &[u8]| store.append(head, &[body]).expect("room");
    let mark = |time: Timestamp, name: &str, lsn: u64, extent: u64| {
        let name = MarkName::new(name).expect("a name");
        let body = MarkBody { time, extent: Extent::new(extent), name, note: b"adapter's" }.encode();
        append(head(Kind::Mark, 0, lsn), &body);
    };
    let commit = |time: Timestamp, lsn: u64, extent: u64| {
        append(head(Kind::Commit, 0, lsn), &CommitBody { time, extent: Extent::new(extent) }.encode());
    };
    let image = |byte: u64| vec![byte as u8; 512];
    let era = EraBody { time: time(), extent: Extent::new(4), broken: true };
    append(head(Kind::Era, Engine::Wal.key().get(), 3), &era.encode());
    append(Head { flags: 0x5a, ..head(Kind::Note, 9, 3) }, b"a note of nobody");
    mark(time(), "at the beginning", 3, 4);
    let batch = [(head(Kind::After, 1, 4), image(0x11)), (head(Kind::After, 2, 4), image(0x12))];
    let batch: Vec<_> = batch.iter().map(|(head, body)| (*head, body.as_slice())).collect();
    store.append_batch(&batch).expect("room");
    commit(time(), 4, 4);
    for key in [1, 2, 3] {
        append(head(Kind::Base, key, 3), &image(0x20 + key));
    }
    append(head(Kind::After, 3, 5), &image(0x13));
    append(head(Kind::After, 6, 5), &image(0x16));
    commit(time(), 5, 6);
    mark(time(), "grown", 5, 6);
    append(head(Kind::Cut, 3, 6), &[]);
    commit(time(), 6, 2);
    mark(time(), "cut", 6, 2);
    append(head(Kind::After, 1, 7), &image(0x77));
    append(head(Kind::Void, 0, 6), &[]);
    append(head(Kind::After, 1, 7), &image(0x17));
    commit(time(), 7, 4);
    let (from, extent) = (Lsn::new(7), Extent::new(6));
    let rewound = RewindBody { time: time(), extent, from, note: b"why" };
    append(head(Kind::Rewind, 5, 8), &rewound.encode());
    mark(time(), "gone", 8, 6);
    let name = MarkName::new("gone").expect("a name");
    append(head(Kind::Drop, 0, 8), &DropBody { time: time(), name }.encode());
    let era = EraBody { time: time(), extent: Extent::new(8), broken: false };
    append(head(Kind::Era, Engine::Rollback.key().get(), 9), &era.encode());
    mark(time(), "before-images", 9, 8);
    for (key, lsn, fill) in [(2, 10, 0x12), (3, 10, 0x13), (2, 11, 0x92)] {
        append(head(Kind::Before, key, lsn), &image(fill));
    }
    commit(time(), 10, 8);
    commit(time(), 11, 8);
    mark(time(), "the last one", 11, 8);
    let second = Head { object: other, ..head(Kind::Note, 1, 1) };
    append(second, &[7; 9]);
    for index in 0..7 {
        store.set_register(object, index, 1 << (8 * index) | index as u64);
    }
    store.raise_last_lsn(object, Lsn::new(11));
    drop(store);
    give_one_up(&dir);
    // A record after it: what was given up is passed over.
    let store = Store::open(&dir, &options).expect("a store");
    store.append(Head { object: ObjectId::new(1), ..second }, &[b"behind", b" it"]).expect("room");
}

/// Fills the newest segment, so that what is in it can be sealed, and begins the next one.
fn go_on_in_another_segment(dir: &Path) {
    let store = Store::open(dir, &StoreOptions::default()).expect("a store");
    let head = Head::new(Kind::Note, ObjectId::new(1), Key::new(9), Lsn::new(1));
    store.append(head, &[&[0x99; 6000]]).expect("room");
}

/// Leaves a reservation of a writer that is dead at the end of the log, for the next one to give up.
fn give_one_up(dir: &Path) {
    let path = super::entries(dir).into_iter().rfind(|path| path.extension().is_some_and(|end| end == "seg"));
    let path = path.expect("a segment");
    let id =
        path.file_stem().and_then(|stem| u32::from_str_radix(stem.to_str()?, 16).ok()).expect("a number");
    let mut log = fs::read(&path).expect("a segment");
    let end = dbrewind_core::fuzzing::end(&log, id).expect("an end");
    log[end..end + 8].copy_from_slice(&forge_word(id, end as u32, Forged::Reserved(1000, 7), 72));
    fs::write(&path, log).expect("a segment");
}
