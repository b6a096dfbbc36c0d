use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::allowed::{Allowed, Syncs, events};
use super::disk::{Cut, Disk, Files};
use super::trace::{self, Entry, Op};
use crate::kill::Life;
use crate::kill::content::{Eye, SCHEMA, change, check};
use crate::kill::event::{Event, State, Step};
use crate::peer::Peer;
use crate::protocol::{Answer, Recording, Request};
use crate::seed::Rng;

/// What a campaign does.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many cuts.
    pub cuts: u64,
    /// Cuts of one recorded life.
    pub each: u64,
    /// Choices.
    pub seed: u64,
    /// The program that serves as peer and recorder.
    pub binary: PathBuf,
    /// Only this journal mode.
    pub journal: Option<String>,
    /// Most bytes of the store: small enough for lives in which its beginning is evicted.
    pub limit: Option<u64>,
    /// Tell each cut.
    pub verbose: bool,
}

/// What came of it.
#[derive(Debug, Default, Clone)]
pub struct Summary {
    /// Cuts examined.
    pub cuts: u64,
    /// Cuts in the midst of a rewind.
    pub in_rewind: u64,
    /// Cuts in the midst of a commit.
    pub in_commit: u64,
    /// Cuts while something was evicted.
    pub in_eviction: u64,
    /// Marks that were there afterwards.
    pub kept: u64,
    /// Marks that were refused afterwards.
    pub lost: u64,
    /// Marks that were listed as evicted.
    pub evicted: u64,
    /// Rewinds to kept marks, all compared.
    pub rewinds: u64,
    /// The same after cuts at rest: everything was on disk then, and no mark may be lost.
    pub kept_at_rest: u64,
    /// Cuts at rest while something was evicted for another database.
    pub in_eviction_at_rest: u64,
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, more: Self) {
        self.cuts += more.cuts;
        self.in_rewind += more.in_rewind;
        self.in_commit += more.in_commit;
        self.in_eviction += more.in_eviction;
        self.kept += more.kept;
        self.lost += more.lost;
        self.evicted += more.evicted;
        self.rewinds += more.rewinds;
        self.kept_at_rest += more.kept_at_rest;
        self.in_eviction_at_rest += more.in_eviction_at_rest;
    }
}

/// Cuts and examines.
///
/// # Panics
/// At the first thing that is not as it must be; prints how to run it again. Without a C compiler.
#[must_use]
pub fn run(options: &Options) -> Summary {
    let tools = TempDir::new().expect("folder");
    let library = compile(tools.path());
    let mut summary = Summary::default();
    let mut seed = options.seed;
    while summary.cuts < options.cuts {
        let mut scene = Scene::new(options, seed, &library);
        for number in 0..options.each.min(options.cuts - summary.cuts) {
            if let Err((cut, text)) = scene.cut(&mut summary) {
                scene.folder.disable_cleanup(std::env::var_os("DBREWIND_KEEP").is_some());
                panic!(
                    "cut {number} of seed {seed:#x} ({:?}): {text}\n{cut}\nin {}\nagain: --seed {seed:#x} --cuts {}",
                    scene.plan,
                    scene.folder.path().display(),
                    number + 1
                );
            }
            summary.cuts += 1;
        }
        seed += 1;
    }
    summary
}

/// The library that writes down what a process does.
fn compile(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("preload.c"), folder.join("preload.so"));
    fs::write(&source, include_str!("preload.c")).expect("source");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let done = Command::new(&compiler)
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .args(["-ldl", "-lpthread"])
        .status();
    assert!(done.is_ok_and(|status| status.success()), "{compiler} does not compile {}", source.display());
    library
}

#[derive(Debug)]
struct Plan {
    journal: String,
    page_size: u64,
    wal_limit: Option<u64>,
    synchronous: u8,
    application: u8,
    steps: u64,
    /// Sizes of segments.
    segments: Option<(u64, u64)>,
}

const NAME: &str = "app.db";

struct Scene<'a> {
    options: &'a Options,
    library: &'a Path,
    rng: Rng,
    plan: Plan,
    live: PathBuf,
    disk: Disk,
    events: Vec<(usize, Event)>,
    eye: Eye,
    folder: TempDir,
}

impl<'a> Scene<'a> {
    /// A life, from beginning to end.
    fn new(options: &'a Options, seed: u64, library: &'a Path) -> Self {
        let mut rng = Rng::new(seed);
        let journal = (*rng.pick(&["wal", "wal", "delete", "truncate", "persist"])).to_owned();
        let journal = options.journal.clone().unwrap_or(journal);
        let wal = journal == "wal";
        let plan = Plan {
            page_size: *rng.pick(&[512, 1024, 4096]),
            wal_limit: *rng.pick(&[None, Some(0), Some(40_000), Some(400_000)]),
            synchronous: *rng.pick(&[1, 2]),
            // With less SQLite promises no sound database in the rollback modes.
            application: if wal { *rng.pick(&[1, 2]) } else { 2 },
            steps: if options.limit.is_some() { 120 + rng.below(120) } else { 20 + rng.below(60) },
            segments: *rng.pick(&[
                None,
                Some((4 << 10, 16 << 10)),
                Some((16 << 10, 64 << 10)),
                Some((64 << 10, 64 << 10)),
            ]),
            journal,
        };
        let folder = TempDir::new().expect("folder");
        let live = folder.path().canonicalize().expect("folder").join("live");
        fs::create_dir_all(live.join("app.db-rewind")).expect("folder");
        let path = live.join(NAME);
        let mut creator = Peer::process("creator", &options.binary);
        creator.open(&path, 0);
        creator.must(&format!("pragma page_size={}; pragma journal_mode={}", plan.page_size, plan.journal));
        creator.must(SCHEMA);
        creator.ask(Request::Close).ok();
        let before = Files::from([(NAME.to_owned(), fs::read(&path).expect("database"))]);
        let life = Life {
            path: path.clone(),
            seed: rng.bits(),
            number: 0,
            journal: plan.journal.clone(),
            wal_limit: plan.wal_limit,
            synchronous: plan.synchronous,
            application: plan.application,
            steps: Some(plan.steps),
            interludes: true,
            neighbour: options.limit.is_some(),
            company: false,
            segments: plan.segments,
            limit: options.limit,
            marks: "{}".to_owned(),
        };
        let trace = folder.path().join("trace");
        let status = Command::new(&options.binary)
            .arg("record")
            .arg(serde_json::to_string(&life).expect("JSON"))
            .env("LD_PRELOAD", library)
            .env("CUT_FOLDER", &live)
            .env("CUT_TRACE", &trace)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .expect("child");
        assert!(status.success(), "the recorded life of seed {seed:#x} ended with {status}");
        let disk = Disk::new(before, trace::load(&trace).expect("trace"));
        let events = events(&disk.entries);
        fs::write(folder.path().join("boot"), format!("{:032x}\n", rng.bits())).expect("boot id");
        let eye = Eye::new(Peer::process("eye", &options.binary), &path, wal);
        Self { options, library, rng, plan, live, disk, events, eye, folder }
    }

    /// One cut of it. An error comes with what was cut.
    fn cut(&mut self, summary: &mut Summary) -> Result<(), (String, String)> {
        let at = self.moment();
        let cut = self.disk.cut(at, &mut self.rng, NAME);
        let syncs = Syncs {
            wal: self.plan.journal == "wal",
            deletes: self.plan.journal == "delete",
            application: self.plan.application,
            recording: self.plan.synchronous,
        };
        let allowed = Allowed::after(&self.events, at, syncs);
        match &allowed.last {
            Some(Event::Try(Step::Rewind(..))) => summary.in_rewind += 1,
            Some(Event::Try(Step::Commit(..))) => summary.in_commit += 1,
            _ => {}
        }
        let in_eviction = u64::from(self.evictions().any(|(from, to)| (from..=to).contains(&at)));
        summary.in_eviction += in_eviction;
        summary.in_eviction_at_rest += in_eviction * u64::from(allowed.rest.is_some());
        let told = format!("{} after {:?}", cut.told, allowed.last);
        if self.options.verbose {
            eprintln!("{told}");
        }
        self.lay_out(&cut);
        match self.examine(&cut, &allowed, summary) {
            // The other database took what room there was.
            Err(text) if allowed.crowded && text.contains("DBR010") => Ok(()),
            other => other.map_err(|text| (told, text)),
        }
    }

    /// Anywhere, in the midst of a rewind, where the recording ends, or while somebody else writes.
    fn moment(&mut self) -> usize {
        let mut evictions: Vec<_> = self.evictions().collect();
        let at_rest: Vec<_> = evictions.iter().copied().filter(|(from, _)| self.at_rest(*from)).collect();
        if !at_rest.is_empty() && self.rng.chance(60) {
            evictions = at_rest;
        }
        // Without a limit they are not what it is about.
        let share = if self.options.limit.is_some() { 65 } else { 15 };
        if !evictions.is_empty() && self.rng.chance(share) {
            let (from, to) = *self.rng.pick(&evictions);
            return from + self.rng.index(to - from + 1);
        }
        let mut rests: Vec<_> = self.rests().collect();
        if let Some((evicted, _)) = self.evictions().next() {
            rests.retain(|(_, to)| *to > evicted);
        }
        if !rests.is_empty() && self.rng.chance(30) {
            let (from, to) = *self.rng.pick(&rests);
            return from + self.rng.index(to - from + 1);
        }
        let choice = self.rng.below(10);
        let stretches = self.events.windows(2).filter(|pair| match pair[0].1 {
            Event::Try(Step::Rewind(..)) => choice < 3,
            // The recording has ended with all that it can tell.
            Event::Try(Step::Reopen) | Event::Rested(_) | Event::Crowded | Event::Roused => {
                matches!(choice, 3..=6)
            }
            Event::Did(Step::Commit(ref head), _) => choice == 7 && head.starts_with("plain"),
            _ => false,
        });
        let stretches: Vec<_> = stretches.map(|pair| (pair[0].0 + 1, pair[1].0 + 1)).collect();
        let first = self.disk.opened(NAME) + 1;
        let (from, to) = match stretches.is_empty() {
            true => (first, self.disk.entries.len()),
            false => *self.rng.pick(&stretches),
        };
        from + self.rng.index(to - from + 1)
    }

    /// Whether the recording has ended there, or has just begun again, with nothing that the cut could take.
    fn at_rest(&self, at: usize) -> bool {
        let last = self.events.iter().rfind(|(index, _)| *index < at);
        last.is_some_and(|(_, event)| matches!(event, Event::Rested(_) | Event::Crowded | Event::Roused))
    }

    /// Where nothing is recorded of the database, and nobody has it open.
    fn rests(&self) -> impl Iterator<Item = (usize, usize)> {
        let pairs =
            self.events.windows(2).filter(|pair| matches!(pair[0].1, Event::Rested(_) | Event::Crowded));
        pairs.map(|pair| (pair[0].0 + 1, pair[1].0))
    }

    /// From the first byte of the file that says where the log begins to some way past its new name, segment after segment goes.
    fn evictions(&self) -> impl Iterator<Item = (usize, usize)> {
        let entries = &self.disk.entries;
        let named = |entry: &Entry| entry.op == Op::Rename && entry.text().ends_with("/window");
        let renames = entries.iter().enumerate().filter(move |(_, entry)| named(entry));
        let first = self.disk.opened(NAME) + 1;
        let around = |(at, _): (usize, &Entry)| (at.saturating_sub(6), (at + 12).min(entries.len()));
        renames.map(around).filter(move |(from, _)| *from >= first)
    }

    /// Makes the folder what the disk is. The database stays the same file, as it would.
    fn lay_out(&self, cut: &Cut) {
        let store = self.live.join("app.db-rewind");
        let _gone = fs::remove_dir_all(&store);
        fs::create_dir(&store).expect("store");
        for entry in fs::read_dir(&self.live).expect("folder").map(|entry| entry.expect("entry").path()) {
            if entry.is_file() && !entry.ends_with(NAME) {
                fs::remove_file(entry).expect("removed");
            }
        }
        for (name, content) in &cut.files {
            let mut file = fs::File::create(self.live.join(name)).expect("file");
            let used = content.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
            file.write_all(&content[..used]).expect("written");
            file.set_len(content.len() as u64).expect("length");
        }
    }

    fn examine(&mut self, cut: &Cut, allowed: &Allowed, summary: &mut Summary) -> Result<(), String> {
        let path = self.live.join(NAME);
        let mut plain = Peer::process("plain", &self.options.binary);
        let mut recorder = self.recorder(cut);
        let recording_first = self.rng.chance(70);
        if recording_first {
            self.attach(&mut recorder)?;
        }
        match plain.open_as(&path, 10_000, None, true) {
            Answer::Done => {}
            other => return Err(format!("plain SQLite cannot open it: {other:?}")),
        }
        check(&mut plain)?;
        let found = self.eye.state();
        allowed.judge(&found)?;
        if !recording_first {
            plain.ask(Request::Close).ok();
            self.attach(&mut recorder)?;
            plain.open_as(&path, 10_000, None, true).ok();
        }
        if self.eye.state() != found {
            return Err("beginning to record has changed the state".to_owned());
        }
        let rows = match recorder.ask(Request::Marks) {
            Answer::Rows { rows } => rows,
            other => return Err(format!("marks: {other:?}")),
        };
        // Who reads alone takes away in WAL mode what tells, after a power cut, that nothing has happened.
        let certain = allowed.certain(&found).filter(|_| recording_first);
        self.all_there(certain.unwrap_or_default(), &rows)?;
        let kept = summary.kept;
        let mut goals: Vec<(Vec<String>, State)> = Vec::new();
        for row in rows {
            let state = allowed.mark(&row)?.clone();
            goals.push((row, state));
        }
        while !goals.is_empty() {
            let (row, state) = goals.swap_remove(self.rng.index(goals.len()));
            self.go(&mut plain, &mut recorder, &row, &state, summary)?;
        }
        summary.kept_at_rest += if certain.is_some() { summary.kept - kept } else { 0 };
        self.work_again(&mut recorder)?;
        // Closing would wait until the times have settled.
        recorder.kill();
        Ok(())
    }

    /// Each mark that was listed at rest is listed now, and none is lost that was not. Only where there is a limit may it be evicted.
    fn all_there(&self, rested: &[Vec<String>], rows: &[Vec<String>]) -> Result<(), String> {
        for before in rested {
            let now = rows.iter().find(|row| row[..2] == before[..2]);
            let state = now.map_or("not listed", |row| row[3].as_str());
            let may = match before[3].as_str() {
                "lost" => state == "lost" || state == "evicted",
                "evicted" => state == "evicted",
                _ => {
                    matches!(state, "hot" | "archived") || self.options.limit.is_some() && state == "evicted"
                }
            };
            if !may {
                return Err(format!("{before:?} was on disk with all it needs, and is {state}"));
            }
        }
        Ok(())
    }

    /// A process on the machine after its restart.
    fn recorder(&self, cut: &Cut) -> Peer {
        use std::os::unix::fs::MetadataExt;
        let inode = fs::metadata(self.live.join(NAME)).expect("database").ino();
        let [a, b, c, d] = cut.times;
        let times = format!("{inode} {a} {b} {c} {d}");
        let boot = self.folder.path().join("boot");
        let environment = [
            ("LD_PRELOAD", self.library.as_os_str()),
            ("CUT_BOOT", boot.as_os_str()),
            ("CUT_TIMES", OsStr::new(&times)),
        ];
        Peer::process_in("recorder", &self.options.binary, &environment)
    }

    /// Begins to record again. No power cut is a reason to refuse that.
    fn attach(&self, recorder: &mut Peer) -> Result<(), String> {
        let options = Recording {
            wal: self.plan.journal == "wal",
            wal_limit: self.plan.wal_limit,
            synchronous: self.plan.synchronous,
            segments: self.plan.segments,
            limit: self.options.limit,
            ..Recording::default()
        };
        match recorder.attach(&self.live.join(NAME), options) {
            Answer::Done => Ok(()),
            other => Err(format!("recording does not begin again: {other:?}")),
        }
    }

    fn go(
        &mut self,
        plain: &mut Peer,
        recorder: &mut Peer,
        row: &[String],
        state: &State,
        summary: &mut Summary,
    ) -> Result<(), String> {
        let (name, lost) = (row[0].clone(), row[3] == "lost");
        let before = self.eye.state();
        let answer = recorder.rewind(&name, 5000);
        let after = self.eye.state();
        match answer {
            Answer::Rewound { .. } if !lost && row[3] != "evicted" => {
                if after != *state {
                    return Err(format!("{name} is {state:?}, found {after:?}"));
                }
                check(plain)?;
                summary.kept += 1;
                summary.rewinds += 1;
            }
            other if row[3] == "evicted" && other.is_dbr(27) => {
                if before != after {
                    return Err(format!("a refused rewind changed {before:?} to {after:?}"));
                }
                summary.evicted += 1;
            }
            // The rewinds to other marks take room as well.
            other if self.options.limit.is_some() && other.is_dbr(27) && before == after => {}
            other if lost && other.is_dbr(11) => {
                if before != after {
                    return Err(format!("a refused rewind changed {before:?} to {after:?}"));
                }
                summary.lost += 1;
            }
            other if other.is_dbr(10) && after != before && after != *state => {
                return Err(format!("a rewind without room changed {before:?} to {after:?}"));
            }
            other => return Err(format!("{row:?}: {other:?}")),
        }
        Ok(())
    }

    /// Recording goes on as if nothing had been.
    fn work_again(&mut self, recorder: &mut Peer) -> Result<(), String> {
        let name = "after the cut".to_owned();
        let then = self.eye.state();
        match recorder.mark(&name) {
            Answer::Lsn { .. } => {}
            other => return Err(format!("a new mark: {other:?}")),
        }
        recorder.open(&self.live.join(NAME), 5000);
        change(recorder, &mut self.rng, "after").map_err(|refused| format!("a commit: {refused:?}"))?;
        recorder.must("commit");
        recorder.ask(Request::Close).ok();
        match recorder.rewind(&name, 5000) {
            Answer::Rewound { .. } => {}
            other => return Err(format!("back to where it began: {other:?}")),
        }
        let found = self.eye.state();
        if found == then { Ok(()) } else { Err(format!("it was {then:?}, found {found:?}")) }
    }
}
