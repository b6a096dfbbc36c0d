//! A store of three segments whose every record is known, to be damaged.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dbrewind_core::{Code, Cursor, Head, Key, Kind, Lsn, Record, Store, StoreOptions};

pub(crate) const OPTIONS: StoreOptions =
    StoreOptions { first_segment: 4096, max_segment: 4096, limit: 1 << 20 };

pub(crate) fn segment(dir: &Path, id: u32) -> PathBuf {
    dir.join(format!("{id:016x}.seg"))
}

/// A store of three segments, closed again.
pub(crate) fn written(dir: &Path) -> Vec<Record> {
    let store = Store::open(dir, &OPTIONS).unwrap();
    let object = store.object("/a.db", 512).unwrap();
    let mut records = Vec::new();
    while records.len() < 17 {
        let i = records.len() as u64;
        let head = Head { kind: Kind::After, flags: 0, object, key: Key::new(i), lsn: Lsn::new(i + 1) };
        let body = vec![i as u8 + 1; 600];
        records.push(Record { head, at: store.append(head, &[&body]).unwrap(), body });
    }
    assert_eq!(records.last().unwrap().at.segment().get(), 3);
    records
}

/// All records but registrations, each one read.
pub(crate) fn read_all(dir: &Path) -> Result<Vec<Record>, Code> {
    let store = Store::open(dir, &OPTIONS).map_err(|e| e.code())?;
    let mut found = Vec::new();
    store.scan(&mut Cursor::default(), &mut |head, at, _| found.push((head, at))).map_err(|e| e.code())?;
    let records = found.into_iter().filter(|(head, _)| head.kind != Kind::Object);
    records.map(|(_, at)| store.read(at).map_err(|e| e.code())).collect()
}

pub(crate) fn flip(path: &Path, at: u64, bits: u8) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ bits], at).unwrap();
}
