//! Random changes, marks, rewinds and attachments, against copies of the whole content.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod random;

use std::collections::BTreeMap;
use std::path::Path;

use dbrewind_volume::{
    AttachOptions, Code, FileVolume, Lsn, MarkState, Rewound, StoreSettings, Synchronous, VolumeStore,
};
use random::Random;

const BLOCK: u32 = 64;

struct World {
    store: VolumeStore,
    path: std::path::PathBuf,
    files: Vec<FileVolume>,
    content: Vec<u8>,
    marks: BTreeMap<String, Vec<u8>>,
    undo: Vec<(Lsn, Vec<u8>)>,
    random: Random,
    options: AttachOptions,
}

impl World {
    fn new(folder: &Path, seed: u64) -> Self {
        let store = VolumeStore::open(&folder.join("history"), &StoreSettings::default()).unwrap();
        let path = folder.join("data");
        let mut random = Random(seed);
        let content = random.bytes(1500);
        std::fs::write(&path, &content).unwrap();
        let synchronous = if seed.is_multiple_of(4) { Synchronous::Normal } else { Synchronous::Off };
        let options = AttachOptions { synchronous, ..AttachOptions::default() };
        let mut world = Self {
            options,
            store,
            path,
            files: Vec::new(),
            content,
            marks: BTreeMap::new(),
            undo: Vec::new(),
            random,
        };
        world.attach();
        world
    }

    fn attach(&mut self) {
        let file = FileVolume::attach(&self.store, "data", BLOCK, &self.path, &self.options).unwrap();
        self.files.push(file);
    }

    /// One of the handles: two of them are as two processes.
    fn file(&mut self) -> &FileVolume {
        let which = self.random.below(self.files.len() as u64) as usize;
        &self.files[which]
    }

    fn change(&mut self) {
        let (count, which) = (self.random.below(4), self.random.below(self.files.len() as u64) as usize);
        let mut change = self.files[which].begin().unwrap();
        for _ in 0..=count {
            let at = self.random.below(3000);
            if self.random.below(5) == 0 {
                change.set_len(at).unwrap();
                self.content.resize(at as usize, 0);
            } else {
                let len = self.random.below(200);
                let bytes = self.random.bytes(len);
                change.write_at(at, &bytes).unwrap();
                let end = at as usize + bytes.len();
                if !bytes.is_empty() {
                    self.content.resize(self.content.len().max(end), 0);
                    self.content[at as usize..end].copy_from_slice(&bytes);
                }
            }
        }
        if self.random.below(4) > 0 {
            change.commit().unwrap();
        }
    }

    fn rewound(&mut self, rewound: &Rewound, then: Vec<u8>) {
        let before = std::mem::replace(&mut self.content, then);
        // One that found nothing to do answers the target, which may be dropped.
        if rewound.undo != rewound.to {
            self.undo.push((rewound.undo, before));
        }
    }

    fn step(&mut self) {
        match self.random.below(16) {
            0..6 => self.change(),
            6 | 7 => {
                let name = format!("m{}", self.random.below(6));
                let taken = self.marks.contains_key(&name);
                match self.file().mark(&name) {
                    Ok(mark) => {
                        assert!(!taken && mark.state == MarkState::Archived);
                        self.marks.insert(name, self.content.clone());
                    }
                    Err(error) => assert!(taken && error.code() == Code::MarkExists, "{error}"),
                }
            }
            8..11 => {
                let name = format!("m{}", self.random.below(6));
                let found = self.marks.get(&name).cloned();
                match (found, self.file().rewind(name.as_str())) {
                    (Some(then), Ok(rewound)) => {
                        self.rewound(&rewound, then);
                        assert!(!self.file().dirty_since(name.as_str()).unwrap());
                    }
                    (None, Err(error)) => assert_eq!(error.code(), Code::MarkNotFound),
                    (known, done) => panic!("{known:?} {done:?}"),
                }
            }
            11 | 12 => {
                let count = self.undo.len() as u64;
                if count > 0 {
                    let (lsn, then) = self.undo[self.random.below(count) as usize].clone();
                    let rewound = self.file().rewind(lsn).unwrap();
                    self.rewound(&rewound, then);
                }
            }
            13 => {
                let name = format!("m{}", self.random.below(6));
                assert_eq!(self.file().drop_mark(&name).is_ok(), self.marks.remove(&name).is_some());
            }
            14 => {
                if self.files.len() < 3 {
                    self.attach();
                }
            }
            _ => {
                let which = self.random.below(self.files.len() as u64) as usize;
                self.files.remove(which).detach().unwrap();
                if self.files.is_empty() {
                    self.attach();
                }
            }
        }
        assert!(std::fs::read(&self.path).unwrap() == self.content);
        let listed: Vec<String> = self.file().marks().unwrap().into_iter().map(|mark| mark.name).collect();
        assert!(listed.len() == self.marks.len() && listed.iter().all(|name| self.marks.contains_key(name)));
    }
}

#[test]
fn a_volume_is_what_its_copies_say() {
    for seed in random::seeds(40) {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path(), seed);
        for step in 0..150 {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.step()));
            assert!(result.is_ok(), "seed {seed}, step {step}");
        }
    }
}
