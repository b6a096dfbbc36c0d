//! Setting marks, listing and dropping them.

use std::time::Instant;

use dbrewind_core::{
    DropBody, Head, Key, Kind, Location, Lsn, MarkBody, MarkName, MarkState, Need, PINNED, Target,
};

use super::Database;
use crate::engine::{SharedHistory, locked};
use crate::error::{Error, Without};
use crate::mark::Mark;

impl Database {
    /// Names the newest commit.
    ///
    /// # Errors
    /// `DBR023` when the name exists, also when another process sets it at the same time and is first.
    /// `DBR022` when it reads as a time, such as `5 minutes ago`. `DBR015` when the store was removed meanwhile. Nothing is
    /// appended then.
    pub fn mark(&self, name: &str) -> Result<Mark, Error> {
        self.set_mark(name, false)
    }

    /// Names the newest commit, and keeps the mark until it is dropped, with all that came after it or, if there was one, after
    /// the newest rewind to it.
    ///
    /// # Errors
    /// As [`mark`](Self::mark).
    pub fn mark_pinned(&self, name: &str) -> Result<Mark, Error> {
        self.set_mark(name, true)
    }

    fn set_mark(&self, name: &str, pinned: bool) -> Result<Mark, Error> {
        let name = MarkName::new(name)?;
        if Target::reads_as_time(name.as_str()) {
            let what = format!(
                "{:?} cannot name a mark, since it reads as a time; choose another name",
                name.as_str()
            );
            return Err(Error::Invalid { what });
        }
        self.with(|engine| {
            let history = self.history()?;
            {
                let mut history = locked(&history);
                // In WAL mode nothing else of a mark would notice.
                history.store.check_in_place()?;
                history.catch_up()?;
                if let Some(there) = history.timeline.mark(name.as_str()) {
                    let lost = there.lost || there.evicted || history.store.broken(history.object).is_some();
                    return Err(Error::MarkExists { name: name.to_string(), lost });
                }
            }
            let moment = engine.moment(true)?;
            let time = { locked(&history).next_time() };
            let body = MarkBody { time, extent: moment.extent, name: name.clone(), note: &moment.note };
            let at = {
                let history = locked(&history);
                let flags = if pinned { PINNED } else { 0 };
                let head = Head { flags, ..Head::new(Kind::Mark, history.object, Key::new(0), moment.lsn) };
                let appended = history.store.append(head, &[&body.encode()]).map_err(Error::from);
                appended.map_err(|error| {
                    error.for_want_of_room((&history.store, history.object), Without::Mark)
                })?
            };
            if self.read_up_to(&history, at)? {
                return Err(Error::MarkExists { name: name.to_string(), lost: false });
            }
            engine.marked(moment.lsn);
            let state = if engine.is_hot(moment.lsn) { MarkState::Hot } else { MarkState::Archived };
            let pages = moment.extent.get();
            Ok(Mark { name: name.to_string(), lsn: moment.lsn, time, pages, state, pinned })
        })
    }

    /// Reads the log up to a mark that was just appended; answers whether another one of its name came before it. The
    /// look before the append cannot see what other threads and processes append at the same time.
    fn read_up_to(&self, history: &SharedHistory, at: Location) -> Result<bool, Error> {
        let started = Instant::now();
        loop {
            let mut history = locked(history);
            history.catch_up()?;
            if history.timeline.has_read(at) {
                return Ok(history.timeline.was_refused(at));
            }
            // A writer before us was stopped in the middle of a record. The scan has waited for it already.
            if started.elapsed() > self.timeout {
                return Err(Error::Busy {
                    what: "a process was stopped in the middle of a record, and whether the name was free will show \
                           when it goes on"
                        .to_owned(),
                    holder: None,
                    waited: started.elapsed(),
                });
            }
        }
    }

    /// All marks, oldest first. Once recording has stopped, or somebody wrote past it, all of them are lost: what is recorded next
    /// begins anew.
    ///
    /// # Errors
    /// When the store cannot be read. `DBR018` when another file is at the path by now, or none; `DBR015` when the store is no longer
    /// in its place.
    pub fn marks(&self) -> Result<Vec<Mark>, Error> {
        self.with(|engine| {
            let history = self.history_in_place(engine)?;
            let bypassed = engine.bypassed();
            let marks: Vec<(Mark, Option<Lsn>)> = {
                let mut history = locked(&history);
                history.catch_up()?;
                let stopped = history.store.broken(history.object).is_some();
                let timeline = &history.timeline;
                let marks = timeline.marks().map(|mark| {
                    let name = mark.name.to_string();
                    let pages = mark.extent.get();
                    let (lsn, time, pinned) = (mark.lsn, mark.time, mark.pinned);
                    let state = if mark.evicted { MarkState::Evicted } else { MarkState::Lost };
                    let gone = mark.lost || mark.evicted || stopped || bypassed;
                    let mark = Mark { name, lsn, time, pages, state, pinned };
                    (mark, (!gone).then(|| timeline.reached_by(lsn)))
                });
                marks.collect()
            };
            let with_state = marks.into_iter().map(|(mut mark, reached_by)| {
                if let Some(lsn) = reached_by {
                    mark.state = if engine.is_hot(lsn) { MarkState::Hot } else { MarkState::Archived };
                }
                mark
            });
            Ok(with_state.collect())
        })
    }

    /// Forgets a mark's name. In a full store, too: if what the mark has kept is not needed any more, it is evicted before this returns.
    ///
    /// # Errors
    /// `DBR003` when there is none of that name, `DBR018` when another file is at the path by now, or none. `DBR010` when the disk has
    /// no room at all, or so many marks were dropped in a full store that there is none for another word.
    pub fn drop_mark(&self, name: &str) -> Result<(), Error> {
        self.with(|engine| {
            let history = self.history_in_place(engine)?;
            let store = {
                let mut history = locked(&history);
                let _names = history.store.lock_names()?;
                history.catch_up()?;
                let Some(mark) = history.timeline.mark(name) else {
                    let nearest = history.timeline.nearest_name(name).map(str::to_owned);
                    let existing = history.timeline.newest_names().into();
                    return Err(Error::MarkNotFound { name: name.to_owned(), nearest, existing });
                };
                let body = DropBody { time: history.time(), name: mark.name.clone() };
                let lsn = history.timeline.last().max(mark.lsn);
                let head = Head::new(Kind::Drop, history.object, Key::new(0), lsn);
                history.store.append_in_need(Need::Drop, head, &[&body.encode()])?;
                history.store.clone()
            };
            // What fails now is tried again in the background, or by the next call; the mark is dropped.
            if store.is_short_of_room() && !store.make_room() {
                let _ = engine.make_way().map(|()| store.make_room());
            }
            if engine.waits_for_room() {
                let _ = engine.now();
            }
            Ok(())
        })
    }
}
