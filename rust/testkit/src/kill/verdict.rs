use std::collections::BTreeSet;

use super::event::{Event, Known, Marks, State, Step};

/// What the campaign knows of one database, over all its lives.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Marks that must or may be there.
    pub(crate) marks: Marks,
    /// Moments that rewinds left.
    pub(crate) left: Vec<Known>,
    /// Every head that somebody tried to commit.
    pub(crate) heads: BTreeSet<String>,
    /// States the database can be in now; with company any head will do.
    pub(crate) possible: Vec<Possible>,
}

/// A state that is possible now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Possible {
    /// Its newest transaction.
    pub(crate) head: String,
    /// Its pages, if nobody moved them.
    pub(crate) digest: Option<String>,
}

impl From<State> for Possible {
    fn from(state: State) -> Self {
        Self { head: state.head, digest: Some(state.digest) }
    }
}

impl Ledger {
    /// A database that was just created.
    pub(crate) fn new() -> Self {
        Self { possible: vec![head("origin")], ..Self::default() }
    }

    /// Takes in what a child said before it was killed.
    ///
    /// # Errors
    /// When a listing of marks cannot be true.
    pub(crate) fn read(&mut self, events: &[Event], company: bool) -> Result<(), String> {
        for event in events {
            match event {
                Event::Listed(rows) => drop(self.compare(rows)?),
                Event::Try(step) => self.tried(step),
                Event::Did(step, lsn) => self.did(step, *lsn, company),
                Event::Refused => self.possible.truncate(1),
                Event::Ready | Event::Rested(_) | Event::Crowded | Event::Roused => {}
            }
        }
        Ok(())
    }

    /// Now this or the state before, until it is acknowledged.
    fn tried(&mut self, step: &Step) {
        match step {
            Step::Commit(name) => {
                self.heads.insert(name.clone());
                self.possible.push(head(name));
            }
            Step::Rewind(from, to) => self.possible = vec![from.clone().into(), to.clone().into()],
            Step::Mark(name, state) => {
                self.marks.insert(name.clone(), Known { state: state.clone(), lsn: None, lost: false });
            }
            Step::Drop(name) => {
                if let Some(known) = self.marks.get_mut(name) {
                    known.lsn = None;
                }
            }
            Step::Rewrite => self.possible.iter_mut().for_each(|state| state.digest = None),
            Step::Reopen | Step::Quiet => {}
        }
    }

    fn did(&mut self, step: &Step, lsn: u64, company: bool) {
        match step {
            Step::Commit(name) => self.possible = vec![head(name)],
            Step::Rewind(from, to) => {
                self.possible = vec![to.clone().into()];
                // From a state to itself nothing is recorded, and no moment is left.
                if !company && from != to {
                    self.left.push(Known { state: from.clone(), lsn: Some(lsn), lost: false });
                }
            }
            Step::Mark(name, state) => {
                self.possible = vec![state.clone().into()];
                if let Some(known) = self.marks.get_mut(name) {
                    known.lsn = Some(lsn);
                }
            }
            Step::Drop(name) => {
                self.marks.remove(name);
            }
            Step::Rewrite | Step::Reopen | Step::Quiet => {}
        }
    }

    /// Is this one of the states that are possible now?
    pub(crate) fn judge(&self, found: &State, company: bool) -> Result<(), String> {
        if company {
            let known = found.head == "origin" || self.heads.contains(&found.head);
            return if known { Ok(()) } else { Err(format!("nobody committed {:?}", found.head)) };
        }
        let fits = |state: &Possible| {
            state.head == found.head && state.digest.as_ref().is_none_or(|digest| *digest == found.digest)
        };
        if self.possible.iter().any(fits) {
            return Ok(());
        }
        Err(format!("{found:?} is none of the possible states {:?}", self.possible))
    }

    /// The database is in this state for certain.
    pub(crate) fn settle(&mut self, found: State) {
        self.heads.insert(found.head.clone());
        self.possible = vec![found.into()];
    }

    /// Compares with a listing (name, LSN, pages, state). How many are kept, how many were lost by this.
    pub(crate) fn compare(&mut self, rows: &[Vec<String>]) -> Result<(usize, usize), String> {
        for (name, known) in &self.marks {
            if known.lsn.is_some() && !rows.iter().any(|row| row[0] == *name) {
                return Err(format!("{name} was set and is gone"));
            }
        }
        let (mut kept, mut lost) = (0, 0);
        let mut listed = Marks::new();
        for row in rows {
            let Some(known) = self.marks.get(&row[0]) else {
                return Err(format!("{} is listed, but was dropped or never set", row[0]));
            };
            let mut known = known.clone();
            let number: u64 = row[1].parse().map_err(|_| "an LSN".to_owned())?;
            if known.lsn.is_some_and(|lsn| lsn != number) {
                return Err(format!("{} has LSN {number}, was {:?}", row[0], known.lsn));
            }
            known.lsn = Some(number);
            match (row[3].as_str(), known.lost) {
                ("lost", false) => lost += 1,
                ("lost", true) => {}
                (_, true) => return Err(format!("{} was lost and came back", row[0])),
                (_, false) => kept += 1,
            }
            known.lost = row[3] == "lost";
            listed.insert(row[0].clone(), known);
        }
        self.marks = listed;
        if lost > 0 {
            self.left.clear();
        }
        Ok((kept, lost))
    }
}

fn head(name: &str) -> Possible {
    Possible { head: name.to_owned(), digest: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(head: &str) -> State {
        State { head: head.into(), digest: format!("pages of {head}") }
    }

    #[test]
    fn an_unacknowledged_commit_may_be_there_or_not() {
        let mut ledger = Ledger::new();
        ledger
            .read(&[Event::Try(Step::Commit("a".into())), Event::Did(Step::Commit("a".into()), 0)], false)
            .unwrap();
        assert!(ledger.judge(&state("origin"), false).is_err());
        ledger.read(&[Event::Try(Step::Commit("b".into()))], false).unwrap();
        assert!(ledger.judge(&state("a"), false).is_ok());
        assert!(ledger.judge(&state("b"), false).is_ok());
        assert!(ledger.judge(&state("c"), false).is_err());
    }

    #[test]
    fn a_rewind_leaves_exactly_one_of_two_images() {
        let mut ledger = Ledger::new();
        let step = Step::Rewind(state("b"), state("a"));
        ledger.read(&[Event::Try(step.clone())], false).unwrap();
        assert!(ledger.judge(&state("b"), false).is_ok());
        assert!(ledger.judge(&State { head: "a".into(), digest: "torn".into() }, false).is_err());
        ledger.read(&[Event::Did(step, 7)], false).unwrap();
        assert!(ledger.judge(&state("b"), false).is_err());
    }

    #[test]
    fn an_acknowledged_mark_must_be_listed() {
        let mut ledger = Ledger::new();
        let step = Step::Mark("m".into(), state("a"));
        ledger.read(&[Event::Try(step.clone())], false).unwrap();
        assert!(ledger.compare(&[]).is_ok());
        ledger.read(&[Event::Try(step.clone()), Event::Did(step, 3)], false).unwrap();
        assert!(ledger.compare(&[]).is_err());
        let row = ["m", "3", "1", "lost"].map(str::to_owned).to_vec();
        assert_eq!(ledger.compare(&[row]), Ok((0, 1)));
        let row = ["m", "3", "1", "hot"].map(str::to_owned).to_vec();
        assert!(ledger.compare(&[row]).is_err());
    }
}
