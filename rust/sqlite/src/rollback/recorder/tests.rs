use dbrewind_core::{Cursor, StoreOptions};

use super::*;
use crate::ffi::VfsError;

const BLOCK: usize = 512;

/// A database file; whoever reads one of its blocks finds that the store has room.
struct Disk {
    store: Store,
    bytes: Vec<u8>,
}

impl Content for Disk {
    fn read(&mut self, buffer: &mut [u8], offset: u64) -> Result<(), VfsError> {
        if buffer.len() == BLOCK {
            self.store.set_limit(1 << 30);
        }
        let at = offset as usize;
        buffer.copy_from_slice(self.bytes.get(at..at + buffer.len()).ok_or(VfsError::ShortRead)?);
        Ok(())
    }

    fn size(&mut self) -> Result<u64, VfsError> {
        Ok(self.bytes.len() as u64)
    }
}

/// A rollback era of a file, and a store that is full.
fn full(folder: &Path) -> (Recorder, Disk) {
    let options = StoreOptions { first_segment: 4096, max_segment: 4096, limit: 16 << 10 };
    let store = Store::open(folder, &options).unwrap();
    let object = store.object("a", BLOCK as u32).unwrap();
    let mut bytes = vec![0; 8 * BLOCK];
    bytes[..16].copy_from_slice(b"SQLite format 3\0");
    bytes[16..20].copy_from_slice(&[2, 0, 1, 1]);
    let file = FileId::of(folder).unwrap();
    let anchor = RollbackAnchor { file, size: bytes.len() as u64, born: 0, counter: 0 };
    boundary::begin(&store, object, (Lsn::new(1), Extent::new(8)), &anchor).unwrap();
    let filler = Head::new(Kind::Note, ObjectId::new(9), Key::new(99), Lsn::new(1));
    while store.append(filler, &[&[7; 1000]]).is_ok() {}
    while store.append(filler, &[]).is_ok() {}
    (Recorder::new(store.clone(), object, BLOCK as u32, None), Disk { store, bytes })
}

/// What a connection that locks, overwrites a block, commits and unlocks has left in the log: the kinds of its records, and the notes' tags.
fn recorded(recorder: &Recorder, disk: &mut Disk, cursor: &mut Cursor, block: u64) -> Vec<(Kind, u64)> {
    let offset = (block - 1) * BLOCK as u64;
    recorder.before_write(disk, Path::new("/no journal"), &[1; BLOCK], offset);
    recorder.committed(disk);
    // Else this is exclusive locking mode, in which every transaction but the first announces itself.
    recorder.rolled_back(disk);
    let mut found = Vec::new();
    recorder
        .store
        .scan(cursor, &mut |head, _, _| {
            let tag = if head.kind == Kind::Note { head.key.get() } else { 0 };
            found.extend((head.object == recorder.object).then_some((head.kind, tag)));
        })
        .unwrap();
    found
}

/// Whose the commits are could not be said, for want of room: the next transaction says it, and those after it do not.
#[test]
fn hazard_there_is_no_room_for_who_commits() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, mut disk) = full(folder.path());
    let mut cursor = Cursor::default();
    recorder.store.scan(&mut cursor, &mut |_, _, _| {}).unwrap();
    let alone = [(Kind::Before, 0), (Kind::Commit, 0)];
    let with_note = [&[(Kind::Note, tag::WRITER)], &alone[..]].concat();
    assert_eq!(
        recorded(&recorder, &mut disk, &mut cursor, 2),
        alone,
        "there was no room before the block was read"
    );
    assert_eq!(recorded(&recorder, &mut disk, &mut cursor, 3), with_note);
    assert_eq!(recorded(&recorder, &mut disk, &mut cursor, 4), alone);
    assert_eq!(recorder.store.broken(recorder.object), None);
}
