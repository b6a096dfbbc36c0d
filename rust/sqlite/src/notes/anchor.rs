//! Tag 2: what the database looked like when we last knew. One layout, of which each engine has its own view.

use std::path::Path;

use super::{Fields, put_checksum};
use crate::checksum::{Checksum, Salt};
use crate::file::{FileId, FileState, born};

/// What a database in WAL mode looked like when we last knew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WalAnchor {
    /// The database file.
    pub(crate) file: FileState,
    /// Of the WAL's generation.
    pub(crate) salt: Salt,
    /// A frame that is in the store.
    pub(crate) frame: u32,
    /// Its checksum, which sums up all frames before it.
    pub(crate) checksum: Checksum,
    /// Frames in the database file.
    pub(crate) back_filled: u32,
    /// Frames that may be in the database file, in part: as many or more.
    pub(crate) attempted: u32,
    /// The change counter in page 1.
    pub(crate) counter: u32,
    /// A back-fill up to `attempted` was about to begin: nothing is said of the file's length and times.
    pub(crate) under_way: bool,
    /// The times were old enough for any later write to change them.
    pub(crate) settled: bool,
    /// The database file holds everything.
    pub(crate) all_back_filled: bool,
}

impl WalAnchor {
    /// For the record.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(80);
        let FileState { id: FileId { device, inode }, size, modified, changed } = self.file;
        for word in [device, inode, size, modified, changed] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.frame.to_le_bytes());
        put_checksum(&mut out, self.checksum);
        let flags =
            u32::from(self.settled) | u32::from(self.all_back_filled) << 1 | u32::from(self.under_way) << 2;
        for word in [self.back_filled, self.attempted, self.counter, flags] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out
    }

    /// Whether the database file held everything, and any later write to it shows.
    pub(crate) fn is_whole(&self) -> bool {
        self.all_back_filled && self.settled && !self.under_way
    }

    /// From the record; `None` when it is not one.
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let file = FileState {
            id: FileId { device: fields.u64()?, inode: fields.u64()? },
            size: fields.u64()?,
            modified: fields.u64()?,
            changed: fields.u64()?,
        };
        let (salt, frame, checksum) = (fields.array()?, fields.u32()?, fields.checksum()?);
        let (back_filled, attempted) = (fields.u32()?, fields.u32()?);
        let (counter, flags) = (fields.u32()?, fields.u32()?);
        fields.end()?;
        (flags & !7 == 0).then_some(Self {
            file,
            salt,
            frame,
            checksum,
            back_filled,
            attempted,
            counter,
            under_way: flags & 4 == 4,
            settled: flags & 1 == 1,
            all_back_filled: flags & 2 == 2,
        })
    }
}

/// What a database in a rollback mode looked like when we last knew, for an attach that finds no registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RollbackAnchor {
    /// The database file.
    pub(crate) file: FileId,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// When it was created, ns since 1970, 0 if unknown: the number of a deleted file is soon given to the next one.
    pub(crate) born: u64,
    /// The change counter in page 1.
    pub(crate) counter: u32,
}

impl RollbackAnchor {
    /// For the record. There is no WAL: what would say something of it is 0, and the file holds everything.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { file, size, born, counter } = *self;
        let anchor = WalAnchor {
            file: FileState { id: file, size, modified: 0, changed: born },
            salt: [0; 8],
            frame: 0,
            checksum: Checksum::default(),
            back_filled: 0,
            attempted: 0,
            counter,
            under_way: false,
            settled: false,
            all_back_filled: true,
        };
        anchor.encode()
    }

    /// From the record; `None` when it is not one.
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let WalAnchor { file, counter, .. } = WalAnchor::decode(body)?;
        Some(Self { file: file.id, size: file.size, born: file.changed, counter })
    }
}

/// Which file an anchor is about, whichever engine wrote it.
pub(crate) fn anchored_file(body: &[u8]) -> Option<FileId> {
    WalAnchor::decode(body).map(|anchor| anchor.file.id)
}

/// Whether an anchor is about another file than the one that is at the path now, as far as that is certain: its inode tells, whose
/// number may be used again, and when it was created. The device's number alone tells nothing: a start of the machine may change it.
pub(crate) fn is_of_another_file(body: &[u8], path: &Path) -> bool {
    let (Some(anchor), Ok(found)) = (WalAnchor::decode(body), std::fs::metadata(path)) else { return false };
    is_another(&anchor, FileState::from(&found), born(path))
}

/// The same of a file that looks so, and was created then.
fn is_another(anchor: &WalAnchor, present: FileState, birth: u64) -> bool {
    let known = anchor.file;
    if known.id.inode != present.id.inode {
        return true;
    }
    let is_younger = match known.modified {
        // In a rollback mode the birth stands where else the last change does.
        0 => birth != known.changed && known.changed > 0,
        // A file that was changed before it was created has seen the clock set back: its birth tells nothing.
        _ => birth > known.changed && birth <= present.changed && present != known && !anchor.under_way,
    };
    birth > 0 && is_younger
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hazard_a_new_file_has_the_number_of_the_one_that_was_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        std::fs::write(&path, "SQLite").unwrap();
        let file = FileState::from(&std::fs::metadata(&path).unwrap());
        let birth = born(&path);
        let wal = |changed, size| {
            let file = FileState { changed, size, ..file };
            let (salt, checksum) = ([0; 8], Checksum::default());
            let anchor = WalAnchor {
                file,
                salt,
                frame: 0,
                checksum,
                back_filled: 0,
                attempted: 0,
                counter: 1,
                under_way: false,
                settled: true,
                all_back_filled: true,
            };
            (
                is_of_another_file(&anchor.encode(), &path),
                is_of_another_file(&WalAnchor { under_way: true, ..anchor }.encode(), &path),
            )
        };
        let rollback = |born| {
            is_of_another_file(&RollbackAnchor { file: file.id, size: 6, born, counter: 1 }.encode(), &path)
        };
        assert_eq!(wal(file.changed, file.size), (false, false));
        // Written since.
        assert_eq!(wal(file.changed, 5), (false, false));
        assert!(!rollback(birth) && !rollback(0));
        if birth > 0 {
            assert_eq!(wal(birth - 1, 5), (true, false));
            assert!(rollback(birth - 1));
        }
        let other = FileId { inode: file.id.inode + 1, ..file.id };
        assert!(is_of_another_file(
            &RollbackAnchor { file: other, size: 6, born: birth, counter: 1 }.encode(),
            &path
        ));
        assert!(!is_of_another_file(&[7; 9], &path));
    }

    #[test]
    fn hazard_the_clock_was_set_back_after_the_file_was_created() {
        let id = FileId { device: 1, inode: 2 };
        let at = |changed, size| FileState { id, size, modified: changed, changed };
        let anchor = WalAnchor {
            file: at(100, 6),
            salt: [0; 8],
            frame: 0,
            checksum: Checksum::default(),
            back_filled: 0,
            attempted: 0,
            counter: 1,
            under_way: false,
            settled: true,
            all_back_filled: true,
        };
        assert!(!is_another(&anchor, at(150, 7), 5000), "its birth is to come");
        assert!(is_another(&anchor, at(150, 7), 150), "created after the anchor, not changed since");
        assert!(is_another(&anchor, at(150, 7), 120));
        assert!(!is_another(&anchor, at(150, 7), 90));
    }

    #[test]
    fn anchors_round_trip_and_refuse_other_lengths() {
        let id = FileId { device: 1, inode: 2 };
        let wal = WalAnchor {
            file: FileState { id, size: 3, modified: 4, changed: 5 },
            salt: *b"saltsalt",
            frame: 9,
            checksum: Checksum(5, 6),
            back_filled: 8,
            attempted: 9,
            counter: 7,
            under_way: true,
            settled: true,
            all_back_filled: false,
        };
        assert_eq!(WalAnchor::decode(&wal.encode()), Some(wal));
        let rollback = RollbackAnchor { file: id, size: 3, born: 4, counter: 5 };
        assert_eq!(RollbackAnchor::decode(&rollback.encode()), Some(rollback));
        for body in [wal.encode(), rollback.encode()] {
            assert_eq!(anchored_file(&body), Some(id));
            assert_eq!(anchored_file(&body[..body.len() - 1]), None);
        }
    }
}
