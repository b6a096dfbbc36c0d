//! Sound stores to damage: written once, kept in memory, laid out anew for each input.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use dbrewind_core::{
    Clock, CommitBody, Cursor, Engine, EraBody, Extent, Head, Key, Kind, Location, Lsn, ManualClock,
    MarkBody, MarkName, ObjectId, Record, RewindBody, Store, StoreOptions, Timestamp,
};

/// Small segments: a few records fill one.
pub(super) const OPTIONS: StoreOptions =
    StoreOptions { first_segment: 4096, max_segment: 8192, limit: 1 << 20 };

/// A store's files and its records.
pub(super) struct Sound {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// By segment and offset.
    pub(super) records: BTreeMap<(u64, u32), Record>,
}

/// The stores that a target damages.
pub(super) fn sound() -> &'static [Sound; 3] {
    static SOUND: OnceLock<[Sound; 3]> = OnceLock::new();
    SOUND.get_or_init(|| [written(Engine::Wal, 12), written(Engine::Rollback, 12), written(Engine::Wal, 0)])
}

/// Stores of sealed segments: all but the last one, only the first two, and one that is also there as it was.
pub(super) fn sound_sealed() -> &'static [Sound; 3] {
    static SOUND: OnceLock<[Sound; 3]> = OnceLock::new();
    SOUND.get_or_init(|| {
        let [all, some, both] = [u64::MAX, 2, u64::MAX].map(|most| {
            let folder = tempfile::tempdir().expect("a folder");
            let store = Store::open(folder.path(), &OPTIONS).expect("a new store");
            write(&store, Engine::Wal, 12);
            let before = files(folder.path());
            for _ in 0..most {
                if store.seal_some().expect("sealed").is_none() {
                    break;
                }
            }
            let sound = Sound { records: records(&store), files: files(folder.path()) };
            drop(store);
            (sound, before)
        });
        let (mut both, mut raw) = both;
        let first = "0000000000000001.seg";
        both.files.insert(first.to_owned(), raw.remove(first).expect("a segment"));
        [all.0, some.0, both]
    })
}

/// Stores whose beginning was evicted: in either kind of era, one with sealed segments.
pub(super) fn sound_cut() -> &'static [Sound; 3] {
    static SOUND: OnceLock<[Sound; 3]> = OnceLock::new();
    SOUND.get_or_init(|| {
        [(Engine::Wal, false), (Engine::Rollback, false), (Engine::Wal, true)].map(|(engine, seal)| {
            let folder = tempfile::tempdir().expect("a folder");
            let clock = ManualClock::new(Timestamp::new(1 << 60));
            let clocked = Clock::Manual(clock.clone());
            let store = Store::open_by(folder.path(), &OPTIONS, clocked).expect("a new store");
            write(&store, engine, 9);
            // A second era, which begins with the state of a mark; the first one's is older than the window.
            let lsn = Lsn::new(20);
            let body = EraBody { time: clock.now(), extent: Extent::new(9), broken: false };
            let object = ObjectId::new(0);
            let era = Head::new(Kind::Era, object, engine.key(), lsn);
            store.append(era, &[&body.encode()]).expect("room");
            let commit = CommitBody { time: clock.now(), extent: Extent::new(9) };
            let image = if engine == Engine::Wal { Kind::After } else { Kind::Before };
            store.append(Head::new(image, object, Key::new(3), Lsn::new(21)), &[&[9; 600]]).expect("room");
            store
                .append(Head::new(Kind::Commit, object, Key::new(0), Lsn::new(21)), &[&commit.encode()])
                .expect("room");
            store.raise_last_lsn(object, Lsn::new(21));
            clock.advance(Duration::from_secs(100 * 3600));
            assert!(store.evict_some(&|_| true).expect("evicted"), "nothing was evicted");
            for n in 0..30_u64 {
                let head = Head::new(Kind::Note, object, Key::new(5), Lsn::new(21));
                store.append(head, &[&n.to_le_bytes(), &[7; 600]]).expect("room");
            }
            while seal && store.seal_some().expect("sealed").is_some() {}
            let records = records(&store);
            drop(store);
            Sound { files: files(folder.path()), records }
        })
    })
}

/// Where folders are made: in memory, if there is such a place.
pub(super) fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<PathBuf> = OnceLock::new();
    SCRATCH.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        folder.expect("a folder").keep()
    })
}

fn written(engine: Engine, commits: u64) -> Sound {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), &OPTIONS).expect("a new store");
    if commits > 0 {
        write(&store, engine, commits);
    }
    let records = records(&store);
    drop(store);
    Sound { files: files(folder.path()), records }
}

fn records(store: &Store) -> BTreeMap<(u64, u32), Record> {
    let mut found = Vec::new();
    store.scan(&mut Cursor::default(), &mut |_, at, _| found.push(at)).expect("a sound store");
    let read = |at: Location| ((at.segment().get(), at.offset()), store.read(at).expect("sound"));
    found.into_iter().map(read).collect()
}

pub(super) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        (name, fs::read(path).expect("a file"))
    };
    fs::read_dir(folder).expect("a folder").map(read).collect()
}

fn write(store: &Store, engine: Engine, commits: u64) {
    let object = store.object(".", 600).expect("an object");
    let other = store.object("/b.db", 600).expect("an object");
    store.rename_object(other, "/c.db").expect("a new name");
    let head = |kind, key, lsn| Head { kind, flags: 0, object, key: Key::new(key), lsn: Lsn::new(lsn) };
    let (time, extent) = (Timestamp::new(1), Extent::new(9));
    let append = |head: Head, body: &[u8]| {
        store.append(head, &[body]).expect("room");
    };
    let mark = |lsn: u64| {
        let name = MarkName::new(&format!("mark {lsn}")).expect("a name");
        append(head(Kind::Mark, 0, lsn), &MarkBody { time, extent, name, note: &[1, 2, 3] }.encode());
        store.raise_register(object, 4, lsn);
    };
    append(head(Kind::Era, engine.key().get(), 1), &EraBody { time, extent, broken: false }.encode());
    append(head(Kind::Note, 1, 1), &[7; 32]);
    mark(1);
    for lsn in 2..2 + commits {
        let image = if engine == Engine::Wal { Kind::After } else { Kind::Before };
        let images: Vec<_> =
            (0..3).map(|n| (head(image, 1 + (lsn + n) % 9, lsn), vec![lsn as u8; 600])).collect();
        let batch: Vec<_> = images.iter().map(|(head, body)| (*head, body.as_slice())).collect();
        store.append_batch(&batch).expect("room");
        append(head(Kind::Commit, 0, lsn), &CommitBody { time, extent }.encode());
        store.raise_last_lsn(object, Lsn::new(lsn));
        if lsn % 4 == 0 {
            mark(lsn);
        }
    }
    let last = 2 + commits;
    let from = Lsn::new(last - 1);
    append(head(Kind::Rewind, 1, last), &RewindBody { time, extent, from, note: &[] }.encode());
    store.raise_last_lsn(object, Lsn::new(last));
    append(Head { object: ObjectId::new(1), ..head(Kind::Note, 2, 3) }, b"of another object");
}
