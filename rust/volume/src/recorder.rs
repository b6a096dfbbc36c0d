//! What a write takes away, saved before it happens.

use std::ops::RangeInclusive;
use std::time::Duration;

use dbrewind_core::{CommitBody, Engine, Kind, Lsn, fault};

use crate::blocks::LENGTH;
use crate::content::{image_of_record, key_of_record};
use crate::error::Error;
use crate::intent::tag;
use crate::registers::InFlight;
use crate::volume::{State, Volume};

impl Volume {
    /// Says that this range of bytes is about to be written, also past the end: with the engine's lock held, before the write. What no
    /// image was saved of since the newest mark is read and saved.
    ///
    /// # Errors
    /// `DBR010`, `DBR025` and others when it could not be saved. Recording has stopped then, for all who have the volume attached, and
    /// earlier marks are lost; the write may go ahead. Not so when a rewind is half done that cannot be finished, as
    /// [`enter`](Self::enter) says, nor for `DBR019`, `DBR020` and `DBR022`: then nothing may be written.
    pub fn will_write(&self, offset: u64, length: u64) -> Result<(), Error> {
        self.will_write_with(offset, length, &[])
    }

    /// The same from an engine that has the present content at hand: `old` is what stands at `offset` and behind it, as far as it knows and
    /// as far as the content goes. Blocks that it covers are not read.
    ///
    /// It is believed: bytes that were not there come back with a rewind.
    ///
    /// # Errors
    /// As [`will_write`](Self::will_write).
    pub fn will_write_with(&self, offset: u64, length: u64, old: &[u8]) -> Result<(), Error> {
        let blocks = self.content.blocks()?;
        let Some(more) = length.checked_sub(1) else { return self.check() };
        let Some(last) = offset.checked_add(more) else {
            return Err(Error::Invalid { what: format!("{length} bytes at {offset} end past 2^64") });
        };
        let keys = |_| blocks.key_at(offset)..=blocks.key_at(last);
        self.save(keys, |key, size, image| {
            let (begin, there) = blocks.part_of(key, size);
            let from = begin.checked_sub(offset).and_then(|from| usize::try_from(from).ok());
            let range = from.and_then(|from| Some(from..from.checked_add(there)?));
            let Some(found) = range.and_then(|range| old.get(range)) else { return Ok(false) };
            image.clear();
            image.extend_from_slice(found);
            image.resize(blocks.size() as usize, 0);
            Ok(true)
        })
    }

    /// Says that the content is about to get this length, in bytes: with the engine's lock held, before it does.
    ///
    /// # Errors
    /// As [`will_write`](Self::will_write).
    pub fn will_truncate(&self, size: u64) -> Result<(), Error> {
        let blocks = self.content.blocks()?;
        self.save(|extent| blocks.key_at(size)..=extent, |_, _, _| Ok(false))
    }

    /// Says that the record under a key is about to be inserted, changed or removed: with the engine's lock held, before it is. If no image
    /// was saved of it since the newest mark, it is read and saved.
    ///
    /// # Errors
    /// As [`will_write`](Self::will_write); `DBR021` for a record that is longer than [`LONGEST_RECORD`](crate::LONGEST_RECORD).
    pub fn will_change(&self, key: u64) -> Result<(), Error> {
        let key = self.record_key(key)?;
        self.save(|_| key..=key, |_, _, _| Ok(false))
    }

    /// The same from an engine that has the present record at hand, which is not read then. `None`: there is none.
    ///
    /// It is believed: a record that was not there comes back with a rewind.
    ///
    /// # Errors
    /// As [`will_write`](Self::will_write).
    pub fn will_change_with(&self, key: u64, old: Option<&[u8]>) -> Result<(), Error> {
        let key = self.record_key(key)?;
        self.save(|_| key..=key, |_, _, image| image_of_record(old, image).map(|()| true))
    }

    fn record_key(&self, key: u64) -> Result<u64, Error> {
        self.content.check_records()?;
        key_of_record(key)
    }

    /// Says that the change is complete: with the engine's lock held, after the last write. Answers the new moment; without a
    /// change, the newest one.
    ///
    /// # Errors
    /// When it cannot be recorded. The change happened, and counts as soon as anybody comes who can record it.
    pub fn commit(&self) -> Result<Lsn, Error> {
        self.check()?;
        self.check_recording()?;
        let mut state = self.state();
        match self.registers().in_flight() {
            InFlight::Change if state.writing => {
                self.record_commit(&mut state)?;
                self.begin_era_after_commit();
            }
            _ => self.settle(&mut state)?,
        }
        state.writing = false;
        Ok(self.store.last_lsn(self.object))
    }

    /// Saves the images of these keys; `keys` is told the extent at the boundary. `given` puts the image of a key, in a content of a length, where
    /// it is told, if it has it.
    fn save(
        &self,
        keys: impl FnOnce(u64) -> RangeInclusive<u64>,
        given: impl Fn(u64, u64, &mut Vec<u8>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        self.check()?;
        self.check_recording()?;
        let mut state = self.state();
        // For engines that have not entered.
        let settled = self.settle_others(&mut state);
        if settled.is_err() && self.registers().in_flight() == InFlight::Rewind {
            return settled;
        }
        let saved = settled
            .and_then(|()| self.begin(&mut state))
            .and_then(|extent| self.capture(&mut state, keys(extent), extent, given));
        saved.inspect_err(|error| self.store.set_broken(self.object, error.code()))
    }

    /// Announces a change, if it is not yet; answers the extent at the boundary.
    fn begin(&self, state: &mut State) -> Result<u64, Error> {
        let registers = self.registers();
        let (boundary, extent) = registers.boundary();
        if boundary != state.boundary {
            state.captured.clear();
            state.boundary = boundary;
        }
        self.announce()?;
        if registers.in_flight() == InFlight::Nothing {
            registers.set_in_flight(InFlight::Change);
            fault::place("volume change: announced");
        }
        state.writing = true;
        Ok(extent)
    }

    fn capture(
        &self,
        state: &mut State,
        keys: RangeInclusive<u64>,
        extent: u64,
        given: impl Fn(u64, u64, &mut Vec<u8>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let lsn = self.next_lsn()?;
        let mut size = None;
        if self.content.is_length(LENGTH) && !state.captured.contains(LENGTH) {
            let length = *size.insert(self.size()?);
            self.store.append(self.head(Kind::Before, LENGTH, lsn), &[&length.to_le_bytes()])?;
            state.captured.insert(LENGTH);
        }
        let mut image = std::mem::take(&mut state.image);
        for key in *keys.start()..=(*keys.end()).min(extent) {
            if state.captured.contains(key) {
                continue;
            }
            let size = match size {
                Some(size) => size,
                None => *size.insert(self.size()?),
            };
            if !given(key, size, &mut image)? {
                self.content.read_image(key, size, &mut image)?;
            }
            self.store.append(self.head(Kind::Before, key, lsn), &[self.content.shortened(key, &image)])?;
            state.captured.insert(key);
            fault::place("volume change: one saved");
        }
        state.image = image;
        Ok(())
    }

    /// Says, once before the first change after the content was at rest, that it changes: before a power cut could take the change's
    /// records and leave the change.
    pub(crate) fn announce(&self) -> Result<(), Error> {
        let registers = self.registers();
        if registers.opened() {
            return Ok(());
        }
        let lsn = self.store.last_lsn(self.object);
        self.store.append(self.head(Kind::Note, tag::OPENED, lsn), &[])?;
        // However little the engine waits for the disk: *closed* is there, and would go on to say that nothing was written since.
        if self.content.storage().syncs() {
            self.store.sync()?;
        }
        registers.set_opened(true);
        Ok(())
    }

    /// The LSN after all that were announced.
    pub(crate) fn next_lsn(&self) -> Result<Lsn, Error> {
        let what = "the LSNs are used up";
        self.store.last_lsn(self.object).next().ok_or(Error::Damaged { what })
    }

    /// What is there becomes a moment.
    pub(crate) fn record_commit(&self, state: &mut State) -> Result<(), Error> {
        let extent = self.extent(self.size()?);
        let lsn = self.next_lsn()?;
        // First the number, then the record: a number without a record is a gap, which is harmless.
        self.store.raise_last_lsn(self.object, lsn);
        fault::place("volume commit: numbered");
        let body = CommitBody { time: self.store.next_time(self.object), extent };
        self.store.append(self.head(Kind::Commit, 0, lsn), &[&body.encode()])?;
        fault::place("volume commit: recorded");
        self.registers().set_in_flight(InFlight::Nothing);
        state.writing = false;
        Ok(())
    }

    /// Begins an era if it is time for one, so that what is before it can be evicted some day.
    fn begin_era_after_commit(&self) {
        if !self.store.era_is_due_after_commit(self.object) {
            return;
        }
        // Who is in the midst of something goes first; the next commit asks again.
        let Ok(_object) = self.store.lock_object(self.object, Duration::ZERO) else { return };
        let Ok(size) = self.size() else { return };
        // Nothing is lost without: the next one tries again, or the store fills, and says so.
        let _ = self.begin_next_era(size, Duration::ZERO);
    }

    /// Begins an era with the present content, which is the newest recorded moment. Under the engine's lock and the object's.
    /// `timeout`: how long to wait for a process that was stopped in the midst of a record.
    pub(crate) fn begin_next_era(&self, size: u64, timeout: Duration) -> Result<(), Error> {
        let mut history = self.history();
        self.catch_up(&mut history, timeout)?;
        let highest = history.highest().max(self.store.last_lsn(self.object));
        let lsn = highest.next().ok_or(Error::Damaged { what: "the LSNs are used up" })?;
        let extent = self.extent(size);
        // First the number, so that no change gets one that is not above the boundary; then the boundary: once the era is there, its
        // beginning must stay what it is.
        self.store.raise_last_lsn(self.object, lsn);
        self.registers().set_boundary(lsn, extent);
        fault::place("volume era: boundary moved");
        let opened = [(tag::OPENED, Vec::new())];
        self.store.append_era(self.object, (Engine::Rollback, lsn), (extent, false), &opened)?;
        Ok(())
    }
}
