use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::child::Life;
use super::content::{Eye, SCHEMA, change, check};
use super::event::{Event, Step};
use super::process::Process;
use super::verdict::Ledger;
use crate::peer::Peer;
use crate::protocol::{Answer, Goal, Recording, Request};
use crate::seed::Rng;

/// What a campaign does.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many kills.
    pub kills: u64,
    /// Choices.
    pub seed: u64,
    /// The program that serves as peer, recorder and writer.
    pub binary: PathBuf,
    /// Only this journal mode.
    pub journal: Option<String>,
    /// End lives at named fault points (needs a build with the feature `fault`), after passing the chosen one
    /// this many times at most.
    pub faults: Option<u64>,
    /// Tell each kill.
    pub verbose: bool,
}

/// What came of it.
#[derive(Debug, Default, Clone)]
pub struct Summary {
    /// Kills in the midst of a life.
    pub kills: u64,
    /// Kills in the midst of a rewind.
    pub in_rewind: u64,
    /// Kills in the midst of a commit.
    pub in_commit: u64,
    /// Marks that were there afterwards.
    pub kept: u64,
    /// Marks that were refused afterwards.
    pub lost: u64,
    /// Kept and lost when recording began again before anybody else came, in WAL mode without checkpoints.
    pub first_wal: (u64, u64),
    /// The same in the rollback modes.
    pub first_rollback: (u64, u64),
    /// Rewinds to kept marks, all compared.
    pub rewinds: u64,
    /// Fault points at which a life ended, by name.
    pub faults: BTreeMap<String, u64>,
    /// How many lives were to end there.
    pub tried: BTreeMap<String, u64>,
}

/// Kills and examines.
///
/// # Panics
/// At the first thing that is not as it must be; prints how to run it again.
#[must_use]
pub fn run(options: &Options) -> Summary {
    let mut summary = Summary::default();
    let mut seed = options.seed;
    while summary.kills < options.kills {
        let mut scene = Scene::new(options, seed);
        let lives = (options.kills - summary.kills).min(8);
        for number in 0..lives {
            if let Err(text) = scene.life(number, &mut summary) {
                panic!(
                    "life {number} of seed {seed:#x} ({:?}): {text}\n{}\nagain: --seed {seed:#x} --kills {lives}",
                    scene.plan,
                    scene.told()
                );
            }
            summary.kills += 1;
        }
        seed += 1;
    }
    summary
}

#[derive(Debug)]
struct Plan {
    journal: String,
    page_size: u64,
    wal_limit: Option<u64>,
    synchronous: u8,
    segments: Option<(u64, u64)>,
    company: bool,
}

struct Scene<'a> {
    options: &'a Options,
    rng: Rng,
    plan: Plan,
    ledger: Ledger,
    path: PathBuf,
    eye: Eye,
    told: Vec<String>,
    folder: TempDir,
}

/// Who comes first after a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    /// The recording.
    Recording,
    /// A plain program that stays connected.
    Plain,
    /// A plain program that closes, and checkpoints in doing so.
    PlainCloses,
    /// A plain program that writes.
    PlainWrites,
}

impl<'a> Scene<'a> {
    fn new(options: &'a Options, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let journal = (*rng.pick(&["wal", "wal", "delete", "truncate", "persist"])).to_owned();
        let journal = options.journal.clone().unwrap_or(journal);
        let plan = Plan {
            company: journal == "wal" && rng.chance(35),
            journal,
            page_size: *rng.pick(&[512, 1024, 4096, 4096, 16384]),
            wal_limit: *rng.pick(&[None, Some(0), Some(40_000), Some(400_000)]),
            synchronous: *rng.pick(&[0, 1, 1, 2]),
            segments: *rng.pick(&[None, Some((32 << 10, 32 << 10)), Some((32 << 10, 256 << 10))]),
        };
        let folder = TempDir::new().expect("folder");
        let path = folder.path().join("app.db");
        let mut creator = Peer::process("creator", &options.binary);
        creator.open(&path, 0);
        creator.must(&format!("pragma page_size={}; pragma journal_mode={}", plan.page_size, plan.journal));
        creator.must(SCHEMA);
        creator.ask(Request::Close).ok();
        let eye = Eye::new(Peer::process("eye", &options.binary), &path, plan.journal == "wal");
        Self { eye, options, rng, plan, ledger: Ledger::new(), path, told: Vec::new(), folder }
    }

    fn told(&self) -> String {
        let from = self.told.len().saturating_sub(40);
        self.told[from..].iter().fold(String::new(), |mut all, line| {
            let _infallible = writeln!(all, "  {line:.300}");
            all
        })
    }

    fn life(&mut self, number: u64, summary: &mut Summary) -> Result<(), String> {
        let life = Life {
            path: self.path.clone(),
            seed: self.rng.bits(),
            number,
            journal: self.plan.journal.clone(),
            wal_limit: self.plan.wal_limit,
            synchronous: self.plan.synchronous,
            segments: self.plan.segments,
            limit: None,
            application: 0,
            steps: None,
            interludes: false,
            neighbour: false,
            company: self.plan.company,
            marks: serde_json::to_string(&self.ledger.marks).expect("JSON"),
        };
        let fault = self.fault(summary);
        let mut victim = Process::spawn(self.options, "record", &life, fault.as_deref());
        // Some are killed while they begin to record.
        if self.rng.chance(8) {
            std::thread::sleep(Duration::from_micros(self.rng.below(20_000)));
        } else {
            victim.wait_until_ready()?;
        }
        let mut writer = self.plan.company.then(|| Process::spawn(self.options, "write", &life, None));
        self.wait_for_the_moment(&mut victim);
        let writer_first = self.rng.chance(20);
        if let Some(writer) = writer.as_mut().filter(|_| writer_first) {
            writer.kill();
            std::thread::sleep(Duration::from_micros(self.rng.below(3000)));
        }
        victim.kill();
        let ended = victim.rest();
        self.tell(number, &victim);
        ended?;
        if let Some(writer) = &mut writer {
            if !writer_first {
                writer.must_go_on()?;
                writer.kill();
            }
            writer.rest()?;
            self.ledger.read(&writer.events, true)?;
        }
        match victim.events.last() {
            Some(Event::Try(Step::Rewind(..))) => summary.in_rewind += 1,
            Some(Event::Try(Step::Commit(..))) => summary.in_commit += 1,
            _ => {}
        }
        for name in &victim.places {
            summary.faults.entry(name.clone()).or_default();
        }
        if let Some(name) = &victim.fault {
            *summary.faults.entry(name.clone()).or_default() += 1;
        }
        self.ledger.read(&victim.events, self.plan.company)?;
        if self.options.verbose {
            eprintln!("{:?} {:?}", self.plan, victim.events.last());
        }
        self.examine(summary)
    }

    fn tell(&mut self, number: u64, victim: &Process) {
        self.told.push(format!(
            "life {number}, ended after {} events at {:?}:",
            victim.events.len(),
            victim.fault
        ));
        let from = victim.events.len().saturating_sub(12);
        self.told.extend(victim.events[from..].iter().map(|event| format!("  {event:?}")));
    }

    /// Where to end by itself, if this campaign is about that: anywhere, or at a place met before.
    fn fault(&mut self, summary: &mut Summary) -> Option<String> {
        let most = self.options.faults?;
        let Summary { faults, tried, .. } = summary;
        // A scene may never come by a place: others have their turn then.
        let turn = |name: &String, ended: u64| (ended, tried.get(name).copied().unwrap_or(0));
        let met = faults.iter().filter(|(name, _)| self.is_met(name));
        let next = met.min_by_key(|(name, ended)| turn(name, **ended)).map(|(name, _)| name.clone());
        let Some(name) = next.filter(|_| !self.rng.chance(15)) else { return Some("0".to_owned()) };
        let count = 1 + self.rng.below(most);
        let place = format!("{count} {name}");
        *tried.entry(name).or_default() += 1;
        Some(place)
    }

    /// Whether this kind of database comes by a fault point.
    fn is_met(&self, name: &str) -> bool {
        name.starts_with("wal") == (self.plan.journal == "wal") || name.starts_with("store")
    }

    fn wait_for_the_moment(&mut self, victim: &mut Process) {
        if self.options.faults.is_some() {
            // A place that this life does not come by ends it by the kill.
            victim.wait_for(|_| false, Duration::from_millis(700));
            return;
        }
        let pause = Duration::from_micros(self.rng.below(3000));
        match self.rng.below(4) {
            0 => std::thread::sleep(Duration::from_micros(self.rng.below(120_000))),
            kind => {
                let mut skip = self.rng.below(6);
                let wanted = |event: &Event| {
                    let Event::Try(step) = event else { return false };
                    let right = match kind {
                        1 => matches!(step, Step::Rewind(..)),
                        2 => matches!(step, Step::Commit(..)),
                        _ => !matches!(step, Step::Rewind(..) | Step::Commit(..)),
                    };
                    let now = right && skip == 0;
                    skip = skip.saturating_sub(u64::from(right));
                    now
                };
                victim.wait_for(wanted, Duration::from_secs(5));
                let until = Instant::now() + pause;
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
            }
        }
    }

    fn examine(&mut self, summary: &mut Summary) -> Result<(), String> {
        let wal = self.plan.journal == "wal";
        let first = *self.rng.pick(&[
            First::Recording,
            First::Recording,
            First::Plain,
            First::PlainCloses,
            First::PlainWrites,
        ]);
        self.told.push(format!("examined: {first:?} first"));
        let mut plain = Peer::process("plain", &self.options.binary);
        let mut recorder = Peer::process("recorder", &self.options.binary);
        if first == First::Recording {
            self.attach(&mut recorder)?;
        }
        self.look(&mut plain)?;
        match first {
            First::PlainCloses => drop(plain.ask(Request::Close)),
            First::PlainWrites => self.commit(&mut plain, "after")?,
            First::Recording | First::Plain => {}
        }
        if first != First::Recording {
            self.attach(&mut recorder)?;
        }
        if first == First::PlainCloses {
            self.connect(&mut plain)?;
        }
        let rows = match recorder.ask(Request::Marks) {
            Answer::Rows { rows } => rows,
            other => return Err(format!("marks: {other:?}")),
        };
        let (kept, lost) = self.ledger.compare(&rows)?;
        self.told.push(format!("{kept} kept, {lost} lost by this"));
        summary.kept += kept as u64;
        summary.lost += lost as u64;
        // Company checkpoints once the freeze is gone; our own checkpoint leaves times that must settle first.
        let undisturbed = !self.plan.company && self.plan.wal_limit.is_none();
        if first == First::Recording && (!wal || undisturbed) {
            let counts = if wal { &mut summary.first_wal } else { &mut summary.first_rollback };
            counts.0 += kept as u64;
            counts.1 += lost as u64;
        }
        summary.rewinds += self.go_everywhere(&mut plain, &mut recorder)?;
        self.work_again(&mut plain, &mut recorder)?;
        let found = self.eye.state();
        self.ledger.settle(found);
        if self.rng.chance(30) {
            recorder.kill();
        } else {
            let answer = recorder.ask(Request::Detach);
            if answer != Answer::Done {
                return Err(format!("closing: {answer:?}"));
            }
        }
        Ok(())
    }

    fn attach(&mut self, recorder: &mut Peer) -> Result<(), String> {
        let options = Recording {
            wal: self.plan.journal == "wal",
            wal_limit: self.plan.wal_limit,
            synchronous: self.plan.synchronous,
            segments: self.plan.segments,
            ..Recording::default()
        };
        match recorder.attach(&self.path, options) {
            Answer::Done => Ok(()),
            other => Err(format!("recording does not begin again: {other:?}")),
        }
    }

    fn connect(&mut self, plain: &mut Peer) -> Result<(), String> {
        match plain.open_as(&self.path, 10_000, None, false) {
            Answer::Done => Ok(()),
            other => Err(format!("plain SQLite cannot open it: {other:?}")),
        }
    }

    /// Plain SQLite finds a sound database in a possible state, and may write at once.
    fn look(&mut self, plain: &mut Peer) -> Result<(), String> {
        self.connect(plain)?;
        check(plain)?;
        let found = self.eye.state();
        self.ledger.judge(&found, self.plan.company)?;
        self.ledger.settle(found);
        match plain.sql("begin immediate; rollback") {
            Answer::Rows { .. } => Ok(()),
            other => Err(format!("the next writer is blocked: {other:?}")),
        }
    }

    fn commit(&mut self, peer: &mut Peer, what: &str) -> Result<(), String> {
        let head = format!("{what} {:x}", self.rng.bits());
        change(peer, &mut self.rng, &head).map_err(|refused| format!("{what}: {refused:?}"))?;
        match peer.sql("commit") {
            Answer::Rows { .. } => {}
            other => return Err(format!("{what}: {other:?}")),
        }
        let found = self.eye.state();
        self.ledger.settle(found);
        Ok(())
    }

    /// Every kept mark is right, every lost one is refused.
    fn go_everywhere(&mut self, plain: &mut Peer, recorder: &mut Peer) -> Result<u64, String> {
        let mut count = 0;
        let marks: Vec<_> = self.ledger.marks.clone().into_iter().collect();
        let mut goals: Vec<_> = marks
            .into_iter()
            .map(|(name, known)| (Goal::Name(name), known))
            .chain(self.ledger.left.iter().filter_map(|known| Some((Goal::Lsn(known.lsn?), known.clone()))))
            .collect();
        while goals.len() > 10 {
            let at = self.rng.index(goals.len());
            goals.swap_remove(at);
        }
        for (goal, known) in goals {
            let before = self.eye.state();
            let answer = recorder.ask(Request::Rewind { to: goal.clone(), timeout: 5000 });
            let after = self.eye.state();
            self.told.push(format!("{goal:?} -> {answer:?}"));
            let by_name = matches!(goal, Goal::Name(_));
            match answer {
                Answer::Rewound { .. } if !known.lost => {
                    count += 1;
                    if after != known.state {
                        return Err(format!("{goal:?} is {:?}, found {after:?}", known.state));
                    }
                    check(plain)?;
                }
                // A moment without a mark may have gone with an interruption that no mark tells of.
                other if (known.lost || !by_name) && other.is_dbr(11) => {
                    if before != after {
                        return Err(format!("a refused rewind changed {before:?} to {after:?}"));
                    }
                }
                other => return Err(format!("{goal:?} (lost: {}): {other:?}", known.lost)),
            }
        }
        Ok(count)
    }

    /// Recording goes on as if nothing had been.
    fn work_again(&mut self, plain: &mut Peer, recorder: &mut Peer) -> Result<(), String> {
        let name = format!("again {:x}", self.rng.bits());
        let then = self.eye.state();
        let lsn = match recorder.mark(&name) {
            Answer::Lsn { lsn } => lsn,
            other => return Err(format!("a new mark: {other:?}")),
        };
        let known = super::event::Known { state: then.clone(), lsn: Some(lsn), lost: false };
        self.ledger.marks.insert(name.clone(), known);
        if self.plan.journal == "wal" {
            self.commit(plain, "again")?;
        } else {
            // Only a program that records may write here: the recorder's own connection.
            recorder.open(&self.path, 5000);
            recorder.must("pragma synchronous=off");
            self.commit(recorder, "again")?;
            recorder.ask(Request::Close).ok();
        }
        let answer = recorder.rewind(&name, 5000);
        if !matches!(answer, Answer::Rewound { .. }) {
            return Err(format!("back to {name}: {answer:?}"));
        }
        let found = self.eye.state();
        if found != then {
            return Err(format!("{name} was {then:?}, found {found:?}"));
        }
        Ok(())
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("DBREWIND_KEEP").is_some() {
            self.folder.disable_cleanup(true);
            eprintln!("kept: {}", self.folder.path().display());
        }
    }
}
