use super::trace::{Entry, Op};
use crate::kill::event::{Event, Known, Marks, State, Step};

/// Which syncs a life makes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Syncs {
    /// WAL mode.
    pub(super) wal: bool,
    /// The journal's end is the deletion of a file, which needs a sync of its folder that SQLite does not make.
    pub(super) deletes: bool,
    /// The application's connection: 1 normal, 2 full.
    pub(super) application: u8,
    /// The recording: the same.
    pub(super) recording: u8,
}

/// What a disk may hold, by what was said until the cut.
pub(super) struct Allowed {
    /// Every state so far, from the first one that may be there on: head, and digest where it is known.
    states: Vec<(String, Option<String>)>,
    from: usize,
    /// Every mark that was tried.
    marks: Marks,
    /// What was said last.
    pub(super) last: Option<Event>,
    /// The recording has ended, with everything on disk: the marks as they were listed then.
    pub(super) rest: Option<Vec<Vec<String>>>,
    /// There was another database in the store, which may have left no room.
    pub(super) crowded: bool,
}

/// What was said, and when.
pub(super) fn events(entries: &[Entry]) -> Vec<(usize, Event)> {
    let said = entries.iter().enumerate().filter(|(_, entry)| entry.op == Op::Said);
    said.flat_map(|(index, entry)| entry.text().lines().map(move |line| (index, line)))
        .filter_map(|(index, line)| Some((index, serde_json::from_str(line).ok()?)))
        .collect()
}

impl Allowed {
    /// After these events.
    pub(super) fn after(events: &[(usize, Event)], at: usize, syncs: Syncs) -> Self {
        let mut allowed = Self {
            states: vec![("origin".to_owned(), None)],
            from: 0,
            marks: Marks::new(),
            last: None,
            rest: None,
            crowded: false,
        };
        for (_, event) in events.iter().take_while(|(index, _)| *index < at) {
            match event {
                Event::Try(step) => allowed.tried(step, syncs),
                Event::Did(step, lsn) => allowed.did(step, *lsn, syncs),
                Event::Rested(rows) => allowed.rested(rows, syncs),
                Event::Crowded => allowed.crowded = true,
                Event::Roused => allowed.rest = None,
                Event::Ready | Event::Listed(_) | Event::Refused => {}
            }
            allowed.last = Some(event.clone());
        }
        allowed
    }

    fn tried(&mut self, step: &Step, syncs: Syncs) {
        match step {
            Step::Commit(head) => self.states.push((head.clone(), None)),
            Step::Rewrite => {
                let head = self.states[self.states.len() - 1].0.clone();
                self.states.push((head, None));
            }
            Step::Rewind(_, to) => {
                self.states.push((to.head.clone(), Some(to.digest.clone())));
                if syncs.wal && syncs.recording < 2 {
                    // The frames of abandoned commits may come back, but for the one that was overwritten.
                    self.from = 0;
                }
            }
            Step::Mark(name, state) => {
                self.marks.insert(name.clone(), Known { state: state.clone(), lsn: None, lost: false });
            }
            Step::Drop(_) | Step::Reopen | Step::Quiet => {}
        }
    }

    fn did(&mut self, step: &Step, lsn: u64, syncs: Syncs) {
        let newest = self.states.len() - 1;
        match step {
            Step::Commit(_) | Step::Rewrite if syncs.application == 2 => {
                // The commit before may have been undone by a journal whose deletion the cut undid.
                self.from = if syncs.deletes { newest - 1 } else { newest };
            }
            // One from a state to itself does nothing.
            Step::Rewind(from, to) if from != to && syncs.recording == 2 => self.from = newest,
            // The removal of its guard may be undone.
            Step::Rewind(from, to) if from != to && !syncs.wal => self.from = newest - 1,
            Step::Mark(name, _) => {
                if let Some(known) = self.marks.get_mut(name) {
                    known.lsn = Some(lsn);
                }
            }
            _ => {}
        }
    }

    /// A recording that ends syncs what it has; in WAL mode the database, too.
    fn rested(&mut self, rows: &[Vec<String>], syncs: Syncs) {
        if syncs.wal {
            self.from = self.states.len() - 1;
        }
        self.rest = Some(rows.to_owned());
    }

    /// The marks that must be there, if the recording rests and this can only be the state that it left: no power cut takes one then.
    pub(super) fn certain(&self, found: &State) -> Option<&[Vec<String>]> {
        let mut fitting = self.states[self.from..].iter().filter(|state| fits(state, found));
        let newest = self.states.last();
        let only =
            fitting.next().is_some_and(|state| newest.is_some_and(|newest| std::ptr::eq(state, newest)));
        self.rest.as_deref().filter(|_| only)
    }

    /// May the database be in this state?
    pub(super) fn judge(&self, found: &State) -> Result<(), String> {
        if self.states[self.from..].iter().any(|state| fits(state, found)) {
            return Ok(());
        }
        let earlier = self.states.iter().any(|state| fits(state, found));
        let word = if earlier { "an older state than was acknowledged" } else { "no state at all" };
        Err(format!("{found:?} is {word}; allowed: {:?}", &self.states[self.from..]))
    }

    /// The state of a mark that is listed.
    pub(super) fn mark(&self, row: &[String]) -> Result<&State, String> {
        let Some(known) = self.marks.get(&row[0]) else {
            return Err(format!("{} is listed and was never set", row[0]));
        };
        if known.lsn.is_some_and(|lsn| lsn.to_string() != row[1]) {
            return Err(format!("{} has LSN {}, was {:?}", row[0], row[1], known.lsn));
        }
        Ok(&known.state)
    }
}

fn fits((head, digest): &(String, Option<String>), found: &State) -> bool {
    *head == found.head && digest.as_ref().is_none_or(|digest| *digest == found.digest)
}
