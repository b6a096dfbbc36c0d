//! The logs that are compared, each behind the same three calls.

use std::fs::OpenOptions;
use std::path::Path;

use dbrewind_core::{Head, Key, Kind, Lsn, ObjectId, Store, StoreOptions};

/// What is measured: appends that survive the death of the process, and need not survive a power cut.
pub trait Log: Sync {
    /// Appends a record of a writer; `number` counts from 0.
    fn append(&self, writer: u32, number: u64, body: &[u8]);

    /// How many records one call appends.
    fn at_once(&self) -> u64 {
        1
    }
}

/// A row of the table.
pub struct Row {
    pub label: &'static str,
    /// For [`open`].
    pub log: &'static str,
    /// Whether several processes can append to one.
    pub shared: bool,
    /// Whether writers pause between bursts.
    pub bursts: bool,
}

const fn row(log: &'static str, shared: bool) -> Row {
    Row { label: log, log, shared, bursts: false }
}

const fn bursts(label: &'static str, log: &'static str) -> Row {
    Row { label, log, shared: true, bursts: true }
}

pub const ROWS: [Row; 10] = [
    row("dbrewind", true),
    row("dbrewind, 64 at once", true),
    bursts("dbrewind, in bursts", "dbrewind"),
    bursts("dbrewind, 64 at once, in bursts", "dbrewind, 64 at once"),
    row("copy", true),
    row("copy, pages present", true),
    row("copy, pages present, in one order", true),
    row("LMDB", true),
    row("wal-db", false),
    row("raft-engine", false),
];

/// Opens a log in a folder; `room` is what all writers together will append, in bytes with headers, for those that must know.
pub fn open(name: &str, folder: &Path, room: u64, writers: u32) -> Option<Box<dyn Log>> {
    std::fs::create_dir_all(folder).expect("a folder");
    match name {
        "dbrewind" => {
            Some(Box::new(Store::open(&folder.join("store"), &StoreOptions::default()).expect("a store")))
        }
        "dbrewind, 64 at once" => Some(Box::new(AtOnce(
            Store::open(&folder.join("store"), &StoreOptions::default()).expect("a store"),
        ))),
        "copy" => Some(Box::new(Copy::open(folder, room, writers, false))),
        "copy, pages present" => Some(Box::new(Copy::open(folder, room, writers, true))),
        "copy, pages present, in one order" => {
            Some(Box::new(InOrder(Copy::open(folder, room + (1 << 20), 1, true))))
        }
        #[cfg(feature = "heed")]
        "LMDB" => Some(Box::new(rivals::Lmdb::open(folder, room))),
        #[cfg(feature = "wal-db")]
        "wal-db" => Some(Box::new(wal_db::Wal::open(folder.join("log")).expect("a log"))),
        #[cfg(feature = "raft-engine")]
        "raft-engine" => Some(Box::new(rivals::Raft::open(folder))),
        _ => None,
    }
}

impl Log for Store {
    fn append(&self, writer: u32, number: u64, body: &[u8]) {
        let object = ObjectId::new(writer);
        let head = Head { kind: Kind::After, flags: 0, object, key: Key::new(number), lsn: Lsn::new(number) };
        Store::append(self, head, &[body]).expect("room");
    }
}

/// As engines append what belongs to one commit.
struct AtOnce(Store);

impl AtOnce {
    const RECORDS: u64 = 64;
}

impl Log for AtOnce {
    fn append(&self, writer: u32, number: u64, body: &[u8]) {
        let object = ObjectId::new(writer);
        let head = |number| Head {
            kind: Kind::After,
            flags: 0,
            object,
            key: Key::new(number),
            lsn: Lsn::new(number),
        };
        let records: [_; Self::RECORDS as usize] =
            std::array::from_fn(|more| (head(number + more as u64), body));
        self.0.append_batch(&records).expect("room");
    }

    fn at_once(&self) -> u64 {
        Self::RECORDS
    }
}

/// The floor: the same bytes, and as many for a header, copied one after the other into a file that is mapped as the store's
/// is. Each writer has a part of its own, so that not even a place has to be agreed on.
struct Copy {
    map: memmap2::MmapRaw,
    share: usize,
}

const HEADER: usize = 40;

impl Copy {
    fn open(folder: &Path, room: u64, writers: u32, present: bool) -> Self {
        let path = folder.join("copy");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.expect("a file");
        let len = (room + (1 << 20)) & !4095;
        if file.metadata().expect("a file").len() < len {
            use std::os::fd::AsRawFd;
            // SAFETY: a descriptor that is open; no memory is touched.
            let done = unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, len as i64) };
            assert_eq!(done, 0, "no room");
        }
        let map = memmap2::MmapOptions::new().len(len as usize).map_raw(&file).expect("a mapping");
        if present {
            map.advise(memmap2::Advice::PopulateWrite).expect("pages");
        }
        Self { map, share: (len / u64::from(writers)) as usize & !4095 }
    }

    /// SAFETY: there is room for header and body, and nobody else accesses it.
    unsafe fn put(to: *mut u8, body: &[u8]) {
        unsafe {
            to.write_bytes(1, HEADER);
            to.add(HEADER).copy_from_nonoverlapping(body.as_ptr(), body.len());
        }
    }
}

impl Log for Copy {
    fn append(&self, writer: u32, number: u64, body: &[u8]) {
        let at = writer as usize * self.share
            + number as usize * (HEADER + body.len()) % (self.share - HEADER - body.len());
        // SAFETY: inside of the mapping, in this writer's part, which nobody else touches.
        unsafe { Self::put(self.map.as_mut_ptr().add(at), body) };
    }
}

/// The floor of every log that keeps the order of its appends: the copies stand one behind the other, whoever made them, and one
/// addition to a shared word gives each its place. Who is killed within one leaves a hole of unknown length.
struct InOrder(Copy);

impl Log for InOrder {
    fn append(&self, _writer: u32, _number: u64, body: &[u8]) {
        const LINE: usize = 4096;
        let start = self.0.map.as_mut_ptr();
        // SAFETY: the mapping begins at a page and has one; nobody accesses its first eight bytes but so.
        let end = unsafe { std::sync::atomic::AtomicU64::from_ptr(start.cast()) };
        let len = (HEADER + body.len()).next_multiple_of(8);
        let at = end.fetch_add(len as u64, std::sync::atomic::Ordering::Relaxed) as usize;
        assert!(LINE + at + len <= self.0.share, "room");
        // SAFETY: inside of the mapping, at a place that nobody else was given.
        unsafe { Copy::put(start.add(LINE + at), body) };
    }
}

#[cfg(feature = "wal-db")]
impl Log for wal_db::Wal {
    fn append(&self, _writer: u32, _number: u64, body: &[u8]) {
        let _place = wal_db::Wal::append(self, body).expect("room");
    }
}

#[cfg(any(feature = "heed", feature = "raft-engine"))]
mod rivals {
    use std::path::Path;

    use super::Log;

    /// One transaction an append; `NOSYNC` and `WRITEMAP`, which is as durable as the others are.
    #[cfg(feature = "heed")]
    pub struct Lmdb {
        env: heed::Env,
        table: heed::Database<heed::types::Bytes, heed::types::Bytes>,
    }

    #[cfg(feature = "heed")]
    impl Lmdb {
        pub fn open(folder: &Path, room: u64) -> Self {
            let mut options = heed::EnvOpenOptions::new();
            options.map_size((4 * room + (64 << 20)) as usize & !4095);
            // SAFETY: nobody else touches the folder; without syncs only a power cut can break the file.
            let env = unsafe {
                options.flags(heed::EnvFlags::NO_SYNC | heed::EnvFlags::WRITE_MAP);
                options.open(folder).expect("an environment")
            };
            let mut change = env.write_txn().expect("a transaction");
            let table = env.create_database(&mut change, None).expect("a table");
            change.commit().expect("a commit");
            Self { env, table }
        }
    }

    #[cfg(feature = "heed")]
    impl Log for Lmdb {
        fn append(&self, writer: u32, number: u64, body: &[u8]) {
            let key = (u64::from(writer) << 48 | number).to_be_bytes();
            let mut change = self.env.write_txn().expect("a transaction");
            self.table.put(&mut change, &key, body).expect("room");
            change.commit().expect("a commit");
        }
    }

    #[cfg(feature = "raft-engine")]
    pub struct Raft(raft_engine::Engine);

    #[cfg(feature = "raft-engine")]
    impl Raft {
        pub fn open(folder: &Path) -> Self {
            let mut config = raft_engine::Config::default();
            config.dir = folder.join("raft").to_str().expect("UTF-8").to_owned();
            // Compression would make another comparison of it.
            config.batch_compression_threshold = raft_engine::ReadableSize::kb(0);
            Self(raft_engine::Engine::open(config).expect("an engine"))
        }
    }

    /// An entry of any kind: its first eight bytes are its index.
    #[cfg(feature = "raft-engine")]
    struct Indexed;

    #[cfg(feature = "raft-engine")]
    impl raft_engine::MessageExt for Indexed {
        type Entry = protobuf::well_known_types::BytesValue;

        fn index(entry: &Self::Entry) -> u64 {
            entry.value.first_chunk().map_or(0, |index| u64::from_le_bytes(*index))
        }
    }

    #[cfg(feature = "raft-engine")]
    impl Log for Raft {
        fn append(&self, writer: u32, number: u64, body: &[u8]) {
            let mut entry = protobuf::well_known_types::BytesValue::new();
            entry.value = (number + 1).to_le_bytes().to_vec();
            entry.value.extend_from_slice(body.get(8..).unwrap_or_default());
            let mut batch = raft_engine::LogBatch::with_capacity(1);
            batch.add_entries::<Indexed>(u64::from(writer) + 1, &[entry]).expect("an entry");
            self.0.write(&mut batch, false).expect("room");
        }
    }
}
