//! Which LSN a frame of the present WAL has, and back.

use dbrewind_core::Lsn;

use super::notes::RunNote;
use crate::checksum::Salt;

/// From `frame` up to the next piece, frames and LSNs advance together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Piece {
    frame: u32,
    lsn: u64,
}

/// The pieces of the present generation of the WAL, ascending in frames and in LSNs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    salt: Salt,
    pieces: Vec<Piece>,
    /// Of the newest run.
    stamp: u64,
}

impl Runs {
    /// Adds a run: what it overwrote is gone, and another generation begins from nothing.
    pub(crate) fn push(&mut self, lsn: Lsn, note: &RunNote) {
        if note.salt != self.salt {
            self.salt = note.salt;
            self.pieces.clear();
        }
        self.pieces.retain(|piece| piece.frame < note.frame);
        self.pieces.push(Piece { frame: note.frame, lsn: lsn.get() });
        self.stamp = note.stamp(lsn.get());
    }

    /// The generation they belong to.
    pub(crate) fn salt(&self) -> Salt {
        self.salt
    }

    /// The first frame that is recorded; 0 if there is none.
    pub(crate) fn first_frame(&self) -> u32 {
        self.pieces.first().map_or(0, |piece| piece.frame)
    }

    /// Tells the newest run from every other; 0 if there is none.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamp
    }

    /// The LSN of a frame. `None`: from before we recorded, or past the last LSN there can be.
    pub(crate) fn lsn_of(&self, frame: u32) -> Option<Lsn> {
        let piece = self.pieces.iter().rfind(|piece| piece.frame <= frame)?;
        piece.lsn.checked_add(u64::from(frame - piece.frame)).map(Lsn::new)
    }

    /// The frame of an LSN, not beyond `max_frame`. `None`: not in the present WAL.
    pub(crate) fn frame_of(&self, lsn: Lsn, max_frame: u32) -> Option<u32> {
        let place = self.pieces.iter().rposition(|piece| piece.lsn <= lsn.get())?;
        let piece = self.pieces.get(place)?;
        let frame = u32::try_from(lsn.get() - piece.lsn).ok()?.checked_add(piece.frame)?;
        let end = self.pieces.get(place + 1).map_or(max_frame, |next| next.frame - 1);
        (frame <= end.min(max_frame)).then_some(frame)
    }

    /// The first LSN of every piece, newest first.
    pub(crate) fn starts(&self) -> impl Iterator<Item = Lsn> {
        self.pieces.iter().rev().map(|piece| Lsn::new(piece.lsn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::Checksum;

    fn note(frame: u32, salt: u8) -> RunNote {
        RunNote { frame, salt: [salt; 8], checksum: Checksum(0, 0), sequence: 0, back_filled: 0 }
    }

    #[test]
    fn a_run_at_the_end_of_the_number_space_has_no_frames_past_it() {
        let mut runs = Runs::default();
        runs.push(Lsn::new(u64::MAX - 1), &note(5, 1));
        assert_eq!(runs.lsn_of(6), Some(Lsn::new(u64::MAX)));
        assert_eq!(runs.lsn_of(7), None);
        assert_eq!(runs.frame_of(Lsn::new(u64::MAX), u32::MAX), Some(6));
    }

    #[test]
    fn rewinds_cut_pieces_and_restarts_drop_them() {
        let mut runs = Runs::default();
        assert_eq!(runs.lsn_of(1), None);
        runs.push(Lsn::new(100), &note(5, 1));
        assert_eq!(runs.lsn_of(4), None);
        assert_eq!(runs.lsn_of(9), Some(Lsn::new(104)));
        assert_eq!(runs.frame_of(Lsn::new(104), 20), Some(9));
        assert_eq!(runs.frame_of(Lsn::new(104), 8), None);
        // A rewind to frame 7 (LSN 102) at LSN 120.
        runs.push(Lsn::new(120), &note(8, 1));
        assert_eq!(runs.frame_of(Lsn::new(102), 9), Some(7));
        assert_eq!(runs.frame_of(Lsn::new(103), 9), None);
        assert_eq!(runs.frame_of(Lsn::new(120), 9), Some(8));
        // Again: the same frame is overwritten.
        runs.push(Lsn::new(130), &note(8, 1));
        assert_eq!(runs.frame_of(Lsn::new(120), 9), None);
        assert_eq!(runs.starts().map(Lsn::get).collect::<Vec<_>>(), [130, 100]);
        runs.push(Lsn::new(131), &note(1, 2));
        assert_eq!(runs.frame_of(Lsn::new(130), 9), None);
        assert_eq!(runs.lsn_of(3), Some(Lsn::new(133)));
    }
}
