//! The model test's rounds: random work, random marks and rewinds, each predicted and compared.

use std::path::Path;

use dbrewind_sqlite::Timestamp;

use crate::image::Image;
use crate::protocol::{Answer, Goal, Request};
use crate::workload::{MIXTURE, Schema, Work, sql};
use crate::world::{Busy, Moment, World};

/// Runs one world for some rounds.
///
/// # Panics
/// When anything is not as the model says; prints seed and history.
pub fn run(seed: u64, wal: bool, rounds: u64, binary: &Path) {
    let mut world = World::new(seed, wal, binary);
    for round in 0..rounds {
        world.note(format!("round {round}"));
        world.stir();
        for _ in 0..world.rng.below(4) {
            world.work();
        }
        world.act();
        world.compare();
    }
}

impl World {
    /// Opens and ends cursors and transactions, connects and disconnects.
    fn stir(&mut self) {
        let index = self.rng.index(self.members.len());
        let may_write = self.setup.is_wal() || self.members[index].shimmed;
        match self.members[index].busy {
            Busy::Reads => {
                self.note(format!("{} ends its cursor", self.members[index].peer.name));
                self.end(index);
            }
            Busy::Writes => {
                let how = *self.rng.pick(&["commit", "rollback"]);
                self.note(format!("{}: {how}", self.members[index].peer.name));
                // With readers around a commit in a rollback mode is refused: the transaction stays open.
                if self.members[index].peer.sql(how).is_locked() {
                    self.members[index].peer.must("rollback");
                }
                self.members[index].busy = Busy::No;
            }
            Busy::No => match self.rng.below(12) {
                0 => {
                    let sql = "select type, name, sql, rowid from sqlite_schema order by rowid";
                    let asked = Request::Cursor { sql: sql.to_owned() };
                    let answer = self.members[index].peer.ask(asked);
                    self.note(format!(
                        "{} leaves a cursor half read: {answer:?}",
                        self.members[index].peer.name
                    ));
                    if answer == Answer::Done {
                        self.members[index].busy = Busy::Reads;
                    }
                }
                1 if may_write => {
                    let answer = self.members[index]
                        .peer
                        .sql("pragma busy_timeout=0; begin immediate; insert into x(b) values('open')");
                    self.note(format!(
                        "{} leaves a transaction open: {answer:?}",
                        self.members[index].peer.name
                    ));
                    if answer.is_locked() {
                        let _none = self.members[index].peer.sql("rollback");
                    } else {
                        answer.ok();
                        self.members[index].busy = Busy::Writes;
                    }
                }
                2 if !self.anybody(Busy::Writes) => {
                    self.note(format!("{} connects again", self.members[index].peer.name));
                    self.members[index].peer.ask(Request::Close).ok();
                    self.connect(index);
                }
                _ => {}
            },
        }
    }

    /// Ends a member's cursor, which must have seen one state from its first row to its last.
    fn end(&mut self, index: usize) {
        let answer = self.members[index].peer.ask(Request::EndCursor);
        assert_eq!(answer, Answer::Done, "{}: a reader's snapshot", self.members[index].peer.name);
        self.members[index].busy = Busy::No;
    }

    /// One step of work by somebody.
    pub(crate) fn work(&mut self) {
        let (wal, idle) = (self.setup.is_wal(), self.idle());
        let writers: Vec<usize> = idle.into_iter().filter(|&at| wal || self.members[at].shimmed).collect();
        if writers.is_empty() {
            return;
        }
        let index = *self.rng.pick(&writers);
        let work = self.rng.weighted(MIXTURE);
        let quiet = !self.anybody(Busy::Reads) && !self.anybody(Busy::Writes);
        if !quiet && work.is_alone() {
            return;
        }
        let schema = Schema::read(&mut self.members[index].peer);
        let mut step = sql(work, &mut self.rng, &schema);
        if self.rng.chance(10) && !work.is_alone() && !step.contains("begin") {
            let n = self.rng.below(1 << 40);
            step =
                format!("begin; {step}; insert into s.x(b) values('{n}'), (zeroblob({})); commit", n % 9000);
        }
        // Whoever waits here waits for a lock that this very thread would have to give back.
        let alone = quiet && work != Work::Checkpoint;
        step.insert_str(0, &format!("pragma busy_timeout={}; ", if alone { 5000 } else { 0 }));
        let answer = self.members[index].peer.sql(&step);
        let outcome =
            if matches!(answer, Answer::Failed { .. }) { format!("{answer:?}") } else { "done".into() };
        self.note(format!("{} {work:?}: {step} -> {outcome}", self.members[index].peer.name));
        if answer.is_locked() {
            assert!(!alone, "nobody holds a lock, but: {answer:?}");
            let _none = self.members[index].peer.sql("rollback");
        } else {
            answer.ok();
        }
    }

    /// Marks, rewinds, or something else that recordings can do.
    fn act(&mut self) {
        let file = usize::from(self.rng.chance(15));
        if self.setup.switches && self.rng.chance(6) {
            return self.change_journal();
        }
        if self.rng.chance(25) {
            self.look_back(file);
        }
        match self.rng.below(100) {
            0..35 => self.mark(file),
            35..80 => self.rewind(file),
            80..86 => self.drop_mark(file),
            86..92 => self.wrong_names(file),
            92..95 => self.attach_anew(),
            _ => self.note_moment(file),
        }
    }

    fn mark(&mut self, file: usize) {
        let image = self.image(file);
        let name = format!("mark {}", self.rng.below(40));
        let recorder = self.any_recorder(file);
        let answer = self.record(file, recorder, Request::Mark { name: name.clone(), pin: false });
        let wal = self.setup.is_wal();
        if self.files[file].marks.contains_key(&name) {
            assert!(answer.is_dbr(23), "the name exists: {answer:?}");
            return;
        }
        match answer {
            Answer::Lsn { lsn } => {
                // Whatever comes next comes later than this.
                let time = Some(Timestamp::now().get());
                let moments = &mut self.files[file].moments;
                moments.push(Moment { lsn, image, wal, lost: false, left: false, time });
                let index = moments.len() - 1;
                self.files[file].marks.insert(name, index);
            }
            other => {
                let writer = !self.setup.is_wal() && self.anybody(Busy::Writes);
                assert!(writer && other.is_dbr(4), "a mark must be possible: {other:?}");
            }
        }
    }

    /// In WAL mode every commit can be gone to, marked or not; in a rollback mode, if that was asked for.
    fn note_moment(&mut self, file: usize) {
        let wal = self.setup.is_wal();
        if !wal && !self.setup.commits {
            return;
        }
        let image = self.image(file);
        let recorder = self.any_recorder(file);
        let Answer::Lsn { lsn } = self.record(file, recorder, Request::Now) else { panic!("no LSN") };
        self.files[file].moments.push(Moment { lsn, image, wal, lost: false, left: !wal, time: None });
    }

    fn rewind(&mut self, file: usize) {
        if self.files[file].moments.is_empty() {
            return;
        }
        let at = self.rng.index(self.files[file].moments.len());
        let by_name = self.rng.chance(60);
        let goal = if by_name && self.rng.chance(30) {
            self.time_of(file, at)
        } else {
            self.goal_of(file, at, by_name)
        };
        if !self.is_promised(file, at) {
            return;
        }
        let target = self.files[file].moments[at].clone();
        let before = self.image(file);
        let cookie = self.files[file].cookie;
        // `begin immediate` takes every attached database; the cursors read the first one only.
        let readers = !self.setup.is_wal() && file == 0 && self.anybody(Busy::Reads);
        let blocked = readers || self.anybody(Busy::Writes);
        let timeout = if blocked { 20 } else { 5000 };
        let recorder = self.any_recorder(file);
        let answer = self.record(file, recorder, Request::Rewind { to: goal.clone(), timeout });
        let after = self.image(file);
        match answer {
            Answer::Rewound { undo, method, .. } => {
                assert!(!target.lost, "went to a lost moment");
                assert!(!blocked || method == "nothing", "went past an open transaction");
                // Of pages in a cache that mean nothing the file may say something else.
                let difference = if method == "nothing" {
                    target.image.without_free_pages().difference(&after.without_free_pages())
                } else {
                    target.image.difference(&after)
                };
                if let Some(text) = difference {
                    panic!("not the state of {goal:?}: {text}");
                }
                assert!(
                    // The third: when the schema is the present one, nobody has to parse it again.
                    after.cookie == target.image.cookie
                        || after.cookie > cookie
                        || after.cookie == before.cookie,
                    "schema cookie {} after {cookie}, {} at the mark",
                    after.cookie,
                    target.image.cookie
                );
                self.files[file].moments.push(Moment {
                    lsn: undo,
                    image: before,
                    wal: self.setup.is_wal(),
                    lost: false,
                    left: method != "nothing",
                    time: None,
                });
                let dirty = self.record(file, recorder, Request::Dirty { since: goal });
                assert_eq!(dirty, Answer::Flag { yes: false }, "just went there");
            }
            other => {
                // A WAL has pages of one size.
                let other_pages = self.setup.is_wal() && target.image.page_size != before.page_size;
                let right = if other_pages && !target.lost {
                    other.is_dbr(21) || (blocked && other.is_dbr(4))
                } else if target.lost {
                    let gone = if matches!(goal, Goal::Time(_)) { 27 } else { 11 };
                    other.is_dbr(gone) || (blocked && other.is_dbr(4))
                } else {
                    blocked && other.is_dbr(4)
                };
                assert!(right, "going to {goal:?} must be possible (lost: {}): {other:?}", target.lost);
                assert_eq!(before.difference(&after), None, "a refusal changes nothing");
            }
        }
    }

    /// Reads a moment beside the live database, whatever others have open.
    fn look_back(&mut self, file: usize) {
        if self.files[file].moments.is_empty() {
            return;
        }
        let at = self.rng.index(self.files[file].moments.len());
        if !self.is_promised(file, at) {
            return;
        }
        let by_name = self.rng.chance(60);
        let goal = self.goal_of(file, at, by_name);
        let target = self.files[file].moments[at].clone();
        let recorder = self.any_recorder(file);
        let dump = self.scratch.path().join("past");
        let request = Request::Past { to: goal.clone(), dump: dump.to_string_lossy().into_owned() };
        match self.record(file, recorder, request) {
            Answer::Pages { page_size, .. } => {
                assert!(!target.lost, "read a lost moment");
                let found = Image::load(&dump, page_size);
                // Of pages in a cache that mean nothing the file may say something else.
                let (expected, found) = (target.image.without_free_pages(), found.without_free_pages());
                if let Some(text) = expected.difference(&found) {
                    panic!("not the state of {goal:?}: {text}");
                }
            }
            other => assert!(target.lost && other.is_dbr(11), "{goal:?} must be readable: {other:?}"),
        }
    }

    /// A marked moment, by the time at which it was marked.
    fn time_of(&self, file: usize, at: usize) -> Goal {
        let known = &self.files[file];
        let marked = known.marks.values().any(|&index| index == at);
        match known.moments[at].time.filter(|_| marked) {
            Some(time) => Goal::Time(time),
            None => self.goal_of(file, at, true),
        }
    }

    /// Of a rollback mode only marked moments can be gone to, and those that a rewind left.
    fn is_promised(&self, file: usize, at: usize) -> bool {
        let file = &self.files[file];
        file.moments[at].wal || file.moments[at].left || file.marks.values().any(|&index| index == at)
    }

    fn drop_mark(&mut self, file: usize) {
        let names: Vec<String> = self.files[file].marks.keys().cloned().collect();
        if names.is_empty() {
            return;
        }
        let name = self.rng.pick(&names).clone();
        let recorder = self.any_recorder(file);
        self.record(file, recorder, Request::DropMark { name: name.clone() }).ok();
        self.files[file].marks.remove(&name);
    }

    fn wrong_names(&mut self, file: usize) {
        let before = self.image(file);
        let recorder = self.any_recorder(file);
        let nowhere = Goal::Name("no such mark".to_owned());
        let answer = self.record(file, recorder, Request::Rewind { to: nowhere.clone(), timeout: 100 });
        assert!(answer.is_dbr(3), "{answer:?}");
        let answer = self.record(file, recorder, Request::DropMark { name: "no such mark".to_owned() });
        assert!(answer.is_dbr(3), "{answer:?}");
        let answer = self.record(file, recorder, Request::Rewind { to: Goal::Lsn(1 << 50), timeout: 100 });
        let busy = self.anybody(Busy::Writes) || self.anybody(Busy::Reads);
        assert!(answer.is_dbr(3) || (busy && answer.is_dbr(4)), "{answer:?}");
        let answer = self.record(file, recorder, Request::Dirty { since: nowhere });
        assert!(answer.is_dbr(3), "{answer:?}");
        let after = self.image(file);
        assert_eq!(before.difference(&after), None, "a refusal changes nothing");
    }

    /// Ends every cursor and every transaction.
    pub(crate) fn quieten(&mut self) {
        for index in 0..self.members.len() {
            match self.members[index].busy {
                Busy::Reads => self.end(index),
                Busy::Writes => {
                    self.members[index].peer.must("rollback");
                    self.members[index].busy = Busy::No;
                }
                Busy::No => {}
            }
        }
    }

    /// Ends the recording and begins it again, with or without somebody writing meanwhile.
    fn attach_anew(&mut self) {
        self.quieten();
        // A mode of rollback needs connections that were opened after the recording began.
        let disconnect = !self.setup.is_wal() || self.rng.chance(50);
        let write = self.rng.chance(40);
        self.note(format!("recording ends; disconnect {disconnect}, write {write}"));
        if disconnect {
            for member in &mut self.members {
                member.peer.ask(Request::Close).ok();
            }
        }
        for file in &mut self.files {
            for recorder in &mut file.recorders {
                recorder.ask(Request::Detach).ok();
            }
        }
        if write {
            if disconnect {
                self.connect(2);
            }
            for _ in 0..=self.rng.below(3) {
                let schema = Schema::read(&mut self.members[2].peer);
                let work = self.rng.weighted(MIXTURE);
                let step = sql(work, &mut self.rng, &schema);
                self.note(format!("unrecorded: {work:?} {step}"));
                self.members[2].peer.must(&step);
            }
            if disconnect {
                self.members[2].peer.ask(Request::Close).ok();
            }
        }
        self.attach_again();
        for file in 0..self.files.len() {
            self.compare_marks(file, write);
            // Without a mark nothing tells which moments are left: ask for the newest.
            if write && self.files[file].marks.is_empty() {
                for moment in &mut self.files[file].moments {
                    moment.lost = true;
                }
                self.files[file].moments.clear();
            } else if write && self.files[file].marks.values().all(|&at| self.files[file].moments[at].lost) {
                // Nor does one that was lost before: nothing is promised of the others.
                for moment in self.files[file].moments.iter_mut().filter(|moment| !moment.lost) {
                    (moment.wal, moment.left) = (false, false);
                }
            }
        }
        if disconnect {
            for index in 0..self.members.len() {
                self.connect(index);
            }
        }
    }

    /// Everybody must see the same database, and a sound one.
    fn compare(&mut self) {
        for file in 0..self.files.len() {
            self.compare_marks(file, false);
        }
        let truth = self.image(0).without_free_pages();
        for index in self.idle() {
            let seen = self.image_of(index).without_free_pages();
            if let Some(text) = truth.difference(&seen) {
                panic!("{} is behind: {text}", self.members[index].peer.name);
            }
        }
        for file in 0..self.files.len() {
            assert_eq!(self.integrity(file), [["ok"]]);
        }
    }
}
