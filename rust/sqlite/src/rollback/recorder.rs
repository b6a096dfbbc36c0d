//! What a write takes away, saved before it happens.

#[cfg(test)]
mod tests;
mod transaction;

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dbrewind_core::{Code, Extent, Head, Key, Kind, Lsn, ObjectId, Store};

use super::boundary;
use super::free_list::free_blocks;
use super::journal;
use super::page_set::PageSet;
use super::settle::{self, Outcome};
use crate::fault;
use crate::ffi::{HostVfs, full_barrier};
use crate::file::{self, Content, FileId, Header, read_padded};
use crate::handover::{Handover, Prepare};
use crate::in_flight::InFlight;
use crate::notes::{RollbackAnchor, WriterNote, own_key, tag};
use crate::registers::Registers;
use transaction::{Session, Transaction};

/// Saves the images of one database file for all connections of this process.
///
/// SQLite writes to the file only under its EXCLUSIVE lock, which orders the writers of all processes: at
/// any time at most one recorder of a file, on one machine, is between its first write and its end.
#[derive(Debug)]
pub(crate) struct Recorder {
    store: Store,
    object: ObjectId,
    /// Size of a block in bytes: the page size at the first attach. Blocks stay what they are when the page
    /// size changes.
    block: u32,
    /// `None`: no handle of this process would take a handover.
    prepare: Option<Prepare>,
    /// This process. Its children cannot use the store.
    process: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What `captured` is about: the boundary, and the length in blocks at it.
    boundary: Lsn,
    extent: u64,
    /// The blocks that have an image above the boundary.
    captured: PageSet,
    /// Blocks of pages that were free at the boundary already, as far as the first trunk of the list names them.
    free: PageSet,
    transaction: Option<Transaction>,
    image: Vec<u8>,
    session: Session,
    /// The beginning of the era in which it was said whose the commits are.
    introduced: Option<Lsn>,
}

impl Recorder {
    /// Blocks are `block` bytes each.
    pub(crate) fn new(store: Store, object: ObjectId, block: u32, prepare: Option<Prepare>) -> Self {
        Self { store, object, block, prepare, process: std::process::id(), state: Mutex::default() }
    }

    /// The store it writes to.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// A panic in a callback is reported by [`Recorder::defect`]; the state is not used after it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn registers(&self) -> Registers<'_> {
        Registers::new(&self.store, self.object)
    }

    /// These bytes are about to be written to the file.
    pub(crate) fn before_write(&self, file: &mut dyn Content, journal: &Path, bytes: &[u8], offset: u64) {
        let Some(last) = (bytes.len() as u64).checked_sub(1).and_then(|more| offset.checked_add(more)) else {
            return;
        };
        let mut state = self.state();
        let page_one = Some(bytes).filter(|bytes| offset == 0 && bytes.len() >= Header::LEN);
        if self.begin(&mut state, file, journal, page_one) {
            let block = u64::from(self.block);
            let blocks = offset / block + 1..=last / block + 1;
            self.capture(&mut state, file, *blocks.start(), *blocks.end());
            if let Some(transaction) = &mut state.transaction {
                blocks.for_each(|key| transaction.written.insert(key));
            }
        }
        if let Some(bytes) = page_one {
            Self::page_one(&mut state, bytes);
        }
    }

    /// The file is about to get this size.
    pub(crate) fn before_truncate(&self, file: &mut dyn Content, journal: &Path, size: u64) {
        let mut state = self.state();
        if self.begin(&mut state, file, journal, None) {
            let block = u64::from(self.block);
            let extent = state.extent;
            self.capture(&mut state, file, size / block + 1, extent);
        }
    }

    /// Begins a transaction at its first write; `page_one`: what it writes there, if that comes first. Whether images are to be
    /// saved.
    fn begin(
        &self,
        state: &mut State,
        file: &mut dyn Content,
        journal: &Path,
        page_one: Option<&[u8]>,
    ) -> bool {
        if let Some(transaction) = &state.transaction {
            return !transaction.deaf;
        }
        if self.registers().in_wal_era() || self.is_in_wal_mode(file, page_one) {
            // Back-filled from a WAL, whose era knows no before-images; or the mode was changed back by somebody who does
            // not record, which the next attach notices.
            state.transaction = Some(Transaction::deaf());
            return false;
        }
        // Before anything is saved: from then on more must be.
        if let Err(code) = self.settle_rewind(file, journal) {
            self.store.set_broken(self.object, code);
        }
        let registers = self.registers();
        let (boundary, extent) = registers.boundary();
        if boundary != state.boundary {
            // No mark can be set while a transaction writes: it needs a SHARED lock.
            state.captured.clear();
            state.boundary = boundary;
            state.free = self.first_free(file);
        }
        state.extent = extent;
        let mut lsn = self.store.last_lsn(self.object).next();
        let mut unsettled = None;
        let deaf = self.store.broken(self.object).is_some();
        if registers.in_flight().is_some() {
            // Its outcome gets the next LSN, once this transaction turns out to be none that repairs it.
            let mut counter = [0; 4];
            let read = read_padded(file, &mut counter, file::COUNTER as u64);
            unsettled = read.is_ok().then_some(u32::from_be_bytes(counter));
            lsn = lsn.and_then(Lsn::next);
        } else if !deaf {
            registers.set_in_flight(Some(InFlight::Transaction));
        }
        let deaf = deaf || lsn.is_none();
        let era = self.store.era_began(self.object);
        if !deaf && state.introduced != Some(era) && self.introduce() {
            state.introduced = Some(era);
        }
        let lsn = lsn.unwrap_or_default();
        state.transaction = Some(Transaction { unsettled, deaf, ..Transaction::at(lsn) });
        if !deaf && state.session == Session::Committed {
            state.session = Session::Announced;
            if let Err(code) = self.announce_same_counter() {
                self.store.set_broken(self.object, code);
            }
        }
        !deaf
    }

    /// Whether the file is in WAL mode. It costs no look at it where a transaction's first write tells: SQLite counts on from what is in the
    /// file, and nobody changes the mode without counting.
    fn is_in_wal_mode(&self, file: &mut dyn Content, page_one: Option<&[u8]>) -> bool {
        let next = self.registers().counter().wrapping_add(1);
        let written = page_one.and_then(Header::parse);
        if written.is_some_and(|header| header.counter == next && header.versions == [1, 1]) {
            return false;
        }
        let mut versions = [0; 2];
        read_padded(file, &mut versions, file::VERSIONS as u64).is_ok() && versions == [2, 2]
    }

    /// Says which process it is whose commits follow. Where it could not be said they tell no more than its number, until the next
    /// transaction says it.
    fn introduce(&self) -> bool {
        let head =
            Head::new(Kind::Note, self.object, Key::new(tag::WRITER), self.store.last_lsn(self.object));
        self.store.append(head, &[&WriterNote::own().encode()]).is_ok()
    }

    /// Says, before anything is written, that the file will change under the counter it has: after a power cut that
    /// takes the rest of the log, the counter alone would not show it.
    fn announce_same_counter(&self) -> Result<(), Code> {
        let lsn = self.store.last_lsn(self.object);
        let head = Head::new(Kind::Note, self.object, Key::new(tag::SAME_COUNTER), lsn);
        let counter = self.registers().counter().to_le_bytes();
        self.store.append(head, &[&counter]).map_err(|error| error.code())?;
        self.store.sync().map_err(|error| error.code())
    }

    /// Records a dead process's rewind that has come to its end. Nothing happens while its journal is there:
    /// a connection in journal_mode=OFF writes without looking for one.
    fn settle_rewind(&self, file: &mut dyn Content, journal: &Path) -> Result<(), Code> {
        let registers = self.registers();
        let dead = registers.in_flight();
        let Some(InFlight::Rewind { counter }) = dead else { return Ok(()) };
        if journal::is_guard(journal, counter) {
            return Ok(());
        }
        let mut page = [0; Header::LEN];
        read_padded(file, &mut page, 0).map_err(|_| Code::Io)?;
        let Some(header) = Header::parse(&page) else { return Ok(()) };
        let Some(outcome) = settle::outcome(dead, registers.counter(), header.counter) else {
            return Ok(());
        };
        settle::append(&self.store, self.object, outcome, Extent::default(), false)?;
        registers.raise_counter(header.counter);
        registers.raise_cookie(header.cookie);
        registers.set_in_flight(None);
        Ok(())
    }

    /// Saves the blocks from `first` to `last`, as far as a moment needs them and they are not saved yet.
    fn capture(&self, state: &mut State, file: &mut dyn Content, first: u64, last: u64) {
        self.capture_each(state, file, first, last);
        // Pairs with the barrier of a view between its read of the file and its look into the log: who sees what is written
        // next finds what it replaced.
        full_barrier();
    }

    fn capture_each(&self, state: &mut State, file: &mut dyn Content, first: u64, last: u64) {
        for key in first..=last.min(state.extent) {
            if state.captured.contains(key) {
                continue;
            }
            let Some(transaction) = &mut state.transaction else { return };
            state.image.resize(self.block as usize, 0);
            let offset = (key - 1) * u64::from(self.block);
            if read_padded(file, &mut state.image, offset).is_err() {
                transaction.deaf = true;
                return self.store.set_broken(self.object, Code::Io);
            }
            let head = Head::new(Kind::Before, self.object, Key::new(key), transaction.lsn);
            if let Err(error) = self.store.append(head, &[&state.image]) {
                // The application's write is none of our business: it happens unrecorded.
                transaction.deaf = true;
                return self.store.set_broken(self.object, error.code());
            }
            transaction.saved = true;
            state.captured.insert(key);
            fault::place("rollback capture");
        }
    }

    /// The blocks of the first trunk's leaves. What else is free already is found again when it matters, and then saved
    /// without need.
    fn first_free(&self, file: &mut dyn Content) -> PageSet {
        let mut free = PageSet::default();
        let mut first = true;
        if let Ok(found) = free_blocks(file, self.block, |_| std::mem::take(&mut first)) {
            found.into_iter().for_each(|key| free.insert(key));
        }
        free
    }

    /// Saves the pages that the transaction has made free: from now on anybody may overwrite them without a trace.
    /// `Err`: they are not saved, and recording has stopped.
    fn capture_freed(&self, file: &mut dyn Content) -> Result<(), Code> {
        let mut state = self.state();
        let block = self.block;
        let Some(transaction) = &state.transaction else { return Ok(()) };
        // Most transactions leave the list alone, and cost no look at it.
        let trunk = transaction.first_trunk.map(|at| at / u64::from(block) + 1);
        if transaction.deaf || !trunk.is_some_and(|key| transaction.written.contains(key)) {
            return Ok(());
        }
        let written = |mut trunk: RangeInclusive<u64>| trunk.any(|key| transaction.written.contains(key));
        for key in free_blocks(file, block, written).map_err(|_| Code::Io)? {
            if !state.free.contains(key) {
                self.capture(&mut state, file, key, key);
            }
        }
        match state.transaction.as_ref().is_some_and(|transaction| transaction.deaf) {
            true => Err(self.store.broken(self.object).unwrap_or(Code::Io)),
            false => Ok(()),
        }
    }

    /// A page 1 is about to be written.
    fn page_one(state: &mut State, bytes: &[u8]) {
        let Some(transaction) = &mut state.transaction else { return };
        let (counter, header) = (file::number(bytes, file::COUNTER), Header::parse(bytes));
        let first = u64::from(file::number(bytes, file::FIRST_TRUNK)).checked_sub(1);
        transaction.first_trunk =
            header.zip(first).map(|(header, before)| before * u64::from(header.page_size));
        // A version of the file format that nobody knows: the counter that this leaves is not a known one, and
        // from then on every look at it refuses.
        transaction.deaf |= header.is_some_and(|header| !matches!(header.versions, [1, 1] | [2, 2]));
        transaction.wal = header.map_or(transaction.wal, |header| header.versions == [2, 2]);
        let first = transaction.counters.map_or(counter, |(first, _)| first);
        transaction.counters = Some((first, counter));
        transaction.cookie = header.map(|header| header.cookie).or(transaction.cookie);
    }

    /// The transaction is committed; the EXCLUSIVE lock is still held. Nothing happens if it wrote nothing.
    /// Answers whether it was recorded and the database is in WAL mode now.
    pub(crate) fn committed(&self, file: &mut dyn Content) -> bool {
        let freed = self.capture_freed(file);
        let Some(transaction) = self.take_committed() else { return false };
        if let Err(code) = freed {
            self.store.set_broken(self.object, code);
            return false;
        }
        if transaction.deaf {
            return false;
        }
        match self.record_commit(&transaction, file) {
            Ok(recorded) => recorded && transaction.wal,
            Err(code) => {
                self.store.set_broken(self.object, code);
                false
            }
        }
    }

    /// Begins an era if it is time for one: right after a recorded commit, with EXCLUSIVE still held.
    pub(crate) fn begin_era_if_due(&self, file: &mut dyn Content, id: FileId, path: &Path) {
        if !self.store.era_is_due_after_commit(self.object) || self.store.broken(self.object).is_some() {
            return;
        }
        let registers = self.registers();
        let mut state = self.state();
        if state.transaction.is_some() || registers.in_flight().is_some() {
            return;
        }
        // Who is in the midst of something goes first; the next commit asks again.
        let Ok(_object) = self.store.lock_object(self.object, Duration::ZERO) else { return };
        let mut page = [0; Header::LEN];
        let header = read_padded(file, &mut page, 0).ok().and_then(|()| Header::parse(&page));
        let (Some(header), Ok(size)) = (header, file.size()) else { return };
        let Some(lsn) = self.store.last_lsn(self.object).next() else { return };
        if header.counter != registers.counter() || header.versions != [1, 1] {
            return;
        }
        self.store.raise_last_lsn(self.object, lsn);
        let anchor = RollbackAnchor { file: id, size, born: file::born(path), counter: header.counter };
        let extent = Extent::new(size.div_ceil(u64::from(self.block)));
        if boundary::begin(&self.store, self.object, (lsn, extent), &anchor).is_ok()
            && state.session == Session::Announced
        {
            // The anchor stands behind the announcement now.
            state.session = Session::Committed;
        }
    }

    /// The transaction, which is committed.
    fn take_committed(&self) -> Option<Transaction> {
        let mut state = self.state();
        if state.session == Session::New {
            state.session = Session::Committed;
        }
        state.transaction.take()
    }

    /// The handle that keeps the new WAL until the WAL engine has it. The connection that switched to WAL mode
    /// still has EXCLUSIVE on the database at this path. `None`: what is in the file is not the newest commit.
    pub(crate) fn prepare_handover(&self, vfs: HostVfs, path: &Path) -> Option<Handover> {
        let registers = self.registers();
        let at_rest = self.state().transaction.is_none() && registers.in_flight().is_none();
        if !at_rest || self.store.broken(self.object).is_some() {
            return None;
        }
        self.prepare?(vfs, path, (&self.store, self.object), registers.counter())
    }

    /// Answers whether there is a `COMMIT` now.
    fn record_commit(&self, transaction: &Transaction, file: &mut dyn Content) -> Result<bool, Code> {
        let registers = self.registers();
        let known = registers.counter();
        let extent = file.size().map_err(|_| Code::Io)?.div_ceil(u64::from(self.block));
        let before = match transaction.unsettled {
            None => known,
            Some(before) => {
                let settled = settle::outcome(registers.in_flight(), known, before);
                // Not explained: somebody unknown wrote. The register stays, and whoever asks next sees it.
                // Nor does a rewind whose journal is still there: this connection did not look for it.
                let Some(outcome @ (Outcome::Undone | Outcome::Commit)) = settled else { return Ok(false) };
                // This transaction has saved nothing for it.
                settle::append(&self.store, self.object, outcome, Extent::new(extent), false)?;
                before
            }
        };
        // SQLite counts on from what it found in the file. Another number: a commit nobody recorded. Then
        // the register is not raised either, and the next check finds the file ahead of it.
        let follows = |first: u32| first == before || first == before.wrapping_add(1);
        let recorded = transaction.counters.is_none_or(|(first, _)| follows(first));
        if recorded {
            // PHASETWO comes when the journal is gone.
            let counter = transaction.counters.map_or(before, |(_, newest)| newest);
            registers.set_in_flight(Some(InFlight::Committed { counter }));
            // First the number, then the record: a number without a record is a gap, which is harmless.
            fault::place("rollback commit: not numbered");
            self.store.raise_last_lsn(self.object, transaction.lsn);
            fault::place("rollback commit: not recorded");
            let (lsn, extent) = (transaction.lsn, Extent::new(extent));
            settle::append_commit(&self.store, self.object, lsn, extent, true, own_key(self.process))?;
            fault::place("rollback commit: registers not raised");
            registers.raise_counter(counter);
            if let Some(cookie) = transaction.cookie {
                registers.raise_cookie(cookie);
            }
        }
        registers.set_in_flight(None);
        Ok(recorded)
    }

    /// The connection lowers its lock: what was not committed has been rolled back, or a hot journal was
    /// played back. If it has written to free pages, which are not restored, what is there now is a moment of its own.
    pub(crate) fn rolled_back(&self, file: &mut dyn Content) {
        let Some(transaction) = self.take_last() else { return };
        if transaction.deaf || transaction.unsettled.is_some() {
            return;
        }
        match self.record_remains(&transaction, file) {
            Ok(()) => self.registers().set_in_flight(None),
            Err(code) => self.store.set_broken(self.object, code),
        }
    }

    /// The connection lowers its lock and may have worked without a journal: what it has written and not committed stays.
    /// That is a commit as any other, so that it is never taken for the moment before.
    pub(crate) fn left_torn(&self, file: &mut dyn Content) {
        let mut counter = [0; 4];
        let read = read_padded(file, &mut counter, file::COUNTER as u64);
        if let Some(transaction) = &mut self.state().transaction {
            transaction.deaf |= read.is_err();
            // A page 1 that it meant to write may not have come into the file.
            let there = u32::from_be_bytes(counter);
            transaction.counters = transaction.counters.filter(|(_, newest)| *newest == there);
        }
        self.committed(file);
        self.state().session = Session::New;
    }

    /// The transaction, which was not committed, at the end of a session.
    fn take_last(&self) -> Option<Transaction> {
        let mut state = self.state();
        state.session = Session::New;
        state.transaction.take()
    }

    /// See [`Recorder::rolled_back`].
    fn record_remains(&self, transaction: &Transaction, file: &mut dyn Content) -> Result<(), Code> {
        let free = free_blocks(file, self.block, |_| true).map_err(|_| Code::Io)?;
        if !free.into_iter().any(|key| transaction.written.contains(key)) {
            self.take_back(transaction);
            return Ok(());
        }
        let size = file.size().map_err(|_| Code::Io)?;
        let extent = Extent::new(size.div_ceil(u64::from(self.block)));
        settle::append(&self.store, self.object, Outcome::Commit, extent, true)
    }

    /// Says that no commit belongs to the images of a transaction: without a commit behind them they would be a sign, after a
    /// power cut, of records that it took.
    fn take_back(&self, transaction: &Transaction) {
        if transaction.saved {
            let lsn = self.store.last_lsn(self.object);
            let head = Head::new(Kind::Void, self.object, Key::new(0), lsn);
            // Not said, it is lost after a power cut, and nothing else is different.
            let _ = self.store.append(head, &[]);
        }
    }

    /// Our own code failed: recording cannot be relied on any more.
    pub(crate) fn defect(&self) {
        self.store.set_broken(self.object, Code::Internal);
    }
}
