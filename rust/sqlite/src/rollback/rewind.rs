//! The rewind: make the file what it was, so that a kill at any instruction leaves the old or the new
//! state to plain SQLite (`recovery.md`, "A rewind in the rollback modes").

use std::fs::Metadata;
use std::path::Path;
use std::time::Duration;

use dbrewind_core::{Kind, Lsn, Plan, Timeline};

use super::buffers::reusable;
use super::differences::Differences;
use super::engine::Rollback;
use super::guard::Guard;
use super::intent::{self, Intent};
use super::journal;
use super::lock_wait::{self, Wait};
use super::present::Present;
use super::settle;
use crate::counters;
use crate::engine::{Change, locked};
use crate::error::Error;
use crate::fault;
use crate::ffi::{LockLevel, full_barrier};
use crate::file::Header;
use crate::in_flight::InFlight;
use crate::notes::tag;
use crate::options::Synchronous;
use crate::rewound::Method;

/// The least step of the change counter at a rewind. No other writer skips numbers.
const STEP: u32 = 64;
/// How many steps there are to choose from: a plain program that commits as often as our step is long, after
/// a rewind that was killed too early to happen, must not be taken for that rewind.
const STEPS: u64 = 1024;

/// From which moment to which, and what the file is like before.
struct Course {
    from: Lsn,
    target: Lsn,
    plan: Plan,
    /// Both moments have the same state.
    unchanged: bool,
    present: Present,
    /// The change counter that page 1 gets.
    counter: u32,
}

impl Rollback {
    /// See [`crate::engine::Engine::rewind`].
    pub(super) fn rewind_to(&mut self, to: Lsn, timeout: Duration) -> Result<Change, Error> {
        let wait = Wait::new(self.id, timeout);
        let _lock = self.store.lock_object(self.object, timeout)?;
        let journal = journal::path_for(&self.path);
        let result = self
            .lock_for_rewind(&wait, &journal)
            .and_then(|(present, like)| self.rewind_locked(to, &journal, present, &like));
        locked(&self.history).exclusion.set_rewinding(false);
        let _ = self.file.unlock(LockLevel::None);
        match result {
            Err(Halted::After(error)) => {
                // The guard is complete: let SQLite take it back, now or when the next program comes.
                let _ = self.play_back(wait.left());
                Err(error)
            }
            Err(Halted::Before(error)) => Err(error),
            Ok(change) => Ok(change),
        }
    }

    /// Takes the locks, and looks at the file as it is.
    fn lock_for_rewind(&mut self, wait: &Wait, journal: &Path) -> Result<(Present, Metadata), Halted> {
        loop {
            lock_wait::reserved(&mut self.file, wait)?;
            let like = self.check_same_file()?;
            let hot = journal::is_hot(journal).map_err(|source| Error::Io {
                action: "look at",
                path: journal.to_owned(),
                source,
            })?;
            if !hot {
                // Here, since connections in WAL mode hold SHARED for ever: waiting for them is no use. With
                // RESERVED nobody else writes: what is seen now holds under EXCLUSIVE.
                let present = self.present()?;
                self.check_journal_mode(&present)?;
                locked(&self.history).exclusion.set_rewinding(true);
                lock_wait::exclusive(&mut self.file, wait)?;
                return Ok((present, like));
            }
            // Its writer would hold RESERVED, which we have: it is dead, and its journal must go first.
            let _ = self.file.unlock(LockLevel::None);
            self.play_back(wait.left())?;
            wait.check("the journal of a dead process to be played back")?;
        }
    }

    fn rewind_locked(
        &mut self,
        target: Lsn,
        journal: &Path,
        present: Present,
        like: &Metadata,
    ) -> Result<Change, Halted> {
        if let Some(code) = self.store.broken(self.object) {
            return Err(Error::stopped(&self.store, code).into());
        }
        if self.settle(&present)?.is_none() {
            return Err(self.not_attached(&present).into());
        }
        let (from, plan, unchanged, newest) = {
            let mut history = locked(&self.history);
            history.catch_up_for(target, self.timeout)?;
            let now = history.timeline.last();
            let plan = history.plan(now, target)?;
            let timeline = &history.timeline;
            (now, plan, timeline.canonical(now) == timeline.canonical(target), newest_begun(timeline))
        };
        let own = from
            .max(self.store.last_lsn(self.object))
            .next()
            .ok_or_else(|| Error::internal("the LSNs are used up"))?;
        let step = STEP + (journal::random() % STEPS) as u32;
        let counter = self.registers().counter_above(present.counter(), step);
        let spare = self.spares.next(self.store.dir(), self.object, newest, self.synchronous);
        let buffers = std::mem::take(&mut self.buffers);
        let bridge = self.synchronous == Synchronous::Off;
        let mut work =
            Differences::new(self.store.clone(), self.object, own, self.block, bridge, buffers.images);
        let mut guard = Guard::new(
            journal,
            like,
            present.header.map_or(self.block, |header| header.page_size),
            counter,
            self.synchronous,
            spare,
            buffers.journal,
        );
        let course = Course { from, target, plan, unchanged, present, counter };
        let result = self.carry_out(&course, &mut work, &mut guard);
        match &result {
            Ok(Change { method: Method::Nothing, .. }) => {}
            Ok(_) => self.spares.used(Some(own).filter(|_| guard.spare_synced()), guard.spare_works()),
            Err(_) => self.spares.used(None, guard.spare_works()),
        }
        self.buffers.journal = reusable(guard.into_memory());
        self.buffers.images = reusable(work.into_memory());
        result
    }

    /// Compares, saves and writes. An error takes away a guard that is not needed.
    fn carry_out(
        &mut self,
        course: &Course,
        work: &mut Differences,
        guard: &mut Guard<'_>,
    ) -> Result<Change, Halted> {
        let nothing = Change { undo: course.from, pages: 0, method: Method::Nothing };
        match self.prepare(course, work, guard) {
            Ok(None) => Ok(nothing),
            Ok(Some((intent, bytes))) => {
                self.write(course, work, guard, &intent, bytes)?;
                Ok(Change { undo: course.from, pages: work.len(), method: Method::Written })
            }
            // Not one byte of the database has changed: without the journal nothing has happened.
            Err(error) => match guard.remove() {
                Ok(()) => {
                    self.registers().set_in_flight(None);
                    Err(Halted::Before(error))
                }
                Err(_) => Err(Halted::After(error)),
            },
        }
    }

    /// Reads and compares everything, and makes the guard hot. The intent, and how long the file is to be, in
    /// bytes; `None`: the file is at the target already.
    fn prepare(
        &mut self,
        course: &Course,
        work: &mut Differences,
        guard: &mut Guard<'_>,
    ) -> Result<Option<(Intent, u64)>, Error> {
        let Course { from, target, plan, present, counter, .. } = course;
        let io = |source| Error::Io { action: "write the journal of", path: self.path.clone(), source };
        work.begin(&mut self.file, &plan.items)?;
        let then = Header::parse(work.first_block());
        let page_size = present.header.map_or(self.block, |header| header.page_size);
        let pages = u32::try_from(present.size.div_ceil(u64::from(page_size))).unwrap_or(u32::MAX);
        let bytes = then.map(|then| then.file_size(plan.extent.get(), u64::from(self.block)));
        // Else the guard is made of pages that are no blocks.
        let by_block =
            page_size == self.block && bytes.is_some_and(|bytes| bytes % u64::from(page_size) == 0);
        let mut add = |page: u64, image: &[u8]| match u32::try_from(page) {
            // What is past the end now, a playback cuts off.
            Ok(page) if page <= pages => guard.add(page, image).map_err(io),
            _ => Ok(()),
        };
        let mut by_key = |key: u64, image: &[u8]| if by_block { add(key, image) } else { Ok(()) };
        work.compare(&mut self.file, &plan.items, &mut by_key)?;
        let extent = self.extent(present.size);
        if course.unchanged && extent == plan.extent && work.is_empty() {
            return Ok(None);
        }
        let Some(header) = present.header.filter(|_| plan.extent.get() > 0) else {
            let what = "the database had no bytes at that moment, which leaves no place for a change counter; \
                        set the mark after the first table is there";
            return Err(Error::Unsupported { what: what.to_owned() });
        };
        let (Some(then), Some(bytes)) = (then, bytes) else {
            return Err(Error::internal("page 1 at the target is not one"));
        };
        work.save(&mut self.file, extent, plan.extent, &mut by_key)?;
        if !by_block {
            work.for_each_page(&mut self.file, page_size, (present.size, bytes), &mut add)?;
        }
        let registers = self.registers();
        let cookie = match then.cookie == header.cookie {
            true => then.cookie,
            false => counters::fresh_cookie(registers.cookie().max(header.cookie).max(then.cookie))?,
        };
        Header::publish(work.first_block_mut(), header.versions, *counter, cookie);

        let (from, target, counter) = (*from, *target, *counter);
        let time = self.store.next_time(self.object);
        let intent = Intent { from, target, extent: plan.extent, time, counter, cookie };
        self.store.append(self.head(Kind::Note, intent::TAG, work.own()), &[&intent.encode()])?;
        fault::place("rollback rewind: intent");
        self.registers().set_in_flight(Some(InFlight::Rewind { counter }));
        guard.commit(pages).map_err(io)?;
        fault::place("rollback rewind: guard is hot");
        // Pairs with the barrier of a view between its read of the file and its look into the log.
        full_barrier();
        Ok(Some((intent, bytes)))
    }

    /// Writes the file under its guard. When that is gone the rewind has happened.
    fn write(
        &mut self,
        course: &Course,
        work: &Differences,
        guard: &mut Guard<'_>,
        intent: &Intent,
        bytes: u64,
    ) -> Result<(), Halted> {
        // Without a sync at the end there is nothing to be early for.
        let syncs = self.synchronous != Synchronous::Off;
        if syncs {
            self.write_back.find(self.id);
        }
        let early = syncs.then_some((&self.write_back, self.id));
        work.write_in_place(&mut self.file, bytes, course.present.size, self.synchronous, early)
            .map_err(Halted::After)?;
        fault::place("rollback rewind: written in place");
        work.save_freed(&mut self.file).map_err(Halted::After)?;
        let failed = |source| Error::Io { action: "remove the journal of", path: self.path.clone(), source };
        // It may be gone even so.
        guard.remove().map_err(|source| Halted::After(failed(source).at_either()))?;
        fault::place("rollback rewind: guard removed");
        settle::append_rewind(&self.store, self.object, work.own(), intent)
            .map_err(|code| Halted::Before(Error::stopped(&self.store, code).at_target()))?;
        fault::place("rollback rewind: recorded");
        let registers = self.registers();
        registers.raise_counter(intent.counter);
        registers.raise_cookie(intent.cookie);
        registers.set_in_flight(None);
        Ok(())
    }
}

/// The newest rewind of all that were begun: one that failed has used a spare file, too.
pub(super) fn newest_begun(timeline: &Timeline) -> Option<Lsn> {
    timeline.notes(tag::ROLLBACK_INTENT).last().map(|note| note.lsn)
}

/// Why a rewind stopped.
pub(super) enum Halted {
    /// Nothing has changed, or the rewind has happened and could not be recorded.
    Before(Error),
    /// The guard is hot: plain SQLite takes the rewind back.
    After(Error),
}

impl<E: Into<Error>> From<E> for Halted {
    fn from(error: E) -> Self {
        Self::Before(error.into())
    }
}
