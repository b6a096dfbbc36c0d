//! Volumes whose history is sealed and evicted while they change: what is said to be kept is exact, the rest is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod random;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use dbrewind_volume::{AttachOptions, Code, MarkState, Memory, StoreSettings, Volume, VolumeStore};
use random::Random;

const LIMIT: u64 = 8 << 20;

struct Recorded {
    block: u32,
    longest: u64,
    memory: Memory,
    volume: Volume,
    content: Vec<u8>,
    marks: BTreeMap<String, Vec<u8>>,
}

fn open(folder: &Path) -> VolumeStore {
    let settings = StoreSettings { limit: Some(LIMIT), ..StoreSettings::default() };
    VolumeStore::open(folder, &settings).unwrap()
}

/// Such as no packer makes much smaller.
fn noise(random: &mut Random, len: u64) -> Vec<u8> {
    (0..len).map(|_| random.next() as u8).collect()
}

impl Recorded {
    fn new(store: &VolumeStore, block: u32, longest: u64, random: &mut Random) -> Self {
        let content = noise(random, longest / 2);
        let memory = Memory::new(&content);
        let volume = attach(store, block, &memory);
        Self { block, longest, memory, volume, content, marks: BTreeMap::new() }
    }

    fn change(&mut self, random: &mut Random) {
        let mut lock = self.memory.locked();
        self.volume.enter().unwrap();
        for _ in 0..=random.below(3) {
            let at = random.below(self.longest);
            if random.below(8) == 0 {
                self.volume.will_truncate(at).unwrap();
                lock.edit(|bytes| bytes.resize(at as usize, 0));
                continue;
            }
            let len = 1 + random.below(self.longest / 4);
            let bytes = noise(random, len);
            let end = at as usize + bytes.len();
            self.volume.will_write(at, len).unwrap();
            lock.edit(|content| {
                content.resize(content.len().max(end), 0);
                content[at as usize..end].copy_from_slice(&bytes);
            });
        }
        if random.below(5) > 0 {
            self.volume.commit().unwrap();
        }
        self.content = lock.content();
    }

    /// Goes to one of the marks that are listed, and sometimes back. Answers whether it was there.
    fn look(&mut self, random: &mut Random) -> Option<bool> {
        let marks = self.volume.marks().unwrap();
        let mark = marks.get(random.below(marks.len() as u64) as usize)?;
        assert_ne!(mark.state, MarkState::Lost);
        match self.volume.rewind(mark.name.as_str()) {
            Ok(rewound) => {
                assert_eq!(mark.state, MarkState::Archived, "{}", mark.name);
                let found = self.memory.locked().content();
                assert!(found == self.marks[&mark.name], "{} (block {})", mark.name, self.block);
                let before = std::mem::replace(&mut self.content, found);
                if random.below(2) == 0 && rewound.undo != rewound.to {
                    self.volume.rewind(rewound.undo).unwrap();
                    assert!(self.memory.locked().content() == before, "undone (block {})", self.block);
                    self.content = before;
                }
                Some(true)
            }
            // Evicted since it was listed, perhaps.
            Err(error) => {
                assert_eq!(error.code(), Code::BeforeWindow, "{error}");
                assert!(self.memory.locked().content() == self.content, "an error changed it");
                Some(false)
            }
        }
    }
}

fn attach(store: &VolumeStore, block: u32, memory: &Memory) -> Volume {
    Volume::attach(store, &format!("of {block}"), block, memory.clone(), &AttachOptions::default()).unwrap()
}

/// Whether a part of it is.
fn is_sealed(folder: &Path) -> bool {
    let mut entries = std::fs::read_dir(folder).unwrap();
    entries.any(|entry| entry.unwrap().path().extension().is_some_and(|end| end == "zst"))
}

#[test]
fn hazard_what_a_mark_needs_is_sealed_or_evicted() {
    for seed in random::seeds(2) {
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random(seed);
        let mut store = open(folder.path());
        let mut volumes = [(16, 20_000), (4096, 150_000)]
            .map(|(block, longest)| Recorded::new(&store, block, longest, &mut random));
        let (mut there, mut gone, mut sealed) = (0, 0, false);
        for step in 0..300 {
            let which = random.below(2) as usize;
            let recorded = &mut volumes[which];
            recorded.change(&mut random);
            if random.below(2) == 0 {
                let name = format!("{step}");
                recorded.volume.mark(&name).unwrap();
                recorded.marks.insert(name, recorded.content.clone());
            }
            if random.below(3) == 0 {
                match recorded.look(&mut random) {
                    Some(true) => there += 1,
                    Some(false) => gone += 1,
                    None => {}
                }
            }
            if step % 50 == 49 {
                // The thread that does it may be slow.
                for _ in 0..300 {
                    sealed |= is_sealed(folder.path());
                    if sealed {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                // As another process, which reads little of what is sealed.
                volumes.iter().for_each(|recorded| recorded.volume.detach().unwrap());
                drop(store);
                store = open(folder.path());
                for recorded in &mut volumes {
                    recorded.volume = attach(&store, recorded.block, &recorded.memory);
                }
            }
        }
        assert!(
            there > 10 && gone > 3 && sealed,
            "seed {seed}: {there} there, {gone} gone, sealed: {sealed}"
        );
    }
}
