//! The rewind: make the file what it was, so that a kill at any instruction leaves the old or the new
//! state to plain SQLite (`recovery.md`, "A rewind in the rollback modes").

use std::time::Duration;

use dbrewind_core::{Extent, Kind, Lsn, Timestamp};

use super::differences::Differences;
use super::engine::{Present, Rollback};
use super::header::Header;
use super::in_flight::InFlight;
use super::intent::{self, Intent};
use super::journal::{self, Guard};
use super::lock_wait::{self, Wait};
use super::settle;
use crate::counters;
use crate::engine::{Change, locked};
use crate::error::Error;
use crate::fault;
use crate::ffi::LockLevel;
use crate::options::Synchronous;
use crate::rewound::Method;

/// The least step of the change counter at a rewind. No other writer skips numbers.
const STEP: u32 = 64;
/// How many steps there are to choose from: a plain program that commits as often as our step is long, after
/// a rewind that was killed too early to happen, must not be taken for that rewind.
const STEPS: u64 = 1024;

impl Rollback {
    /// See [`crate::engine::Engine::rewind`].
    pub(super) fn rewind_to(&mut self, to: Lsn, timeout: Duration) -> Result<Change, Error> {
        let wait = Wait::new(self.id, timeout);
        let _lock = self.store.lock_object(self.object, timeout)?;
        let result = self.lock_for_rewind(&wait).and_then(|()| self.rewind_locked(to));
        let _ = self.file.unlock(LockLevel::None);
        match result {
            Err(Halted::After(error)) => {
                // The guard is complete: let SQLite finish, now or when the next program comes.
                let _ = self.play_back(wait.left());
                Err(error.at_either())
            }
            Err(Halted::Before(error)) => Err(error),
            Ok(change) => Ok(change),
        }
    }

    fn lock_for_rewind(&mut self, wait: &Wait) -> Result<(), Halted> {
        loop {
            lock_wait::reserved(&mut self.file, wait)?;
            self.check_same_file()?;
            let journal = journal::path_for(&self.path);
            let hot = journal::is_hot(&journal).map_err(|source| Error::Io {
                action: "look at",
                path: journal.clone(),
                source,
            })?;
            if !hot {
                // Here, since connections in WAL mode hold SHARED for ever: waiting for them is no use.
                let present = self.present()?;
                self.check_journal_mode(&present)?;
                break;
            }
            // Its writer would hold RESERVED, which we have: it is dead, and its journal must go first.
            let _ = self.file.unlock(LockLevel::None);
            self.play_back(wait.left())?;
            wait.check("the journal of a dead process to be played back")?;
        }
        Ok(lock_wait::exclusive(&mut self.file, wait)?)
    }

    fn rewind_locked(&mut self, to: Lsn) -> Result<Change, Halted> {
        let present = self.present()?;
        if let Some(code) = self.store.broken(self.object) {
            return Err(Error::Stopped { code }.into());
        }
        if self.settle(&present)?.is_none() {
            return Err(self.not_attached(&present).into());
        }
        let (now, plan, unchanged) = {
            let mut history = locked(&self.history);
            history.catch_up()?;
            let timeline = &history.timeline;
            let now = timeline.last();
            let plan = timeline.plan(now, to).map_err(Error::from)?;
            (now, plan, timeline.canonical(now) == timeline.canonical(to))
        };
        let own = now
            .max(self.store.last_lsn(self.object))
            .next()
            .ok_or_else(|| Error::internal("the LSNs are used up"))?;
        let images = std::mem::take(&mut self.buffers.images);
        let mut work = Differences::new(self.store.clone(), self.object, own, self.block, images);
        work.compare(&mut self.file, &plan.items)?;
        let same_length = self.extent(present.size) == plan.extent;
        if unchanged && same_length && work.is_empty() {
            return Ok(Change { undo: now, pages: 0, method: Method::Nothing });
        }
        let pages = work.len();
        self.write(&mut work, &present, now, to, plan.extent)?;
        self.buffers.images = reusable(work.into_images());
        Ok(Change { undo: now, pages, method: Method::Written })
    }

    /// Everything is read and compared; from the guard's header on the rewind is going to happen.
    fn write(
        &mut self,
        work: &mut Differences,
        present: &Present,
        from: Lsn,
        target: Lsn,
        extent: Extent,
    ) -> Result<(), Halted> {
        let Some(header) = present.header.filter(|_| extent.get() > 0) else {
            let what = "the database had no bytes at that moment, which leaves no place for a change counter; \
                        set the mark after the first table is there";
            return Err(Error::Unsupported { what: what.to_owned() }.into());
        };
        let then = Header::parse(work.first_block())
            .ok_or_else(|| Error::internal("page 1 at the target is not one"))?;
        let registers = self.registers();
        let counter = registers.counter_above(header.counter, STEP + (journal::random() % STEPS) as u32);
        let cookie = match then.cookie == header.cookie {
            true => then.cookie,
            false => counters::fresh_cookie(registers.cookie().max(header.cookie).max(then.cookie))?,
        };
        let extent_now = self.extent(present.size);
        work.save(&mut self.file, extent_now, extent)?;
        Header::publish(work.first_block_mut(), header.versions, counter, cookie);

        let bytes = target_size(&then, extent, self.block);
        let sync = self.synchronous != Synchronous::Off;
        let intent = Intent { from, target, extent, time: Timestamp::now(), counter, cookie };
        self.store.append(self.head(Kind::Note, intent::TAG, work.own()), &[&intent.encode()])?;
        fault::place("rollback rewind: intent");
        let guard = self.guard(work, then.page_size, bytes, counter, sync)?;
        fault::place("rollback rewind: guard is hot");

        work.write_in_place(&mut self.file, bytes, present.size, sync).map_err(Halted::After)?;
        fault::place("rollback rewind: written in place");
        let path = journal::path_for(&self.path);
        let journal = guard
            .remove(self.synchronous == Synchronous::Full)
            .map_err(|source| Halted::After(Error::Io { action: "remove", path, source }))?;
        self.buffers.journal = reusable(journal);

        fault::place("rollback rewind: guard removed");
        settle::append_rewind(&self.store, self.object, work.own(), &intent)
            .map_err(|code| Halted::Before(Error::Stopped { code }.at_target()))?;
        fault::place("rollback rewind: recorded");
        let registers = self.registers();
        registers.raise_counter(counter);
        registers.raise_cookie(cookie);
        registers.set_in_flight(None);
        Ok(())
    }

    /// Writes the guard journal; when this returns it is hot.
    fn guard(
        &mut self,
        work: &mut Differences,
        page_size: u32,
        bytes: u64,
        counter: u32,
        sync: bool,
    ) -> Result<Guard, Halted> {
        let path = journal::path_for(&self.path);
        let io = |source| Error::Io { action: "write", path: path.clone(), source };
        let mut guard =
            Guard::begin(&self.path, page_size, counter, std::mem::take(&mut self.buffers.journal))
                .map_err(io)?;
        let pages = u32::try_from(bytes / u64::from(page_size)).unwrap_or(u32::MAX);
        let filled = work.for_each_page(&mut self.file, page_size, bytes, &mut |page, image| {
            guard.add(page, image).map_err(io)
        });
        let committed = filled.and_then(|()| {
            self.registers().set_in_flight(Some(InFlight::Rewind { counter }));
            fault::place("rollback rewind: body of the guard");
            guard.commit(pages, sync).map_err(io)
        });
        let Err(error) = committed else { return Ok(guard) };
        // Not one byte of the database has changed: without the journal nothing has happened.
        match guard.remove(sync) {
            Ok(_) => {
                self.registers().set_in_flight(None);
                Err(Halted::Before(error))
            }
            Err(_) => Err(Halted::After(error)),
        }
    }
}

/// Memory that one rewind leaves to the next: fresh pages cost more than what is written to them.
#[derive(Default, Debug)]
pub(super) struct Buffers {
    images: Vec<u8>,
    journal: Vec<u8>,
}

/// Keeps a buffer, unless it is large.
fn reusable(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    if buffer.capacity() > 8 << 20 { Vec::new() } else { buffer }
}

/// How long the file is at the target. Blocks tell it exactly, unless the pages are smaller than they.
fn target_size(then: &Header, extent: Extent, block: u32) -> u64 {
    let blocks = extent.get() * u64::from(block);
    match then.pages {
        Some(pages) if then.page_size < block => {
            let exact = u64::from(pages) * u64::from(then.page_size);
            if exact <= blocks { exact } else { blocks }
        }
        _ => blocks,
    }
}

/// Why a rewind stopped.
pub(super) enum Halted {
    /// Nothing has changed.
    Before(Error),
    /// The guard journal is hot: plain SQLite finishes the rewind.
    After(Error),
}

impl<E: Into<Error>> From<E> for Halted {
    fn from(error: E) -> Self {
        Self::Before(error.into())
    }
}
