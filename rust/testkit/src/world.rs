//! A recorded database, its connections, and what a model knows about its past.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::image::Image;
use crate::peer::Peer;
use crate::protocol::{Answer, Goal, Recording, Request};
use crate::seed::Rng;

/// How the databases of a world are set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// `wal`, or a rollback mode that each connection sets; as it is now.
    pub journal: &'static str,
    /// The rollback mode, also while the journal is a WAL.
    pub rollback: &'static str,
    /// Whether the journal mode changes on the way.
    pub switches: bool,
    /// Bytes per page.
    pub page_size: u64,
    /// 0 none, 1 full, 2 incremental.
    pub auto_vacuum: u64,
    /// Bytes of WAL after which the recording checkpoints.
    pub wal_limit: Option<u64>,
    /// 0 off, 1 normal, 2 full: the recording's.
    pub synchronous: u8,
    /// Bytes of the store's first segment and of its longest; none: the default.
    pub segments: Option<(u64, u64)>,
    /// Whether a second process records, too.
    pub two_recorders: bool,
    /// Whether Python's SQLite is one of the peers.
    pub python: bool,
    /// Whether each commit of a rollback mode can be gone to.
    pub commits: bool,
}

impl Setup {
    /// A random one, in WAL mode or in a rollback mode.
    pub fn random(rng: &mut Rng, wal: bool) -> Self {
        let rollback = *rng.pick(&["delete", "truncate", "persist", "memory"]);
        Self {
            journal: if wal { "wal" } else { rollback },
            rollback,
            switches: rng.chance(50),
            page_size: *rng.pick(&[512, 1024, 4096, 4096, 4096, 8192, 16384, 65536]),
            auto_vacuum: rng.below(3),
            wal_limit: *rng.pick(&[None, Some(0), Some(64 << 10), Some(256 << 10)]),
            synchronous: *rng.pick(&[0, 0, 1, 2]),
            segments: *rng.pick(&[None, Some((128 << 10, 128 << 10)), Some((128 << 10, 1 << 20))]),
            two_recorders: rng.chance(40),
            python: rng.chance(25),
            commits: rng.chance(40),
        }
    }

    /// True for WAL mode.
    #[must_use]
    pub fn is_wal(&self) -> bool {
        self.journal == "wal"
    }

    pub(crate) fn recording(&self) -> Recording {
        Recording {
            wal: self.is_wal(),
            wal_limit: self.wal_limit,
            synchronous: self.synchronous,
            segments: self.segments,
            commits: self.commits,
            ..Recording::default()
        }
    }
}

/// A recorded moment, as the model knows it.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Its number.
    pub lsn: u64,
    /// Every page at that moment.
    pub image: Image,
    /// Recorded in WAL mode, in which every commit can be gone to.
    pub wal: bool,
    /// Recording was interrupted since: a rewind to it must be refused.
    pub lost: bool,
    /// A rewind left it, or it is a commit that is kept: going back there is promised in every mode.
    pub left: bool,
    /// A time, in nanoseconds since 1970, at which it was the newest one and marked.
    pub time: Option<u64>,
}

/// What a peer has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Busy {
    /// Nothing.
    No,
    /// A half-read cursor.
    Reads,
    /// A transaction that has written.
    Writes,
}

/// A peer, and what is known of it.
pub struct Member {
    /// The peer.
    pub peer: Peer,
    /// Whether its writes are recorded in rollback modes.
    pub shimmed: bool,
    /// Python: compared by pages, never half-closed.
    pub python: bool,
    /// What it has open.
    pub busy: Busy,
}

/// One recorded file.
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// Who records it: the first in this process, others in processes of their own.
    pub recorders: Vec<Peer>,
    /// Moments by the order in which they were noted.
    pub moments: Vec<Moment>,
    /// Marks by name: index of the moment.
    pub marks: BTreeMap<String, usize>,
    /// The highest schema cookie seen.
    pub cookie: u32,
    /// Bytes per page when the history began.
    pub block: usize,
}

/// Everything a model test has in hand.
pub struct World {
    /// Choices.
    pub rng: Rng,
    /// How it was set up.
    pub setup: Setup,
    /// The databases: `main`, and one that is attached as `s`.
    pub files: Vec<File>,
    /// Connections to the first database.
    pub members: Vec<Member>,
    /// What happened, for the report of a failure.
    pub history: Vec<String>,
    reader: Peer,
    pub(crate) scratch: TempDir,
    seed: u64,
}

impl World {
    /// Creates the databases, starts recording and connects everybody.
    ///
    /// `binary` is the program that serves peers in other processes.
    #[must_use]
    pub fn new(seed: u64, wal: bool, binary: &Path) -> Self {
        let mut rng = Rng::new(seed);
        let setup = Setup::random(&mut rng, wal);
        let scratch = TempDir::new().expect("scratch folder");
        let mut files = Vec::new();
        for name in ["main.db", "second.db"] {
            let path = scratch.path().join(name);
            create(&path, &setup);
            let mut recorders = vec![Peer::thread("recorder")];
            if setup.two_recorders {
                recorders.push(Peer::process("recording process", binary));
            }
            for recorder in &mut recorders {
                attach(recorder, &path, &setup.recording()).ok();
            }
            let block = usize::try_from(setup.page_size).expect("a page size");
            files.push(File {
                path,
                recorders,
                moments: Vec::new(),
                marks: BTreeMap::new(),
                cookie: 0,
                block,
            });
        }
        let mut members = Vec::new();
        for n in 0..2 {
            members.push((Peer::thread(&format!("thread {n}")), true));
        }
        members.push((Peer::process("plain process", binary), false));
        if setup.python {
            members.extend(Peer::python("python").map(|peer| (peer, false)));
        }
        let members = members
            .into_iter()
            .map(|(peer, shimmed)| Member { python: peer.name == "python", peer, shimmed, busy: Busy::No })
            .collect();
        let mut world = Self {
            rng,
            setup,
            files,
            members,
            history: Vec::new(),
            reader: Peer::thread("reader"),
            scratch,
            seed,
        };
        for index in 0..world.members.len() {
            world.connect(index);
        }
        world
    }

    /// Adds a line to the history.
    pub fn note(&mut self, line: impl Into<String>) {
        self.history.push(line.into());
    }

    /// Opens a member's connection.
    pub fn connect(&mut self, index: usize) {
        let (path, second) = (self.files[0].path.clone(), self.files[1].path.clone());
        let journal = self.setup.journal;
        let member = &mut self.members[index];
        member.peer.open(&path, 5000);
        member.peer.must(&format!("attach '{}' as s", second.display()));
        // Sorting and statistics differ between versions of SQLite; the pages must not.
        if journal != "wal" {
            member.peer.must(&format!("pragma main.journal_mode={journal}; pragma s.journal_mode={journal}"));
        }
        member.peer.must("pragma synchronous=off");
        member.busy = Busy::No;
    }

    /// Starts recording again, with everybody who recorded.
    pub fn attach_again(&mut self) {
        let recording = self.setup.recording();
        for file in &mut self.files {
            for recorder in &mut file.recorders {
                attach(recorder, &file.path, &recording).ok();
            }
        }
    }

    /// Starts recording again with everybody but the first recorder of each file.
    pub(crate) fn attach_others(&mut self) {
        let recording = self.setup.recording();
        for file in &mut self.files {
            for recorder in file.recorders.iter_mut().skip(1) {
                attach(recorder, &file.path, &recording).ok();
            }
        }
    }

    /// The database as a connection sees it that was opened just now.
    #[track_caller]
    pub fn image(&mut self, file: usize) -> Image {
        let path = self.files[file].path.clone();
        self.reader.open_as(&path, 5000, None, true).ok();
        let image = dump(&mut self.reader, self.scratch.path());
        self.reader.ask(Request::Close).ok();
        let cookie = &mut self.files[file].cookie;
        *cookie = (*cookie).max(image.cookie);
        image
    }

    /// What `integrity_check` answers a connection that was opened just now.
    ///
    /// In one that stays connected SQLite compares full text tables with what it remembered of them at its last
    /// check, and reports what others wrote since (3.51, with or without us).
    pub fn integrity(&mut self, file: usize) -> Vec<Vec<String>> {
        let path = self.files[file].path.clone();
        self.reader.open_as(&path, 5000, None, true).ok();
        let found = self.reader.must("pragma integrity_check");
        self.reader.ask(Request::Close).ok();
        found
    }

    /// The database as a member sees it that was connected all the time.
    pub fn image_of(&mut self, member: usize) -> Image {
        dump(&mut self.members[member].peer, self.scratch.path())
    }

    /// Members with nothing open, or nobody.
    #[must_use]
    pub fn idle(&self) -> Vec<usize> {
        (0..self.members.len()).filter(|&index| self.members[index].busy == Busy::No).collect()
    }

    /// Whether somebody has this open.
    #[must_use]
    pub fn anybody(&self, busy: Busy) -> bool {
        self.members.iter().any(|member| member.busy == busy)
    }

    /// Asks one of a file's recorders.
    pub fn record(&mut self, file: usize, recorder: usize, request: Request) -> Answer {
        let line = format!("{} of file {file}: {request:?}", self.files[file].recorders[recorder].name);
        let answer = self.files[file].recorders[recorder].ask(request);
        self.note(format!("{line} -> {answer:?}"));
        answer
    }

    /// A random recorder of a file.
    pub fn any_recorder(&mut self, file: usize) -> usize {
        let count = self.files[file].recorders.len();
        self.rng.index(count)
    }

    /// The listing must be what the model says; newly lost marks make everything before them lost.
    #[track_caller]
    pub fn compare_marks(&mut self, file: usize, loss_allowed: bool) {
        let recorder = self.any_recorder(file);
        let rows = self.files[file].recorders[recorder].ask(Request::Marks).rows();
        let found: BTreeMap<&str, (&str, &str)> =
            rows.iter().map(|row| (row[0].as_str(), (row[1].as_str(), row[3].as_str()))).collect();
        let expected: Vec<&String> = self.files[file].marks.keys().collect();
        assert_eq!(
            found.keys().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
            expected.into_iter().cloned().collect::<Vec<_>>(),
            "names of the marks"
        );
        let mut lost = false;
        for (name, &index) in &self.files[file].marks {
            let moment = &self.files[file].moments[index];
            let (lsn, state) = found[name.as_str()];
            // Under another page size the history has other numbers.
            assert!(moment.lost || lsn == moment.lsn.to_string(), "LSN of mark {name}: {lsn}");
            assert!(state == "lost" || !moment.lost, "mark {name} is lost, but listed as {state}");
            assert!(state != "lost" || moment.lost || loss_allowed, "mark {name} must not be lost");
            lost |= state == "lost" && !moment.lost;
        }
        if lost {
            self.note(format!("file {file}: every moment up to now is lost"));
            for moment in &mut self.files[file].moments {
                moment.lost = true;
            }
        }
    }

    /// Where to go, in words of the protocol.
    #[must_use]
    pub fn goal_of(&self, file: usize, moment: usize, by_name: bool) -> Goal {
        let name = self.files[file].marks.iter().find(|(_, index)| **index == moment).map(|(name, _)| name);
        match name {
            Some(name) if by_name => Goal::Name(name.clone()),
            _ => Goal::Lsn(self.files[file].moments[moment].lsn),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let mut report = format!(
            "\n--- seed {:#x}, {:?}\n--- again: DBREWIND_SEED={:#x} DBREWIND_WORLDS=1\n",
            self.seed, self.setup, self.seed
        );
        let shown = self.history.len().saturating_sub(60);
        for line in &self.history[shown..] {
            let _infallible = writeln!(report, "  {line:.400}");
        }
        if std::env::var_os("DBREWIND_KEEP").is_some() {
            self.scratch.disable_cleanup(true);
            let _infallible = writeln!(report, "--- kept: {}", self.scratch.path().display());
        }
        eprintln!("{report}");
    }
}

fn create(path: &Path, setup: &Setup) {
    let mut creator = Peer::thread("creator");
    creator.open(path, 0);
    creator.must(&format!("pragma page_size={}; pragma auto_vacuum={}", setup.page_size, setup.auto_vacuum));
    creator.must("create table x(id integer primary key, b); insert into x(b) values('first')");
}

fn attach(recorder: &mut Peer, path: &Path, options: &Recording) -> Answer {
    let path = path.to_str().expect("UTF-8").to_owned();
    recorder.ask(Request::Attach { path, options: options.clone() })
}

fn dump(peer: &mut Peer, scratch: &Path) -> Image {
    let file = scratch.join("pages");
    let name = file.to_str().expect("UTF-8").to_owned();
    match peer.ask(Request::Image { dump: Some(name) }) {
        Answer::Pages { page_size, cookie, .. } => Image { cookie, ..Image::load(&file, page_size) },
        other => panic!("{} cannot read the pages: {other:?}", peer.name),
    }
}
