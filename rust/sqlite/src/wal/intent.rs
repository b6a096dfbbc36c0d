//! What came of a rewind that was announced and is not recorded.

use std::time::Duration;

use dbrewind_core::{Kind, Lsn, Need};

use super::core::{Core, damaged_note};
use super::index::IndexHeader;
use super::locks::WRITE;
use super::notes::IntentNote;
use crate::engine::locked;
use crate::error::Error;
use crate::notes::tag;

impl Core {
    /// A rewind that was killed: did it happen? `false`: nobody can tell.
    pub(super) fn finish_intent(&mut self, header: &IndexHeader) -> Result<bool, Error> {
        let Some((intent, lsn)) = self.open_intent()? else { return Ok(true) };
        let (from, to) = (Lsn::new(intent.from), Lsn::new(intent.target));
        let last = intent.frame.saturating_sub(1);
        if header.max_frame < last || last == 0 {
            return Ok(false);
        }
        let there = match header.max_frame > last {
            true => self.checksum_of(intent.frame, header.salt)?,
            false => None,
        };
        if there == Some(intent.checksum) {
            let pages = self.wal.frame_header(intent.frame)?.commit;
            let note = self.run_note(intent.frame, intent.checksum, header.salt);
            self.record_run(lsn, &note)?;
            self.record_rewind(lsn, from, to, u64::from(pages))?;
            self.catch_up()?;
            return Ok(true);
        }
        if header.max_frame >= intent.last
            && self.checksum_of(intent.last, header.salt)? == Some(intent.last_checksum)
        {
            // The old chain is whole: it did not happen. Or it was torn, and others have committed the very same frames
            // since, all of them: then every moment of the old chain is what it was, too.
            return self.say_that_nothing_came_of(&intent, lsn).map(|()| true);
        }
        // The new frame was torn: the chain ends at the target's own state, and what others have committed since
        // follows it.
        let end = self.wal.frame_header(last)?;
        if end.salt != header.salt || end.commit == 0 {
            return Ok(false);
        }
        let note = self.run_note(last, end.checksum, header.salt);
        self.record_run(lsn, &note)?;
        self.record_rewind(lsn, from, to, u64::from(end.commit))?;
        if header.max_frame == last {
            // The abandoned frames in the file must be cut off from it, hence a frame of our own.
            let what = "another connection has an open write transaction";
            self.with_exclusive(WRITE, self.timeout, what, |core| {
                let header = core.header()?;
                core.append_pages(&header, &[], header.pages, (lsn, lsn))
            })?;
        }
        self.catch_up()?;
        Ok(true)
    }

    /// The newest intent, if nothing was recorded of what came of it.
    fn open_intent(&self) -> Result<Option<(IntentNote, Lsn)>, Error> {
        let history = locked(&self.history);
        let Some(note) = history.timeline.notes(tag::WAL_INTENT).last() else { return Ok(None) };
        let is_recorded = history.timeline.rewinds().iter().any(|rewind| rewind.lsn == note.lsn);
        if is_recorded || note.lsn <= self.tailed {
            return Ok(None);
        }
        let intent = IntentNote::decode(&note.body).ok_or_else(|| damaged_note("intent", note.lsn))?;
        Ok(Some((intent, note.lsn)))
    }

    /// Says at the end of a recording that a rewind did not happen, where nobody has committed since. It could not be said when the recording
    /// began, since somebody had WRITE then. Everything up to the WAL's end is recorded, and the object's lock is held.
    pub(super) fn say_what_was_left_open(&mut self) -> Result<(), Error> {
        match self.open_intent()? {
            Some((intent, lsn)) => self.say_that_nothing_came_of(&intent, lsn),
            None => Ok(()),
        }
    }

    /// Says that a rewind did not happen, unless somebody has committed since, or is about to: then what is recorded of that says enough.
    fn say_that_nothing_came_of(&mut self, intent: &IntentNote, lsn: Lsn) -> Result<(), Error> {
        let what = "another connection has an open write transaction";
        let said = self.with_exclusive(WRITE, Duration::ZERO, what, |core| {
            let header = core.index.watch().header();
            // By moments, not by frames: the WAL may have been begun anew since.
            match header.and_then(|header| core.lsn_now(&header).ok()) == Some(Lsn::new(intent.from)) {
                true => core.nothing_came_of(intent, lsn).and_then(|()| core.catch_up()),
                false => Ok(()),
            }
        });
        match said {
            Err(error) if error.is_full() || matches!(error, Error::Busy { .. }) => Ok(()),
            said => said,
        }
    }

    /// Records that a rewind did not happen which had an intent with this LSN, as one to the moment at which the database stands: else
    /// something would be said of a moment that nobody knows, and no anchor be the last word. Nobody has committed since, and WRITE is held.
    pub(super) fn nothing_came_of(&mut self, intent: &IntentNote, lsn: Lsn) -> Result<(), Error> {
        let (header, stays) = (self.header()?, Lsn::new(intent.from));
        let (note, pages) =
            (self.run_note(header.max_frame, header.checksum, header.salt), u64::from(header.pages));
        let run = (self.head(Kind::Note, tag::RUN, lsn), note.encode());
        let rewind = self.rewind_record(lsn, stays, stays, pages);
        self.store.reserve(Need::Keep, vec![run, rewind])?.commit()?;
        self.runs.push(lsn, &note);
        self.registers().announce_run(self.runs.stamp());
        self.is_at(lsn, pages);
        Ok(())
    }
}
