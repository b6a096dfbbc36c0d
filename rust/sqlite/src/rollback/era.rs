//! What the file holds against what the records say: settled changes, new eras, anchors.

use dbrewind_core::{Engine as EraEngine, Kind, Lsn, Need, Timestamp};

use super::boundary;
use super::engine::Rollback;
use super::free_list::free_blocks;
use super::present::Present;
use super::settle;
use crate::engine::{locked, next_lsn};
use crate::error::Error;
use crate::file;
use crate::file::read_padded;
use crate::notes::{RollbackAnchor, tag};

impl Rollback {
    /// Records what came of a change whose process died. `None`: somebody wrote unrecorded.
    pub(super) fn settle(&mut self, present: &Present) -> Result<Option<()>, Error> {
        let registers = self.registers();
        let in_flight = registers.in_flight();
        let Some(outcome) = settle::outcome(in_flight, registers.counter(), present.counter()) else {
            return Ok(None);
        };
        if in_flight.is_some() {
            let extent = self.extent(present.size);
            settle::append(&self.store, self.object, outcome, extent, true)
                .map_err(|code| Error::stopped(&self.store, code))?;
            registers.raise_counter(present.counter());
            registers.raise_cookie(present.cookie());
            registers.set_in_flight(None);
        }
        Ok(Some(()))
    }

    /// Begins an era with what is there. Under a lock that keeps writers out, and the object's.
    pub(super) fn begin_era(&mut self, present: &Present, broken: bool) -> Result<Lsn, Error> {
        let extent = self.extent(present.size);
        let lsn = locked(&self.history).begin_era(EraEngine::Rollback, extent, broken)?;
        let registers = self.registers();
        // First of all: with the other words in place everybody goes on recording.
        registers.leave_wal_era();
        registers.set_boundary(lsn, extent.get());
        registers.begin(present.counter(), present.cookie());
        registers.set_in_flight(None);
        self.store.clear_broken(self.object);
        self.append_anchor(present, lsn)?;
        Ok(lsn)
    }

    /// Begins an era with what is there, the newest recorded moment, if it is time for one. Under SHARED and the object's lock; nothing is in flight.
    pub(super) fn begin_era_if_due(&mut self, present: &Present) -> Result<(), Error> {
        if !self.store.era_is_due(self.object) {
            return Ok(());
        }
        let lsn = locked(&self.history).boundary_lsn()?;
        let extent = self.extent(present.size);
        Ok(boundary::begin(&self.store, self.object, (lsn, extent), &self.anchor(present))?)
    }

    /// Saves the pages that are free at the beginning of an era: moments of the era before may need them, and from now
    /// on anybody may overwrite them without a trace. Under a lock that keeps writers out.
    pub(super) fn save_free(&mut self, era: Lsn) -> Result<(), Error> {
        let read = || Error::vfs("read the database");
        let lsn = next_lsn(era)?;
        let free = free_blocks(&mut self.file, self.block, |_| true).map_err(read())?;
        let mut image = vec![0; self.block as usize];
        for key in free {
            read_padded(&mut self.file, &mut image, (key - 1) * u64::from(self.block)).map_err(read())?;
            self.store.append(self.head(Kind::Before, key, lsn), &[&image])?;
        }
        Ok(())
    }

    /// Notes what the file looks like at this moment, for an attach that finds no registers.
    pub(super) fn append_anchor(&self, present: &Present, lsn: Lsn) -> Result<(), Error> {
        self.store.append(self.head(Kind::Note, tag::ANCHOR, lsn), &[&self.anchor(present).encode()])?;
        Ok(())
    }

    /// The same at the end of a recording, which leaves a full store as it is, if the newest anchor says so already.
    pub(super) fn leave_anchor(&self, present: &Present) -> Result<(), Error> {
        let lsn = self.store.last_lsn(self.object);
        let body = self.anchor(present).encode();
        let said = {
            let mut history = locked(&self.history);
            history.catch_up()?;
            let newest = history.timeline.notes(tag::ANCHOR).last();
            newest.is_some_and(|note| note.lsn == lsn && *note.body == *body)
        };
        if !said {
            self.store.append_in_need(Need::Keep, self.head(Kind::Note, tag::ANCHOR, lsn), &[&body])?;
        }
        Ok(())
    }

    fn anchor(&self, present: &Present) -> RollbackAnchor {
        RollbackAnchor {
            file: self.id,
            size: present.size,
            born: file::born(&self.path),
            counter: present.counter(),
        }
    }

    /// Whom else the file shows: for the text of DBR001.
    pub(super) fn not_attached(&self, present: &Present) -> Error {
        let (found, known) = (present.counter(), self.registers().counter());
        let who = super::holders::open_elsewhere(self.id)
            .map_or_else(String::new, |who| format!("; it is open in {who}"));
        let written = std::fs::metadata(&self.path).and_then(|file| file.modified());
        let when = written.map_or_else(
            |_| String::new(),
            |time| format!("; it was written last at {}", Timestamp::from(time).rfc3339()),
        );
        let what = format!(
            "its change counter is {found}, the newest recorded change left {known}{when}{who}. A connection that \
             was opened before the recording, or another VFS, or another program wrote to it. Earlier marks \
             are lost"
        );
        Error::NotAttached { what }
    }
}
