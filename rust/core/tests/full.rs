//! A full disk: the append says so, what was promised is there, and there is no SIGBUS.

use std::fs;
use std::path::Path;
use std::process::Command;

use dbrewind_core::{Code, Cursor, Head, Key, Kind, Lsn, Store, StoreOptions};

struct SmallDisk<'a>(&'a Path);

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn hazard_disk_full() {
    let dir = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"])
        .arg(dir.path())
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        assert!(std::env::var_os("CI").is_none(), "hazard_disk_full needs the right to mount");
        eprintln!("SKIPPED hazard_disk_full: it needs the right to mount a small tmpfs");
        return;
    }
    let disk = SmallDisk(dir.path());
    let options = StoreOptions { first_segment: 1 << 20, max_segment: 4 << 20, limit: 1 << 40 };
    let path = dir.path().join("store");
    let store = Store::open(&path, &options).unwrap();
    let object = store.object("/a.db", 4096).unwrap();
    let ballast = dir.path().join("ballast");
    fs::write(&ballast, vec![1; 2 << 20]).unwrap();
    let head = |i| Head { kind: Kind::After, flags: 0, object, key: Key::new(i), lsn: Lsn::new(i) };
    let mut appended = 0;
    let refused = loop {
        match store.append(head(appended), &[&[appended as u8; 4096]]) {
            Ok(_) => appended += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.code(), Code::StoreFull);
    assert!(appended > 700, "{appended}");
    assert_eq!(store.append(head(0), &[]).unwrap_err().code(), Code::StoreFull);
    let opened = Store::open(&dir.path().join("another"), &StoreOptions::default()).unwrap_err();
    assert_eq!(opened.code(), Code::StoreFull);

    fs::remove_file(&ballast).unwrap();
    let smaller = StoreOptions { max_segment: 1 << 20, ..options };
    let other = Store::open(&path, &smaller).unwrap();
    other.append(head(appended), &[&[appended as u8; 4096]]).unwrap();
    let mut found = Vec::new();
    store.scan(&mut Cursor::default(), &mut |head, at, _| found.push((head, at))).unwrap();
    assert_eq!(found.len() as u64, appended + 2);
    for (head, at) in found.into_iter().skip(1) {
        assert!(store.read(at).unwrap().body.iter().all(|byte| *byte == head.key.get() as u8));
    }
    drop((store, other, disk));
}
