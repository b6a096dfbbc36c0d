//! A process that changes, marks and rewinds a file is killed, at random or at a named step. Whoever attaches next finds the old or the new
//! state of a rewind, and every mark exact.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod folder;
mod random;
#[cfg(feature = "fault")]
#[path = "../../core/tests/support/restart.rs"]
mod restart;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::ops::Deref;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dbrewind_volume::{AttachOptions, FileVolume, StoreSettings, Synchronous, Volume, VolumeStore};
use folder::{Folder, records};
use random::Random;

const FOLDER: &str = "DBREWIND_VOLUME_FOLDER";
const SEED: &str = "DBREWIND_VOLUME_SEED";
/// The child waits for the disk.
const SYNC: &str = "DBREWIND_VOLUME_SYNC";

static FORGOTTEN: AtomicU32 = AtomicU32::new(0);

/// Either kind of content.
enum Recorded {
    File(FileVolume),
    Records(Folder),
}

impl Deref for Recorded {
    type Target = Volume;

    fn deref(&self) -> &Volume {
        match self {
            Self::File(file) => file,
            Self::Records(records) => records,
        }
    }
}

impl Recorded {
    fn change(&self, random: &mut Random) {
        match self {
            Self::File(file) => {
                let mut change = file.begin().unwrap();
                for _ in 0..3 {
                    let at = random.below(6000);
                    match random.below(6) {
                        0 => change.set_len(at).unwrap(),
                        _ => {
                            let len = random.below(300);
                            change.write_at(at, &random.bytes(len)).unwrap();
                        }
                    }
                }
                change.commit().unwrap();
            }
            Self::Records(records) => {
                let held = records.begin();
                for _ in 0..6 {
                    let (key, len) = (random.below(40), random.below(5) * random.below(80));
                    let record = (random.below(3) > 0).then(|| random.bytes(len));
                    held.put(key, record.as_deref(), len % 2 == 0);
                }
                held.commit();
            }
        }
    }
}

fn attach(folder: &Path) -> Recorded {
    let store = VolumeStore::open(&folder.join("history"), &StoreSettings::default()).unwrap();
    let synchronous = match std::env::var_os(SYNC) {
        Some(_) => Synchronous::Normal,
        None => Synchronous::Off,
    };
    let options = AttachOptions { synchronous, ..AttachOptions::default() };
    if is_keyed(folder) {
        Recorded::Records(Folder::attach(&store, &folder.join("records"), &options).unwrap())
    } else {
        Recorded::File(FileVolume::attach(&store, "data", 64, &folder.join("data"), &options).unwrap())
    }
}

/// Whoever makes the folder decides.
fn is_keyed(folder: &Path) -> bool {
    folder.join("records").exists()
}

fn folder_of(keyed: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    if keyed {
        std::fs::create_dir(folder.path().join("records")).unwrap();
    }
    folder
}

fn hash(folder: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    if is_keyed(folder) {
        records(&folder.join("records")).hash(&mut hasher);
    } else {
        hasher.write(&std::fs::read(folder.join("data")).unwrap());
    }
    hasher.finish()
}

fn say(words: std::fmt::Arguments<'_>) {
    // One write, not through libtest's capture.
    let line = format!("> {words}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

/// What the processes that are killed do.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let seed: u64 = std::env::var(SEED).unwrap().parse().unwrap();
    let mut random = Random(seed);
    let file = attach(folder);
    let mut names: Vec<String> = file.marks().unwrap().into_iter().map(|mark| mark.name).collect();
    for round in 0..400 {
        file.change(&mut random);
        if random.below(3) == 0 {
            let name = format!("{seed}-{round}");
            say(format_args!("marking {name} {}", hash(folder)));
            file.mark(&name).unwrap();
            say(format_args!("marked {name}"));
            names.push(name);
        }
        if let Some(name) =
            names.get(random.below(names.len() as u64) as usize).filter(|_| random.below(2) == 0)
        {
            say(format_args!("rewinding {} {name}", hash(folder)));
            file.rewind(name.as_str()).unwrap();
            say(format_args!("rewound"));
        }
    }
    say(format_args!("done"));
}

fn start(folder: &Path, seed: u64, fault: Option<&str>) -> Child {
    start_with(folder, seed, fault, false)
}

fn start_with(folder: &Path, seed: u64, fault: Option<&str>, sync: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture"]).env(FOLDER, folder).env(SEED, seed.to_string());
    if let Some(fault) = fault {
        command.env("DBREWIND_STORE_FAULT", fault);
    }
    if sync {
        command.env(SYNC, "1");
    }
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// What is known of all that children said.
#[derive(Default)]
struct Known {
    marks: BTreeMap<String, u64>,
}

/// How a child ended.
#[derive(Debug, Default)]
struct End {
    rewinding: Option<(u64, String)>,
    done: bool,
    /// A mark that nobody heard of: it may be there or not; what it names was said.
    unsure: Option<(String, u64)>,
}

impl Known {
    fn listen(&mut self, child: &mut Child) -> End {
        let (mut end, mut marking) = (End::default(), None);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                [">", "marking", name, state] => marking = Some((name.to_owned(), state.parse().unwrap())),
                [">", "marked", _] => self.marks.extend(marking.take()),
                [">", "rewinding", from, name] => {
                    end.rewinding = Some((from.parse().unwrap(), name.to_owned()))
                }
                [">", "rewound"] => end.rewinding = None,
                [">", "done"] => end.done = true,
                _ => {}
            }
        }
        child.wait().unwrap();
        end.unsure = marking;
        end
    }

    fn check(&mut self, folder: &Path, end: &End, random: &mut Random, what: &str) {
        let file = attach(folder);
        if let Some((from, name)) = &end.rewinding {
            let now = hash(folder);
            // A mark of a child that nobody listened to may be any state.
            let new = self.marks.get(name).is_none_or(|state| now == *state);
            assert!(now == *from || new, "{what}: neither the old nor the new state");
        }
        let there: Vec<String> = file.marks().unwrap().into_iter().map(|mark| mark.name).collect();
        self.marks.extend(end.unsure.clone().filter(|(name, _)| there.contains(name)));
        assert!(self.marks.keys().all(|name| there.contains(name)), "{what}: a mark is gone");
        let before = hash(folder);
        file.mark(&format!("after {what}")).unwrap();
        for _ in 0..6 {
            let Some(name) = there.get(random.below(there.len() as u64) as usize) else { break };
            let Some(state) = self.marks.get(name) else { continue };
            file.rewind(name.as_str()).unwrap();
            assert_eq!(hash(folder), *state, "{what}: {name}");
        }
        file.rewind(format!("after {what}").as_str()).unwrap();
        assert_eq!(hash(folder), before, "{what}");
        file.drop_mark(&format!("after {what}")).unwrap();
        // As if killed: the next one decides by the registers, not by what this one notes.
        // What is forgotten stays open: not so often that there are no descriptors left.
        if random.below(2) == 0 && FORGOTTEN.fetch_add(1, Ordering::Relaxed) < 100 {
            std::mem::forget(file);
        }
    }
}

#[test]
fn killed_at_random() {
    for (seed, keyed) in random::seeds(3).flat_map(|seed| [(seed, false), (seed, true)]) {
        let folder = folder_of(keyed);
        let (mut known, mut random) = (Known::default(), Random(seed));
        for life in 0..15 {
            let mut child = start(folder.path(), seed * 1000 + life, None);
            std::thread::sleep(Duration::from_micros(3000 + random.below(40_000)));
            child.kill().unwrap();
            let end = known.listen(&mut child);
            known.check(folder.path(), &end, &mut random, &format!("seed {seed} life {life}"));
        }
        assert!(known.marks.len() > 3, "too little happened: {}", known.marks.len());
    }
}

/// Each step of `rust/docs/volumes.md`, and how often it may be passed before.
#[cfg(feature = "fault")]
#[test]
fn killed_at_each_step() {
    const PLACES: [&str; 13] = [
        "volume change: announced",
        "volume change: one saved",
        "volume commit: numbered",
        "volume commit: recorded",
        "volume rewind: one saved",
        "volume rewind: saved",
        "volume rewind: announced",
        "volume rewind: in flight",
        "volume rewind: one written",
        "volume rewind: written",
        "volume rewind: recorded",
        "volume rewind: done",
        "volume rewind: one written",
    ];
    for (seed, keyed) in random::seeds(2).zip([false, true].into_iter().cycle()) {
        let folder = folder_of(keyed);
        let (mut known, mut random) = (Known::default(), Random(seed));
        let mut lives = 0;
        for place in PLACES.iter().cycle().take(PLACES.len() * 4) {
            lives += 1;
            let fault = format!("{} {place}", 1 + random.below(12));
            let mut child = start(folder.path(), seed * 1000 + lives, Some(&fault));
            let end = known.listen(&mut child);
            assert!(!end.done, "{fault} was never passed");
            // Killed again while it is finished.
            if place.starts_with("volume rewind") && random.below(2) == 0 {
                let again = format!("{} volume rewind: one written", 1 + random.below(3));
                start(folder.path(), seed * 1000 + lives, Some(&again)).wait_with_output().unwrap();
                let _ =
                    start(folder.path(), 1, Some("1 volume change: announced")).wait_with_output().unwrap();
                // What the second child did after it was finished is not known.
                known.check(folder.path(), &End::default(), &mut random, &format!("{seed} {fault}, twice"));
                continue;
            }
            known.check(folder.path(), &end, &mut random, &format!("{seed} {fault}"));
        }
    }
}

/// The machine was started anew since: what is certain of the rewind is finished, and the history is not.
#[cfg(feature = "fault")]
#[test]
fn a_rewind_that_a_power_cut_ended_is_whole() {
    // Whether the content must be the target's.
    let places = [
        ("volume rewind: saved", false),
        ("volume rewind: announced", true),
        ("volume rewind: one written", true),
        ("volume rewind: written", true),
        ("volume rewind: recorded", true),
    ];
    for (seed, (place, finished)) in (1..).zip(places.into_iter().chain(places)) {
        let folder = folder_of(seed > 5);
        let mut known = Known::default();
        let mut child = start_with(folder.path(), seed, Some(&format!("3 {place}")), true);
        let end = known.listen(&mut child);
        let (from, name) = end.rewinding.unwrap_or_else(|| panic!("{place}: {}", end.done));
        restart::restart(&folder.path().join("history"));
        let file = attach(folder.path());
        let found = hash(folder.path());
        assert_eq!(found, if finished { known.marks[&name] } else { from }, "{place}");
        let error = file.rewind(name.as_str()).unwrap_err();
        assert_eq!(error.code(), dbrewind_volume::Code::MarkLost, "{place}");
    }
}

#[cfg(feature = "fault")]
#[test]
fn hazard_killed_between_the_boundary_of_an_era_and_the_era() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history");
    let window = |seconds| {
        let window = Some(Duration::from_secs(seconds));
        VolumeStore::open(&history, &StoreSettings { window, ..StoreSettings::default() }).unwrap()
    };
    // An era is due after a sixteenth of it.
    drop(window(1));
    start(folder.path(), 1, Some("1 volume change: announced")).wait_with_output().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let mut child = start(folder.path(), 1, Some("1 volume era: boundary moved"));
    let end = Known::default().listen(&mut child);
    assert!(!end.done, "no era was due");
    drop(window(3600));
    let file = attach(folder.path());
    let Recorded::File(file) = file else { panic!("it is a file") };
    let write = |byte: u8| {
        let mut change = file.begin().unwrap();
        change.write_at(0, &[byte; 64]).unwrap();
        change.commit().unwrap();
    };
    write(1);
    file.mark("m").unwrap();
    write(2);
    file.rewind("m").unwrap();
    assert_eq!(std::fs::read(folder.path().join("data")).unwrap()[..64], [1; 64]);
}

/// Whoever comes next finishes it, and nothing of it is left for a power cut that comes much later: that one may have taken the
/// commits made since.
#[cfg(feature = "fault")]
#[test]
fn hazard_a_rewind_that_was_announced_and_not_begun_is_left_over() {
    for seed in random::seeds(2) {
        let folder = tempfile::tempdir().unwrap();
        let mut known = Known::default();
        let mut child = start_with(folder.path(), seed, Some("3 volume rewind: announced"), true);
        let end = known.listen(&mut child);
        let (_, name) = end.rewinding.unwrap_or_else(|| panic!("never: {}", end.done));
        let file = attach(folder.path());
        assert_eq!(hash(folder.path()), known.marks[&name], "seed {seed}");
        assert!(!file.dirty_since(name.as_str()).unwrap());
    }
}
