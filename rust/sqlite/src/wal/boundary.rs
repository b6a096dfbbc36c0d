//! A new era within WAL mode, so that what is before it can be evicted some day (`rust/docs/window.md`).

use dbrewind_core::{Engine as EraEngine, Extent};

use super::ahead::Beyond;
use super::core::Core;
use super::index::IndexHeader;
use crate::engine::{append_boundary, locked};
use crate::error::Error;
use crate::fault;
use crate::notes::tag;

impl Core {
    /// Begins an era at the WAL's end. Everything up to there is recorded and in the database file; WRITE and the object's lock
    /// are held.
    pub(super) fn begin_boundary(&mut self, header: &IndexHeader) -> Result<(), Error> {
        // The anchor before stays good until this one is there.
        let Some((anchor, settled)) = self.anchor_at(header.max_frame, false, false)? else { return Ok(()) };
        let run = self.run_note(header.max_frame, header.checksum, header.salt);
        let lsn = locked(&self.history).boundary_lsn()?;
        fault::place("wal boundary: numbered");
        let notes = [(tag::RUN, run.encode()), (tag::ANCHOR, anchor.encode())];
        // Whoever numbers a commit from now on must know that LSNs are counted anew: a kill may come before the records are
        // there, and a commit right after them.
        let registers = self.registers();
        let before = registers.newest_run();
        registers.announce_run(run.stamp(lsn.get()));
        fault::place("wal boundary: announced");
        let era = (EraEngine::Wal, lsn, Extent::new(self.extent));
        if let Err(error) = append_boundary(&self.store, self.object, era, &notes) {
            registers.announce_run(before);
            return Err(error.into());
        }
        fault::place("wal boundary: recorded");
        // Images of a transaction that came to nothing have the numbers of the era before.
        self.beyond = Beyond::default();
        (self.anchor_pending, self.anchor_frame) = (!settled, header.max_frame);
        self.catch_up()?;
        Ok(())
    }
}
