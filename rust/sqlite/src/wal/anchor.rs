//! Whether anything happened to the database while nobody recorded.

use std::path::Path;

use dbrewind_core::{Kind, Lsn, Timestamp};

use super::core::{Core, damaged_note};
use super::index::{IndexHeader, WalIndex};
use crate::checksum::{Checksum, Salt};
use crate::engine::locked;
use crate::error::Error;
use crate::ffi;
use crate::file::FileState;
use crate::notes::{WalAnchor, tag};

/// A write at least this much later than another one is sure to have a later time stamp.
const GRAIN_NS: u64 = 20_000_000;
/// The same on a file system whose times are seconds, or every other one.
const COARSE_NS: u64 = 2_020_000_000;

/// What the file system says, and whether its times are old enough for any later write to change them.
pub(crate) fn observe(path: &Path) -> Result<(FileState, bool), Error> {
    // The clock first: it must not be later than the observation.
    let now = Timestamp::now().get();
    let stat = std::fs::metadata(path);
    let stat = stat.map_err(|source| Error::Io { action: "stat", path: path.to_owned(), source })?;
    let state = FileState::from(&stat);
    let newest = state.modified.max(state.changed);
    // Whole seconds: a file system that keeps no smaller ones.
    let grain = if newest.is_multiple_of(1_000_000_000) { COARSE_NS } else { GRAIN_NS };
    Ok((state, newest.saturating_add(grain) <= now))
}

/// As [`observe`]; when the times are too young to tell, they are made such that they tell. Only while nobody can write to
/// the file. What was settled before, `known`, is left as it is: an anchor that says so stays good, if a kill comes before the next one.
///
/// A file system's clock does not go back: whatever is written later gets a time that is not below the present one, hence
/// never the one a grain before it.
fn observe_settled(path: &Path, known: Option<FileState>) -> Result<(FileState, bool), Error> {
    let (state, settled) = observe(path)?;
    if settled || known == Some(state) {
        return Ok((state, true));
    }
    let earlier = state.modified.saturating_sub(grain_of(state.modified));
    if ffi::set_modified(path, earlier).is_err() {
        // Only the owner of a file may; then it takes its time.
        return Ok((state, false));
    }
    let (after, settled) = observe(path)?;
    let same = (after.id, after.size) == (state.id, state.size);
    Ok((after, settled || (same && after.modified == earlier)))
}

/// A step of time that a file system which shows this time keeps, whether the zeros at its end are chance or all that it has.
fn grain_of(time: u64) -> u64 {
    let grains = [2_000_000_000, 1_000_000_000, 10_000_000, 1_000_000, 1_000, 100];
    grains.into_iter().find(|grain| time.is_multiple_of(*grain)).unwrap_or(1)
}

/// What an anchor says about the WAL that is there now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    /// It is the WAL of the anchor, perhaps with more frames: the runs go on.
    SameWal {
        /// Frames in the database file.
        back_filled: u32,
        /// Frames that may be there in part.
        attempted: u32,
        /// The anchor's frame, if what a kill interrupted was a back-fill: then there is more to observe now.
        interrupted: Option<u32>,
    },
    /// It is another WAL over the database file as the anchor knew it, which held everything: all that is in
    /// the WAL came after.
    NewWal,
    /// Something may have happened that nobody recorded.
    Lost,
}

/// Whether nobody has written to the database file since the anchor, or only what does not matter.
pub(super) fn is_untouched(path: &Path, index: &WalIndex, anchor: &WalAnchor) -> Result<bool, Error> {
    let (state, _) = observe(path)?;
    // Who back-fills says so in the wal-index first, and who makes that anew says so needlessly.
    let told = index.attempted() <= anchor.attempted;
    if anchor.under_way {
        // Up to there everything is in the store, bases included: whoever has brought it into the file, how far ever.
        let within = index.watch().back_filled() <= anchor.attempted;
        return Ok(told && within && state.id == anchor.file.id);
    }
    // Times that are too young to tell need the wal-index.
    Ok((anchor.settled || told) && state == anchor.file)
}

/// What stands for an anchor in the log is none.
pub(super) fn damaged_anchor(lsn: Lsn) -> Error {
    damaged_note("anchor", lsn)
}

impl Core {
    /// Compares the newest anchor with what is there. The freeze is in place.
    pub(crate) fn compare_anchor(&self, header: &IndexHeader) -> Result<Kept, Error> {
        let history = locked(&self.history);
        let Some(note) = history.timeline.notes(tag::ANCHOR).last() else { return Ok(Kept::Lost) };
        let anchor = WalAnchor::decode(&note.body).ok_or_else(|| damaged_anchor(note.lsn))?;
        // Nothing is recorded, not even by a mark, of what came after the anchor; but for images of a transaction that did
        // not commit, which are taken back.
        let newest = note.lsn == self.tailed && history.timeline.highest_said() <= self.tailed;
        drop(history);
        // After a power cut times prove nothing: pages may be on disk without them, and `fdatasync`, which many a SQLite uses, leaves those
        // behind that were. What a checkpoint syncs before it writes to the database does: the WAL. No frame to back-fill: nothing was.
        let power_cut = self.store.boot_changed(self.object);
        let untouched = match power_cut {
            true => {
                let (state, _) = observe(&self.path)?;
                (state.id, state.size) == (anchor.file.id, anchor.file.size)
            }
            false => self.is_untouched(&anchor)?,
        };
        if !untouched {
            return Ok(Kept::Lost);
        }
        if self.anchored_frame(&anchor, header)? {
            // Nor is there a checkpoint of ours under way then. And a power cut may have taken frames that the store has,
            // and others may have their places by now.
            let certain = newest && !anchor.under_way && header.max_frame <= anchor.back_filled;
            if power_cut && !certain {
                return Ok(Kept::Lost);
            }
            let WalAnchor { back_filled, attempted, under_way, .. } = anchor;
            let interrupted = under_way.then_some(anchor.frame);
            return Ok(Kept::SameWal { back_filled, attempted, interrupted });
        }
        // The generation changed although the file did not: only a WAL that was back-filled whole can have been
        // restarted or deleted. Commits after the anchor were in the WAL alone. What the wal-index tells of who tried to
        // back-fill is of the new generation. And a power cut leaves the WAL without frames that `close` left, or none.
        let whole = anchor.is_whole() && newest;
        let told = !power_cut || self.found_bare == Some(anchor.salt);
        if whole && told && anchor.salt != header.salt {
            return Ok(Kept::NewWal);
        }
        Ok(if anchor.is_whole() && !power_cut && self.is_begun(header) {
            Kept::SameWal { back_filled: 0, attempted: 0, interrupted: Some(1) }
        } else {
            Kept::Lost
        })
    }

    /// Whether this WAL is recorded in part although no anchor speaks of it: whoever began with it was killed, or found no room for all of it.
    /// Nothing of it is in the database file.
    fn is_begun(&self, header: &IndexHeader) -> bool {
        self.runs.salt() == header.salt && self.index.watch().back_filled() == 0
    }

    /// Whether the newest anchor says that the database file is the newest moment, and will tell any later write. The header is the
    /// present one.
    pub(super) fn is_anchored_whole(&mut self, header: &IndexHeader) -> Result<bool, Error> {
        let mut history = locked(&self.history);
        history.catch_up()?;
        let Some(note) = history.timeline.notes(tag::ANCHOR).last() else { return Ok(false) };
        let anchor = WalAnchor::decode(&note.body).ok_or_else(|| damaged_anchor(note.lsn))?;
        let newest = note.lsn == self.tailed && history.timeline.highest_said() <= self.tailed;
        drop(history);
        let all = anchor.back_filled >= header.max_frame && self.lsn_now(header)? == self.tailed;
        Ok(anchor.is_whole() && newest && all && self.anchored_frame(&anchor, header)?)
    }

    /// Whether the freeze of another process has held until now, as far as the database file tells. CKPT is held
    /// SHARED, so that it stays like that.
    pub(crate) fn frozen_elsewhere(&self, header: &IndexHeader) -> Result<bool, Error> {
        let history = locked(&self.history);
        let Some(note) = history.timeline.notes(tag::ANCHOR).last() else { return Ok(false) };
        let anchor = WalAnchor::decode(&note.body).ok_or_else(|| damaged_anchor(note.lsn))?;
        drop(history);
        let back_filled = self.index.watch().back_filled() <= anchor.back_filled;
        let ended = back_filled && !anchor.under_way;
        Ok(ended && self.is_untouched(&anchor)? && self.anchored_frame(&anchor, header)?)
    }

    fn is_untouched(&self, anchor: &WalAnchor) -> Result<bool, Error> {
        is_untouched(&self.path, &self.index, anchor)
    }

    fn anchored_frame(&self, anchor: &WalAnchor, header: &IndexHeader) -> Result<bool, Error> {
        if header.salt != anchor.salt || anchor.salt != self.runs.salt() || header.max_frame < anchor.frame {
            return Ok(false);
        }
        Ok(self.checksum_of(anchor.frame, header.salt)? == Some(anchor.checksum))
    }

    /// The checksum of a frame, if it belongs to the generation.
    pub(crate) fn checksum_of(&self, frame: u32, salt: Salt) -> Result<Option<Checksum>, Error> {
        if frame == 0 {
            return Ok(None);
        }
        let found = self.wal.frame_header(frame)?;
        Ok((found.salt == salt).then_some(found.checksum))
    }

    /// Writes down what the database looks like now. `frame`: one that is in the store and that no rewind can
    /// overwrite.
    pub(crate) fn drop_anchor(&mut self, frame: u32) -> Result<(), Error> {
        self.observe_and_note(frame, false)
    }

    /// Writes down that a back-fill up to a frame is about to begin. Every frame up to it, and what it takes the place of
    /// in the database file, is in the store.
    pub(crate) fn announce_back_fill(&mut self, goal: u32) -> Result<(), Error> {
        self.observe_and_note(goal, true)
    }

    fn observe_and_note(&mut self, frame: u32, under_way: bool) -> Result<(), Error> {
        let Some((note, settled)) = self.anchor_at(frame, under_way, !under_way)? else { return Ok(()) };
        let lsn = self.tailed.max(Lsn::new(1));
        self.keep(self.head(Kind::Note, tag::ANCHOR, lsn), &note.encode())?;
        self.anchor_pending = !settled && !under_way;
        self.anchor_frame = frame;
        Ok(())
    }

    /// What an anchor would say now, and whether the times in it are settled. `None`: there is nothing to vouch for. `settle`: times
    /// that are too young are changed, so that an anchor from before is none any more.
    pub(super) fn anchor_at(
        &mut self,
        frame: u32,
        under_way: bool,
        settle: bool,
    ) -> Result<Option<(WalAnchor, bool)>, Error> {
        let Some(frozen) = self.frozen else { return Ok(None) };
        let header = self.header()?;
        if !self.freeze_holds(&header) {
            // Somebody got past our locks.
            return Ok(None);
        }
        let (file, settled) = match settle {
            true => observe_settled(&self.path, self.settled)?,
            false => observe(&self.path)?,
        };
        // What was made to tell goes on telling, however young it is.
        let settled = (settled || self.settled == Some(file)) && !under_way;
        if settled {
            self.settled = Some(file);
        }
        let attempted = self.attempted.max(frozen.back_filled).max(if under_way { frame } else { 0 });
        let checksum = self.checksum_of(frame, header.salt)?.unwrap_or_default();
        let counter = self.page_one(header.max_frame)?.counter;
        let all_back_filled = self.index.watch().back_filled() >= header.max_frame;
        let note = WalAnchor {
            file,
            salt: frozen.salt,
            frame,
            checksum,
            back_filled: frozen.back_filled,
            attempted,
            counter,
            under_way,
            settled,
            all_back_filled,
        };
        Ok(Some((note, settled)))
    }

    /// Observes again when an anchor was too young.
    pub(crate) fn settle_anchor(&mut self) -> Result<(), Error> {
        if self.anchor_pending && observe(&self.path)?.1 {
            let frame = self.anchor_frame;
            self.drop_anchor(frame)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By chance a time ends in zeros, once in a thousand; on some file systems each does.
    #[test]
    fn hazard_a_kill_comes_right_after_an_anchor_whose_file_has_a_round_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        for grain in [1, 100, 1_000, 1_000_000, 1_000_000_000] {
            std::fs::write(&path, "SQLite").unwrap();
            let now = Timestamp::now().get();
            let round = now - now % grain;
            ffi::set_modified(&path, round).unwrap();
            let (state, settled) = observe_settled(&path, None).unwrap();
            assert!(settled && state.modified < round, "{grain}: {state:?}");
            // And it tells what is written next.
            std::fs::write(&path, "sqlite").unwrap();
            assert_ne!(observe(&path).unwrap().0, state, "{grain}");
        }
    }
    /// Two anchors follow each other when the WAL is begun anew.
    #[test]
    fn hazard_a_kill_comes_between_an_observation_and_its_anchor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        std::fs::write(&path, "SQLite").unwrap();
        let (state, settled) = observe_settled(&path, None).unwrap();
        assert!(settled);
        assert_eq!(observe_settled(&path, Some(state)).unwrap(), (state, true));
        assert_eq!(observe(&path).unwrap().0, state, "the anchor before is still good");
    }
}
