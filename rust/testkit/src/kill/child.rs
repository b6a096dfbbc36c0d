use std::path::{Path, PathBuf};
use std::time::Duration;

use dbrewind_sqlite::{Database, Error, MarkState};
use serde::{Deserialize, Serialize};

use super::content::{Eye, change};
use super::event::{Event, Known, Marks, State, Step, say};
use super::neighbour;
use crate::peer::Peer;
use crate::protocol::{Goal, Recording};
use crate::recording::{attach, target};
use crate::seed::Rng;

/// What a child does until it is killed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Life {
    /// The database.
    pub path: PathBuf,
    /// Choices.
    pub seed: u64,
    /// Different for each child: part of the names it gives.
    pub number: u64,
    /// `wal`, `delete`, `truncate` or `persist`.
    pub journal: String,
    /// Bytes of WAL after which the recording checkpoints.
    pub wal_limit: Option<u64>,
    /// 0 off, 1 normal, 2 full.
    pub synchronous: u8,
    /// The same for the application's own connection.
    pub application: u8,
    /// Bytes of the store's first segment and of its longest; none: the default.
    pub segments: Option<(u64, u64)>,
    /// Most bytes of the store; none: the default.
    pub limit: Option<u64>,
    /// After so many steps it ends by itself; without, it goes on until it is killed.
    pub steps: Option<u64>,
    /// When the recording ends to begin again, somebody may write in between.
    pub interludes: bool,
    /// While the recording rests, another database may be recorded into the same store.
    pub neighbour: bool,
    /// Another process writes meanwhile.
    pub company: bool,
    /// Marks of the lives before, in JSON.
    pub marks: String,
}

struct Child {
    life: Life,
    rng: Rng,
    app: Peer,
    eye: Eye,
    database: Database,
    marks: Marks,
    count: u64,
    /// There was a neighbour, who may have left no room.
    crowded: bool,
}

/// A process that records, writes, marks and rewinds until it is killed, or for some steps.
pub fn record(life: Life) {
    let marks = serde_json::from_str(&life.marks).expect("marks");
    let database = open(&life);
    let app = connect(&life);
    let eye = Eye::new(Peer::thread("eye"), &life.path, life.journal == "wal");
    let mut child =
        Child { rng: Rng::new(life.seed), app, eye, database, marks, count: 0, crowded: false, life };
    list(&child.database);
    say(&Event::Ready);
    for _ in 0..child.life.steps.unwrap_or(u64::MAX) {
        child.step();
    }
}

/// A process that never heard of recording, and writes until it is killed.
pub fn write(life: &Life) -> ! {
    let mut rng = Rng::new(life.seed);
    let mut app = connect(life);
    say(&Event::Ready);
    for n in 0_u64.. {
        commit(&mut app, &mut rng, &format!("plain {} {n}", life.number));
        if rng.chance(3) {
            app.ask(crate::protocol::Request::Close).ok();
            app = connect(life);
        }
        std::thread::sleep(Duration::from_micros(rng.below(2000)));
    }
    unreachable!("killed before")
}

fn open(life: &Life) -> Database {
    begin(life).unwrap_or_else(|error| panic!("{}: {error}", error.code()))
}

fn begin(life: &Life) -> Result<Database, Error> {
    let recording = Recording {
        wal: life.journal == "wal",
        wal_limit: life.wal_limit,
        synchronous: life.synchronous,
        segments: life.segments,
        limit: life.limit,
        ..Recording::default()
    };
    attach(&life.path, &recording)
}

fn rows(database: &Database) -> Vec<Vec<String>> {
    database.marks().expect("marks").iter().map(crate::recording::row).collect()
}

fn list(database: &Database) {
    say(&Event::Listed(rows(database)));
}

fn connect(life: &Life) -> Peer {
    let mut app = Peer::thread("application");
    app.open(Path::new(&life.path), 20_000);
    if life.journal != "wal" {
        app.must(&format!("pragma journal_mode={}", life.journal));
    }
    app.must(&format!("pragma synchronous={}", life.application));
    if life.number.is_multiple_of(2) {
        // Transactions write pages before they commit.
        app.must("pragma cache_size=5");
    }
    app
}

fn commit(app: &mut Peer, rng: &mut Rng, head: &str) {
    match change(app, rng, head) {
        Ok(()) => {
            if rng.below(4) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            let step = Step::Commit(head.to_owned());
            say(&Event::Try(step.clone()));
            app.must("commit");
            say(&Event::Did(step, 0));
        }
        Err(refused) => assert!(refused.is_locked(), "{refused:?}"),
    }
}

impl Child {
    fn step(&mut self) {
        if self.life.interludes && self.rng.chance(4) {
            return self.reopen();
        }
        match self.rng.below(100) {
            0..55 => {
                self.count += 1;
                let head = format!("life {} {}", self.life.number, self.count);
                commit(&mut self.app, &mut self.rng, &head);
            }
            55..68 => self.mark(),
            68..86 => self.rewind(),
            86..88 => self.drop_mark(),
            88..90 => self.sql(Step::Rewrite, "vacuum"),
            90..93 => self.sql(Step::Quiet, "pragma wal_checkpoint(passive)"),
            93..96 => {
                say(&Event::Try(Step::Quiet));
                self.database.drain().expect("drain");
                say(&Event::Did(Step::Quiet, 0));
            }
            96..98 => self.reopen(),
            _ => {
                let size = self.rng.below(500_000);
                self.sql(Step::Quiet, &format!("begin; insert into t(v) values(zeroblob({size}))"));
                std::thread::sleep(Duration::from_millis(self.rng.below(3)));
                // None is open when the lock was not to be had.
                let _none = self.app.sql("rollback");
            }
        }
    }

    fn sql(&mut self, step: Step, sql: &str) {
        say(&Event::Try(step.clone()));
        let answer = self.app.sql(sql);
        assert!(
            !matches!(answer, crate::protocol::Answer::Failed { .. }) || answer.is_locked(),
            "{answer:?}"
        );
        if answer.is_locked() {
            let _none = self.app.sql("rollback");
        }
        say(&Event::Did(step, 0));
    }

    /// Keeps others from writing between looking and marking: a mark in WAL mode takes no lock.
    fn alone<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if !self.life.company {
            return Some(act(self));
        }
        if self.app.sql("begin immediate").is_locked() {
            return None;
        }
        let result = act(self);
        self.app.must("rollback");
        Some(result)
    }

    fn mark(&mut self) {
        self.count += 1;
        let name = format!("mark {} {}", self.life.number, self.count);
        self.alone(|child| {
            let state = child.eye.state();
            let step = Step::Mark(name.clone(), state.clone());
            say(&Event::Try(step.clone()));
            let mark = child.database.mark(&name).unwrap_or_else(|error| panic!("mark: {error}"));
            let lsn = mark.lsn.get();
            say(&Event::Did(step, lsn));
            child.marks.insert(name, Known { state, lsn: Some(lsn), lost: false });
        });
    }

    fn rewind(&mut self) {
        let listed = self.database.marks().expect("marks");
        let known: Vec<(String, State)> = listed
            .iter()
            .filter(|mark| !matches!(mark.state, MarkState::Lost | MarkState::Evicted))
            .filter_map(|mark| Some((mark.name.clone(), self.marks.get(&mark.name)?.state.clone())))
            .collect();
        if known.is_empty() {
            return;
        }
        let (name, goal) = self.rng.pick(&known).clone();
        // With company this state may be gone at once; the campaign does not rely on it then.
        let from = self.eye.state();
        let step = Step::Rewind(from, goal.clone());
        say(&Event::Try(step.clone()));
        match self.database.rewind(&target(&Goal::Name(name)), Some(Duration::from_secs(5))) {
            Ok(done) => say(&Event::Did(step, done.undo.get())),
            Err(error) => {
                let code = error.code().number();
                // Evicted since it was listed.
                let evicted = self.life.limit.is_some() && code == 27;
                assert!(evicted || self.life.company && code == 4, "rewind: {}: {error}", error.code());
                say(&Event::Refused);
                return;
            }
        }
        if !self.life.company {
            assert_eq!(self.eye.state(), goal, "state after a rewind");
        }
    }

    fn drop_mark(&mut self) {
        let listed = self.database.marks().expect("marks");
        if listed.len() < 12 {
            return;
        }
        let name = self.rng.pick(&listed).name.clone();
        say(&Event::Try(Step::Drop(name.clone())));
        self.database.drop_mark(&name).expect("drop");
        self.marks.remove(&name);
        say(&Event::Did(Step::Drop(name), 0));
    }

    fn reopen(&mut self) {
        say(&Event::Try(Step::Reopen));
        self.app.ask(crate::protocol::Request::Close).ok();
        let rows = rows(&self.database);
        self.database.close().expect("close");
        say(&Event::Rested(rows));
        if self.life.neighbour && self.rng.chance(50) {
            self.crowded = true;
            say(&Event::Crowded);
            neighbour::works(&self.life, &mut self.rng);
        }
        say(&Event::Roused);
        if self.life.interludes && self.rng.chance(60) {
            let mut plain = connect(&self.life);
            for n in 0..1 + self.rng.below(3) {
                self.count += 1;
                commit(&mut plain, &mut self.rng, &format!("plain {} {} {n}", self.life.number, self.count));
            }
        }
        self.database = match begin(&self.life) {
            Ok(database) => database,
            // Only a new era of the one that rested would make room, and there is none for it.
            Err(error) if self.crowded && error.code().number() == 10 => std::process::exit(0),
            Err(error) => panic!("{}: {error}", error.code()),
        };
        if self.life.limit.is_some() {
            // What may go does so before anything happens: after a power cut then marks are there, and are compared.
            std::thread::sleep(Duration::from_millis(200));
        }
        list(&self.database);
        self.app = connect(&self.life);
        say(&Event::Did(Step::Reopen, 0));
    }
}
