//! A store of some closed segments, and all that can be read of it.

use std::path::{Path, PathBuf};

use dbrewind_core::{
    Code, CommitBody, Cursor, Engine, EraBody, Extent, Head, Key, Kind, Lsn, ObjectId, Record, Store,
    StoreOptions, Timestamp,
};

pub(crate) const SMALL: StoreOptions =
    StoreOptions { first_segment: 4096, max_segment: 64 << 10, limit: 64 << 20 };

pub(crate) fn raw(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:016x}.seg"))
}

pub(crate) fn sealed(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:016x}.zst"))
}

pub(crate) fn head(kind: Kind, object: u32, key: u64, lsn: u64) -> Head {
    Head { kind, flags: 0, object: ObjectId::new(object), key: Key::new(key), lsn: Lsn::new(lsn) }
}

/// The image of a key at a moment: most of it stays the same.
pub(crate) fn image(key: u64, lsn: u64) -> Vec<u8> {
    let mut image: Vec<u8> = (0..500).map(|i| (key * 7 + i / 3) as u8).collect();
    let at = (lsn * 31 % 480) as usize;
    image[at..at + 8].copy_from_slice(&lsn.to_le_bytes());
    image
}

/// Appends so many commits, of five images each.
pub(crate) fn fill(store: &Store, object: ObjectId, commits: std::ops::Range<u64>) {
    for commit in commits {
        let lsn = commit * 6;
        for i in 1..=5 {
            let key = 1 + (commit * 3 + i * i) % 30;
            let head = Head { object, ..head(Kind::After, 0, key, lsn + i) };
            store.append(head, &[&image(key, lsn + i)]).unwrap();
        }
        let body = CommitBody { time: Timestamp::new(commit), extent: Extent::new(30) };
        store.append(Head { object, ..head(Kind::Commit, 0, 0, lsn + 6) }, &[&body.encode()]).unwrap();
        store.raise_last_lsn(object, Lsn::new(lsn + 6));
    }
}

/// A store of some closed segments, and the object in it.
pub(crate) fn filled(dir: &Path) -> (Store, ObjectId) {
    let store = Store::open(dir, &SMALL).unwrap();
    let object = store.object("a.db", 500).unwrap();
    let era = EraBody { time: Timestamp::new(0), extent: Extent::new(30), broken: false };
    let head = Head { object, ..head(Kind::Era, 0, Engine::Wal.key().get(), 1) };
    store.append(head, &[&era.encode()]).unwrap();
    fill(&store, object, 1..120);
    (store, object)
}

pub(crate) fn seal_all(store: &Store) -> u64 {
    let mut last = 0;
    while let Some(done) = store.seal_some().unwrap() {
        assert_eq!(done.segment.get(), last + 1);
        last += 1;
    }
    last
}

pub(crate) fn read_from(store: &Store, mut from: Cursor) -> Result<Vec<Record>, Code> {
    let mut found = Vec::new();
    store.scan(&mut from, &mut |head, at, len| found.push((head, at, len))).map_err(|e| e.code())?;
    let mut records = Vec::new();
    for (head, at, len) in found {
        let record = store.read(at).map_err(|e| e.code())?;
        assert_eq!((record.head, record.at, record.body.len()), (head, at, len as usize));
        records.push(record);
    }
    Ok(records)
}

pub(crate) fn all(store: &Store) -> Vec<Record> {
    read_from(store, Cursor::default()).unwrap()
}

/// As [`seal_all`], where the segments before `from` are sealed. Answers the one after the last.
pub(crate) fn seal_all_from(store: &Store, from: u64) -> u64 {
    let mut last = from;
    while let Some(done) = store.seal_some().unwrap() {
        last = done.segment.get() + 1;
    }
    last
}
