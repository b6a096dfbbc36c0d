//! Records under keys: random changes, marks, rewinds and attachments, against copies of all records; with segments that are sealed and
//! evicted; and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod folder;
mod random;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dbrewind_volume::{
    AttachOptions, Code, Error, KeyedMedium, LONGEST_RECORD, Lsn, MarkState, Memory, Rewound, Storage,
    StoreSettings, Synchronous, Volume, VolumeStore,
};
use folder::{Folder, Records, records};
use random::Random;

/// Small ones, the ends, and such as a hash gives.
fn key(random: &mut Random) -> u64 {
    match random.below(12) {
        0 => 0,
        1 => u64::MAX - 1,
        2..6 => random.below(5).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        _ => random.below(30),
    }
}

fn options(synchronous: Synchronous) -> AttachOptions {
    AttachOptions { synchronous, ..AttachOptions::default() }
}

struct World {
    store: VolumeStore,
    path: PathBuf,
    handles: Vec<Folder>,
    content: Records,
    marks: BTreeMap<String, Records>,
    undo: Vec<(Lsn, Records)>,
    random: Random,
}

impl World {
    fn new(folder: &Path, seed: u64) -> Self {
        let store = VolumeStore::open(&folder.join("history"), &StoreSettings::default()).unwrap();
        let path = folder.join("records");
        let mut world = Self {
            store,
            path,
            handles: Vec::new(),
            content: Records::new(),
            marks: BTreeMap::new(),
            undo: Vec::new(),
            random: Random(seed),
        };
        world.attach();
        world
    }

    fn attach(&mut self) {
        let synchronous = if self.random.below(3) == 0 { Synchronous::Normal } else { Synchronous::Off };
        self.handles.push(Folder::attach(&self.store, &self.path, &options(synchronous)).unwrap());
    }

    fn which(&mut self) -> usize {
        self.random.below(self.handles.len() as u64) as usize
    }

    fn change(&mut self) {
        let which = self.which();
        let held = self.handles[which].begin();
        for _ in 0..=self.random.below(5) {
            let (key, known) = (key(&mut self.random), self.random.below(2) == 0);
            if self.random.below(3) == 0 {
                held.put(key, None, known);
                self.content.remove(&key);
            } else {
                let len = self.random.below(4) * self.random.below(100);
                let record = self.random.bytes(len);
                held.put(key, Some(&record), known);
                self.content.insert(key, record);
            }
        }
        if self.random.below(4) > 0 {
            held.commit();
        }
    }

    fn rewound(&mut self, rewound: &Rewound, then: Records) {
        let before = std::mem::replace(&mut self.content, then);
        if rewound.undo != rewound.to {
            self.undo.push((rewound.undo, before));
        }
    }

    fn step(&mut self) {
        let (name, which) = (format!("m{}", self.random.below(6)), self.which());
        let handle = &self.handles[which];
        match self.random.below(16) {
            0..6 => self.change(),
            6 | 7 => match handle.mark(&name) {
                Ok(mark) => {
                    assert_eq!((mark.state, mark.blocks), (MarkState::Archived, 0));
                    assert!(self.marks.insert(name, self.content.clone()).is_none());
                }
                Err(error) => assert!(self.marks.contains_key(&name) && error.code() == Code::MarkExists),
            },
            8..11 => match (self.marks.get(&name).cloned(), handle.rewind(name.as_str())) {
                (Some(then), Ok(rewound)) => {
                    self.rewound(&rewound, then);
                    assert!(!self.handles[which].dirty_since(name.as_str()).unwrap());
                }
                (None, Err(error)) => assert_eq!(error.code(), Code::MarkNotFound),
                (known, done) => panic!("{known:?} {done:?}"),
            },
            11 | 12 if !self.undo.is_empty() => {
                let (lsn, then) = self.undo[self.random.below(self.undo.len() as u64) as usize].clone();
                let rewound = handle.rewind(lsn).unwrap();
                self.rewound(&rewound, then);
            }
            13 => assert_eq!(handle.drop_mark(&name).is_ok(), self.marks.remove(&name).is_some()),
            14 if self.handles.len() < 3 => self.attach(),
            15 => {
                self.handles.remove(which).detach().unwrap();
                if self.handles.is_empty() {
                    self.attach();
                }
            }
            _ => {}
        }
        assert!(records(&self.path) == self.content);
    }
}

#[test]
fn records_are_what_their_copies_say() {
    for seed in random::seeds(10) {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path(), seed);
        for step in 0..150 {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.step()));
            assert!(result.is_ok(), "seed {seed}, step {step}");
        }
    }
}

/// Records in memory, with functions that fail when they are told to.
#[derive(Default)]
struct Table {
    records: Mutex<Records>,
    rewound: AtomicU32,
    /// After so many writes they fail; 0: they do not.
    writes: AtomicU32,
    unreadable: AtomicBool,
}

impl Table {
    fn with(records: impl IntoIterator<Item = (u64, Vec<u8>)>) -> Arc<Self> {
        Arc::new(Self { records: Mutex::new(records.into_iter().collect()), ..Self::default() })
    }

    fn now(&self) -> Records {
        self.records.lock().unwrap().clone()
    }

    fn put(&self, volume: &Volume, key: u64, record: &[u8]) -> Result<(), Error> {
        volume.enter()?;
        volume.will_change(key)?;
        self.records.lock().unwrap().insert(key, record.to_vec());
        volume.commit().map(drop)
    }

    fn may_write(&self) -> io::Result<()> {
        let left = self.writes.load(Ordering::Relaxed);
        self.writes.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 1 { Err(io::Error::other("on purpose")) } else { Ok(()) }
    }
}

impl KeyedMedium for Table {
    fn read(&self, key: u64, into: &mut Vec<u8>) -> io::Result<bool> {
        if self.unreadable.load(Ordering::Relaxed) {
            return Err(io::Error::other("on purpose"));
        }
        let records = self.records.lock().unwrap();
        into.extend(records.get(&key).into_iter().flatten());
        Ok(records.contains_key(&key))
    }
    fn write(&self, key: u64, record: &[u8]) -> io::Result<()> {
        self.may_write()?;
        self.records.lock().unwrap().insert(key, record.to_vec());
        Ok(())
    }
    fn remove(&self, key: u64) -> io::Result<()> {
        self.may_write()?;
        self.records.lock().unwrap().remove(&key);
        Ok(())
    }
}

impl Storage for Table {
    fn lock(&self, _timeout: Duration) -> io::Result<bool> {
        Ok(true)
    }
    fn unlock(&self) {}
    fn after_rewind(&self, _lsn: Lsn) {
        self.rewound.fetch_add(1, Ordering::Relaxed);
    }
}

fn open(folder: &Path) -> VolumeStore {
    VolumeStore::open(folder, &StoreSettings::default()).unwrap()
}

fn attach(store: &VolumeStore, table: &Arc<Table>) -> Volume {
    Volume::attach_keyed(store, "table", Arc::clone(table), &AttachOptions::anew()).unwrap()
}

#[test]
fn what_a_rewind_cannot_write_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::with([(1, vec![1; 9]), (2, vec![2; 70])]);
    let volume = attach(&open(folder.path()), &table);
    volume.mark("m").unwrap();
    for key in [1, 5, 7, 9] {
        table.put(&volume, key, &[7; 33]).unwrap();
    }
    volume.will_change(2).unwrap();
    table.records.lock().unwrap().remove(&2);
    volume.commit().unwrap();
    let before = table.now();
    for writes in 1..=5 {
        // Those that take it back succeed.
        table.writes.store(writes, Ordering::Relaxed);
        assert_eq!(volume.rewind("m").unwrap_err().code(), Code::Io);
        assert_eq!(table.now(), before, "{writes}");
    }
    assert_eq!(volume.rewind("m").unwrap().blocks, 5);
    assert_eq!(table.now(), Records::from([(1, vec![1; 9]), (2, vec![2; 70])]));
    assert_eq!(table.rewound.load(Ordering::Relaxed), 1);
}

#[test]
fn an_old_record_that_is_given_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::with([(1, vec![1; 9]), (3, vec![])]);
    let volume = attach(&open(folder.path()), &table);
    volume.mark("m").unwrap();
    table.unreadable.store(true, Ordering::Relaxed);
    volume.will_change_with(1, Some(&[1; 9])).unwrap();
    volume.will_change_with(2, None).unwrap();
    volume.will_change_with(3, Some(&[])).unwrap();
    // Saved already.
    volume.will_change(1).unwrap();
    *table.records.lock().unwrap() = Records::from([(2, vec![5])]);
    volume.commit().unwrap();
    table.unreadable.store(false, Ordering::Relaxed);
    volume.rewind("m").unwrap();
    assert_eq!(table.now(), Records::from([(1, vec![1; 9]), (3, vec![])]));
    table.unreadable.store(true, Ordering::Relaxed);
    volume.mark("n").unwrap();
    assert_eq!(volume.will_change(4).unwrap_err().code(), Code::Io);
    assert_eq!(volume.will_change_with(1, None).unwrap_err().code(), Code::Io, "recording has stopped");
}

#[test]
fn blocks_that_are_given_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::new(&(0..200).collect::<Vec<u8>>());
    let volume =
        Volume::attach(&open(folder.path()), "v", 64, memory.clone(), &AttachOptions::anew()).unwrap();
    volume.mark("m").unwrap();
    let before = memory.locked().content();
    let mut lock = memory.locked();
    // The first and the third are given, the last to the end of the content; the second is not whole. What was said to stand there stands
    // there after the rewind.
    let mut old: Vec<u8> = (0..70).collect();
    old[3] = 99;
    volume.will_write_with(0, 70, &old).unwrap();
    volume.will_write_with(100, 110, &before[100..]).unwrap();
    lock.edit(|bytes| {
        bytes.fill(7);
        bytes.resize(300, 7);
    });
    volume.commit().unwrap();
    drop(lock);
    volume.rewind("m").unwrap();
    let mut expected = before;
    expected[3] = 99;
    assert_eq!(memory.locked().content(), expected);
}

#[test]
fn what_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (store, table) = (open(folder.path()), Table::with([]));
    let volume = attach(&store, &table);
    assert_eq!(volume.block_size(), 0);
    let refused = |result: Result<(), Error>| assert_eq!(result.unwrap_err().code(), Code::InvalidArgument);
    refused(volume.will_change(u64::MAX));
    refused(volume.will_change_with(u64::MAX, None));
    refused(volume.will_write(0, 1));
    refused(volume.will_write_with(0, 1, &[1]));
    refused(volume.will_truncate(0));
    let memory = Memory::new(&[0; 64]);
    // The same name: another volume.
    let blocks = Volume::attach(&store, "table", 64, memory, &AttachOptions::anew()).unwrap();
    refused(blocks.will_change(1));
    refused(blocks.will_change_with(1, None));
    blocks.mark("m").unwrap();
    volume.mark("m").unwrap();
    table.put(&volume, 1, &[1]).unwrap();
    let long = vec![1; LONGEST_RECORD];
    volume.will_change_with(2, Some(&long)).unwrap();
    volume.commit().unwrap();
    volume.rewind("m").unwrap();
    assert_eq!(table.now(), Records::from([(2, long.clone())]));
    // It may go ahead, without us.
    let error = volume.will_change_with(3, Some(&[long, vec![1]].concat())).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
    assert_eq!(volume.rewind("m").unwrap_err().code(), Code::Unsupported);
    assert!(volume.marks().unwrap().iter().all(|mark| mark.state == MarkState::Lost));
}

/// Such as no packer makes much smaller.
fn noise(random: &mut Random, len: u64) -> Vec<u8> {
    (0..len).map(|_| random.next() as u8).collect()
}

#[test]
fn records_whose_history_is_sealed_and_evicted() {
    let folder = tempfile::tempdir().unwrap();
    let settings = StoreSettings { limit: Some(8 << 20), ..StoreSettings::default() };
    let store = VolumeStore::open(folder.path(), &settings).unwrap();
    let table = Table::with([]);
    let volume = attach(&store, &table);
    let (mut random, mut marks) = (Random(7), BTreeMap::new());
    let (mut evicted, mut rewinds) = (0, 0);
    for round in 0..300 {
        volume.enter().unwrap();
        for _ in 0..8 {
            let (key, len) = (random.below(100), random.below(20) * random.below(500));
            let old = table.records.lock().unwrap().get(&key).cloned();
            volume.will_change(key).unwrap();
            // Mostly like the one before, somewhat longer or shorter, as rows are.
            let mut record = match old {
                Some(old) if random.below(4) > 0 && !old.is_empty() => old,
                _ => noise(&mut random, len),
            };
            let by = random.below(3).min(record.len() as u64) as usize;
            record.rotate_right(by);
            record.truncate((len + 5000) as usize);
            record.extend(noise(&mut random, 3));
            let mut records = table.records.lock().unwrap();
            if random.below(6) == 0 {
                records.remove(&key)
            } else {
                records.insert(key, record)
            };
        }
        volume.commit().unwrap();
        let name = format!("m{round}");
        volume.mark(&name).unwrap();
        marks.insert(name, table.now());
        let listed = volume.marks().unwrap();
        let mark = &listed[random.below(listed.len() as u64) as usize];
        match volume.rewind(mark.name.as_str()) {
            Ok(_) => {
                rewinds += 1;
                assert!(table.now() == marks[&mark.name], "{} at round {round}", mark.name);
            }
            Err(error) => {
                evicted += 1;
                // Some since they were listed.
                assert_eq!(error.code(), Code::BeforeWindow, "{error}");
                assert_ne!(mark.state, MarkState::Lost);
            }
        }
    }
    assert!(evicted > 3 && rewinds > 100, "{evicted} evicted, {rewinds} rewinds");
}
