//! The guard of a rewind: a genuine rollback journal with the pages as they are before it.
//!
//! From the moment it is hot until it is gone, any SQLite that opens the database takes the rewind back,
//! whatever becomes of us. Before that moment it is a file that SQLite ignores.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use super::journal::{self, JournalHeader, SECTOR};
use super::spare::Spare;
use crate::fault;
use crate::ffi::begin_write_back;
use crate::options::Synchronous;

/// How much is collected before it is written.
const CHUNK: usize = 1 << 20;
/// The same where a sync follows: the disk works on it while more is collected.
const PIECE: usize = 128 << 10;
/// A spare file that has grown longer than this (bytes) is not kept.
const SPARE_LIMIT: u64 = 8 << 20;

/// A journal being written.
#[derive(Debug)]
pub(super) struct Guard<'a> {
    /// The database's journal.
    path: &'a Path,
    /// The database, whose owner and mode the journal gets: everybody who can write the database can then
    /// take the rewind back.
    like: &'a Metadata,
    page_size: u32,
    nonce: u32,
    records: u32,
    sync: Synchronous,
    /// Room for the header's sector, and the first records; after the first chunk, records only.
    pending: Vec<u8>,
    /// Where `pending` goes.
    offset: u64,
    file: Option<File>,
    spare: Option<Spare>,
    place: Place,
    /// Its owner or mode was changed, which only a sync of everything puts on disk.
    dressed: bool,
    /// The spare file was brought to the journal's place.
    came: bool,
    /// It has kept its own name.
    linked: bool,
    /// Its length when it was opened.
    found: u64,
}

/// Where the file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Nowhere,
    Spare,
    Journal,
}

impl<'a> Guard<'a> {
    /// Begins a journal of pages of this size. The caller knows that what is at its place is not hot. `counter` is
    /// the change counter after the rewind. `pending` is memory to use.
    pub(super) fn new(
        path: &'a Path,
        like: &'a Metadata,
        page_size: u32,
        counter: u32,
        sync: Synchronous,
        spare: Option<Spare>,
        mut pending: Vec<u8>,
    ) -> Self {
        pending.clear();
        pending.resize(SECTOR, 0);
        let nonce = journal::nonce(counter);
        Self {
            path,
            like,
            page_size,
            nonce,
            records: 0,
            sync,
            pending,
            offset: 0,
            file: None,
            spare,
            place: Place::Nowhere,
            dressed: false,
            came: false,
            linked: false,
            found: 0,
        }
    }

    /// Adds a page as it is. `image` is a whole page.
    pub(super) fn add(&mut self, page: u32, image: &[u8]) -> io::Result<()> {
        if !journal::may_hold(page, self.page_size) {
            return Ok(());
        }
        self.pending.extend_from_slice(&page.to_be_bytes());
        self.pending.extend_from_slice(image);
        self.pending.extend_from_slice(&journal::checksum(self.nonce, image).to_be_bytes());
        self.records += 1;
        if self.pending.len() < self.enough() {
            return Ok(());
        }
        let from = self.offset;
        self.flush()?;
        if let Some(file) = self.file.as_ref().filter(|_| self.sync != Synchronous::Off) {
            begin_write_back(file, from..self.offset);
        }
        Ok(())
    }

    fn enough(&self) -> usize {
        // At the journal's place it should rather be one write with the header.
        if self.sync != Synchronous::Off && self.spare.is_some() { PIECE } else { CHUNK }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.open()?;
        }
        let Some(file) = &self.file else { return Err(io::ErrorKind::NotFound.into()) };
        file.write_all_at(&self.pending, self.offset)?;
        self.offset += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Opens the spare file, or one at the journal's place.
    fn open(&mut self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        if let Some(file) = self.open_spare(&options) {
            if self.spare.as_ref().is_some_and(|spare| !spare.is_back) {
                // Else a power cut could undo the renaming that brought it back here, and leave at the
                // journal's place what is written into it now.
                sync_folder(self.path)?;
            }
            self.file = Some(file);
            self.place = Place::Spare;
            return Ok(());
        }
        let file = options.truncate(true).open(self.path)?;
        self.place = Place::Journal;
        self.dress(&file, &file.metadata()?)?;
        self.file = Some(file);
        Ok(())
    }

    /// Opens the spare file. What is left in it of an earlier rewind is cut off by the zeros at the end of this one.
    fn open_spare(&mut self, options: &OpenOptions) -> Option<File> {
        let path = &self.spare.as_ref()?.path;
        let mut file = options.open(path).ok()?;
        let mut ours = file.metadata().ok()?;
        if ours.nlink() > 1 {
            // A kill has left it at the journal's place, too, and a playback that does not remove journals. What is written here must not be
            // seen there; nor can a file be renamed to another name of itself.
            if std::fs::remove_file(path).is_err() {
                self.spare = None;
                return None;
            }
            file = options.open(path).ok()?;
            ours = file.metadata().ok()?;
        }
        self.found = ours.len();
        self.dress(&file, &ours).is_ok().then_some(file)
    }

    /// Gives a file the owner and mode of the database.
    fn dress(&mut self, file: &File, ours: &Metadata) -> io::Result<()> {
        if (ours.uid(), ours.gid()) != (self.like.uid(), self.like.gid()) {
            // Only root can; for others it is as SQLite's own journals are.
            self.dressed |= fchown(file, Some(self.like.uid()), Some(self.like.gid())).is_ok();
        }
        let mode = self.like.mode() & 0o777;
        if ours.mode() & 0o777 == mode {
            return Ok(());
        }
        self.dressed = true;
        file.set_permissions(Permissions::from_mode(mode))
    }

    /// Makes it hot: from now on a playback restores what was added. `pages`: the database's present length.
    ///
    /// What `synchronous` asks for is on disk then. A spare file takes its place complete. One that is written
    /// in its place is as SQLite's own: with `Normal` checksums tell a page that was not written before a power
    /// cut; with `Full` the records are there before the header that counts them.
    pub(super) fn commit(&mut self, pages: u32) -> io::Result<()> {
        // SQLite looks for another header at the next sector: there shall be none.
        let end = self.offset + self.pending.len() as u64;
        let zeros = end.next_multiple_of(SECTOR as u64) + SECTOR as u64 - end;
        self.pending.resize(self.pending.len() + zeros as usize, 0);
        let (records, nonce, page_size) = (self.records, self.nonce, self.page_size);
        let header = JournalHeader { records, nonce, pages, page_size }.encode();
        if self.file.is_none() {
            self.open()?;
        }
        let spare = self.place == Place::Spare;
        let whole = self.offset == 0 && (spare || self.sync != Synchronous::Full);
        if whole && let Some(place) = self.pending.get_mut(..SECTOR) {
            place.copy_from_slice(&header);
        }
        self.flush()?;
        if !spare {
            return self.complete(&header, whole);
        }
        let file = self.opened()?;
        if !whole {
            file.write_all_at(&header, 0)?;
        }
        if self.sync != Synchronous::Off {
            self.sync_file()?;
        }
        self.take_place(&header)
    }

    /// Makes what was written at the journal's place hot.
    fn complete(&self, header: &[u8], has_header: bool) -> io::Result<()> {
        let file = self.opened()?;
        if self.sync == Synchronous::Full {
            file.sync_data()?;
        }
        fault::place("rollback rewind: body of the guard");
        if !has_header {
            file.write_all_at(header, 0)?;
        }
        if self.sync == Synchronous::Off {
            return Ok(());
        }
        self.sync_file()?;
        sync_folder(self.path)
    }

    fn opened(&self) -> io::Result<&File> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_file(&self) -> io::Result<()> {
        let file = self.opened()?;
        if self.dressed { file.sync_all() } else { file.sync_data() }
    }

    /// Puts the complete spare file at the journal's place.
    fn take_place(&mut self, header: &[u8]) -> io::Result<()> {
        fault::place("rollback rewind: spare guard");
        let Some(spare) = &self.spare else { return Err(io::ErrorKind::NotFound.into()) };
        let moved = fault::failure("guard: to the journal's place");
        let linked = moved.is_ok() && self.link(&spare.path)?;
        if linked || moved.and_then(|()| std::fs::rename(&spare.path, self.path)).is_ok() {
            self.place = Place::Journal;
            self.linked = linked;
            fault::failure("guard: in the journal's place")?;
            self.came = true;
            return if self.sync == Synchronous::Off { Ok(()) } else { sync_folder(self.path) };
        }
        // On another file system, perhaps.
        let Some(mut from) = self.file.take() else { return Err(io::ErrorKind::NotFound.into()) };
        self.spare = None;
        self.open()?;
        let mut to = self.opened()?;
        let body = io::SeekFrom::Start(SECTOR as u64);
        io::Seek::seek(&mut from, body)?;
        io::Seek::seek(&mut to, body)?;
        io::copy(&mut from, &mut to)?;
        self.complete(header, false)
    }

    /// Gives the spare file the journal's name besides its own, which takes half the time of renaming it there and back. Not where a power cut
    /// matters: the sync that brings the next one to its place would have to make it certain that this name is gone. Whether it was done; if not,
    /// the file has its own name alone.
    fn link(&self, spare: &Path) -> io::Result<bool> {
        if self.sync != Synchronous::Off {
            return Ok(false);
        }
        if std::fs::hard_link(spare, self.path).is_ok() {
            return Ok(true);
        }
        // What is there is not hot. Or it is the spare file, where a network's file system says of what it has done that it is there already.
        match std::fs::remove_file(self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(false),
        }
    }

    /// Takes the journal away: the rewind is done, or was given up before anything was written.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        self.file = None;
        if self.place != Place::Journal {
            return Ok(());
        }
        let small = self.found.max(self.offset) <= SPARE_LIMIT;
        let kept = self.spare.as_ref().filter(|_| small);
        if self.linked {
            std::fs::remove_file(self.path)?;
            if let Some(spare) = self.spare.as_ref().filter(|_| !small) {
                // If it stays, it is longer than it need be.
                let _ = std::fs::remove_file(&spare.path);
            }
        } else if kept.is_none_or(|spare| std::fs::rename(self.path, &spare.path).is_err()) {
            std::fs::remove_file(self.path)?;
        }
        self.place = Place::Nowhere;
        if self.sync == Synchronous::Full { sync_folder(self.path) } else { Ok(()) }
    }

    /// Whether a spare file came to the journal's place, and the folder was synced then.
    pub(super) fn spare_synced(&self) -> bool {
        self.came && self.sync != Synchronous::Off
    }

    /// Whether the spare file, if one was offered, is of use for the next rewind.
    pub(super) fn spare_works(&self) -> bool {
        self.spare.is_some()
    }

    /// Gives the memory back.
    pub(super) fn into_memory(self) -> Vec<u8> {
        self.pending
    }
}

fn sync_folder(of: &Path) -> io::Result<()> {
    match of.parent() {
        Some(folder) => File::open(folder)?.sync_data(),
        None => Ok(()),
    }
}

#[cfg(all(test, feature = "bundled"))]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]
mod tests {
    use super::super::journal::{is_guard, is_hot, path_for};
    use super::*;
    use std::path::PathBuf;

    const PAGE: usize = 1024;
    const ALL: [Synchronous; 3] = [Synchronous::Off, Synchronous::Normal, Synchronous::Full];

    /// A database of about 20 pages without a zero in any place that a checksum looks at.
    struct Old {
        folder: tempfile::TempDir,
        bytes: Vec<u8>,
        journal: PathBuf,
        like: Metadata,
    }

    impl Old {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.db");
            let c = rusqlite::Connection::open(&path).unwrap();
            let fill = "x".repeat(800);
            c.execute_batch(&format!(
                "pragma page_size = 1024; create table t(v /* {fill} */); begin; \
                 insert into t with recursive n(i) as (select 1 union all select i + 1 from n where i < 15) \
                 select replace(printf('%0950d', i), '0', 'x') from n; commit",
            ))
            .unwrap();
            drop(c);
            let (bytes, like) = (std::fs::read(&path).unwrap(), std::fs::metadata(&path).unwrap());
            Self { folder, bytes, journal: path_for(&path), like }
        }

        fn database(&self) -> PathBuf {
            self.folder.path().join("a.db")
        }

        fn spare(&self) -> PathBuf {
            self.folder.path().join("spare")
        }

        fn length(&self) -> u32 {
            (self.bytes.len() / PAGE) as u32
        }

        /// A guard of the pages, the first ones of them.
        fn begun(&self, sync: Synchronous, pages: usize) -> Guard<'_> {
            let spare = Some(Spare { path: self.spare(), is_back: false });
            let mut guard =
                Guard::new(&self.journal, &self.like, PAGE as u32, 70, sync, spare, vec![0x55; 9000]);
            for (number, page) in (1..).zip(self.bytes.chunks(PAGE)).take(pages) {
                guard.add(number, page).unwrap();
                assert!(!is_hot(&self.journal).unwrap() && !is_guard(&self.journal, 70));
            }
            guard
        }

        /// The same, hot.
        fn guard(&self, sync: Synchronous, pages: usize) -> Guard<'_> {
            let mut guard = self.begun(sync, pages);
            guard.commit(self.length()).unwrap();
            assert!(is_hot(&self.journal).unwrap());
            assert!(is_guard(&self.journal, 70) && !is_guard(&self.journal, 71));
            guard
        }

        /// Tears everything that the guard covers, and sees it come back.
        fn takes_back(&self, pages: usize, told: &str) {
            let mut torn = self.bytes.clone();
            let end = torn.len().min(pages.saturating_mul(PAGE));
            torn[24..end].fill(0x77);
            torn.extend_from_slice(&[0x77; 5 * PAGE]);
            std::fs::write(self.database(), &torn).unwrap();
            assert!(self.after_a_look() == self.bytes, "{told}");
            assert!(!self.journal.exists());
        }

        /// Lets plain SQLite look, and gives what the file is then.
        fn after_a_look(&self) -> Vec<u8> {
            let c = rusqlite::Connection::open_with_flags_and_vfs(
                self.database(),
                rusqlite::OpenFlags::default(),
                "unix",
            )
            .unwrap();
            let sound: String = c.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(sound, "ok");
            drop(c);
            std::fs::read(self.database()).unwrap()
        }
    }

    #[test]
    fn sqlite_takes_a_guarded_change_back() {
        for sync in ALL {
            let old = Old::new();
            old.guard(sync, usize::MAX);
            old.takes_back(usize::MAX, &format!("{sync:?}"));
        }
    }

    #[test]
    fn removed_guard_leaves_the_spare() {
        for sync in ALL {
            let old = Old::new();
            old.guard(sync, 3).remove().unwrap();
            assert!(!old.journal.exists() && old.spare().exists(), "{sync:?}");
        }
    }

    /// As a kill leaves it, and a playback that only empties journals: what is written into the one would be written into the other.
    #[test]
    fn spare_with_a_second_name_is_not_written() {
        for (first, then) in ALL.into_iter().flat_map(|first| ALL.map(|then| (first, then))) {
            let old = Old::new();
            old.guard(first, 3).remove().unwrap();
            std::fs::hard_link(old.spare(), &old.journal).unwrap();
            std::fs::write(&old.journal, b"").unwrap();
            old.guard(then, 3);
            old.takes_back(3, &format!("{then:?} after {first:?}"));
        }
    }

    #[test]
    fn removed_guard_leaves_the_journals_place_empty() {
        for (in_place, sync) in ALL.into_iter().flat_map(|sync| [(false, sync), (true, sync)]) {
            let old = Old::new();
            for _ in 0..3 {
                if in_place {
                    // What another journal mode leaves is not hot.
                    std::fs::write(&old.journal, [0; 600]).unwrap();
                }
                let mut guard = old.begun(sync, 3);
                guard.commit(old.length()).unwrap();
                assert_eq!(old.spare().exists(), sync == Synchronous::Off && !in_place, "{sync:?}");
                guard.remove().unwrap();
                assert!(!old.journal.exists() && old.spare().exists(), "{sync:?}");
                assert_eq!(std::fs::metadata(old.spare()).unwrap().nlink(), 1);
            }
        }
    }

    #[test]
    fn spare_that_has_grown_long_is_not_kept() {
        for sync in ALL {
            let old = Old::new();
            std::fs::File::create(old.spare()).unwrap().set_len(SPARE_LIMIT + 1).unwrap();
            old.guard(sync, 3).remove().unwrap();
            assert!(!old.journal.exists() && !old.spare().exists(), "{sync:?}");
        }
    }

    /// As when it lies on another file system.
    #[test]
    fn spare_that_cannot_take_the_place_is_copied() {
        for (sync, in_parts) in ALL.into_iter().flat_map(|sync| [(sync, false), (sync, true)]) {
            let old = Old::new();
            let mut guard = old.begun(sync, usize::MAX);
            if in_parts {
                guard.flush().unwrap();
            }
            fault::fail("guard: to the journal's place", 1);
            guard.commit(old.length()).unwrap();
            assert!(is_guard(&old.journal, 70) && !guard.spare_works());
            old.takes_back(usize::MAX, &format!("{sync:?} {in_parts}"));
        }
    }

    /// The longer one before it must not be played back behind a shorter one, however each of them was written.
    #[test]
    fn spare_is_used_again_without_what_was_in_it() {
        for (before, sync) in ALL.into_iter().flat_map(|before| ALL.map(|sync| (before, sync))) {
            let old = Old::new();
            old.guard(before, usize::MAX).remove().unwrap();
            // The worst that could be left at the place of a second header.
            let mut left = std::fs::read(old.spare()).unwrap();
            let second = (SECTOR + 2 * (PAGE + 8)).next_multiple_of(SECTOR);
            let header = left[..SECTOR].to_vec();
            left[second..second + SECTOR].copy_from_slice(&header);
            std::fs::write(old.spare(), left).unwrap();
            old.guard(sync, 2);
            old.takes_back(2, &format!("{sync:?} after {before:?}"));
        }
    }

    /// A power cut before the sync is over: some sectors of the guard, or its end, are missing. The database was
    /// not written then, and a playback of what is there changes nothing.
    #[test]
    fn torn_guard_changes_nothing() {
        let old = Old::new();
        old.guard(Synchronous::Normal, usize::MAX);
        let whole = std::fs::read(&old.journal).unwrap();
        let sectors = whole.len().div_ceil(SECTOR);
        let mut state = 4711_u64;
        for round in 0..sectors * 6 {
            let mut torn = whole.clone();
            let (one, kind) = (round % sectors, round / sectors);
            if kind == 0 {
                torn.truncate(one * SECTOR);
            }
            for (index, sector) in torn.chunks_mut(SECTOR).enumerate() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let lost = match kind {
                    0 => false,
                    1 => index == one,
                    _ => index > 0 && (state >> 40) % 7 < kind as u64,
                };
                if lost {
                    sector.fill(0);
                }
            }
            std::fs::write(&old.journal, torn).unwrap();
            assert!(old.after_a_look() == old.bytes, "round {round}");
        }
    }

    #[test]
    fn guard_has_the_mode_of_the_database() {
        for sync in [Synchronous::Off, Synchronous::Normal] {
            let mut old = Old::new();
            std::fs::set_permissions(old.database(), Permissions::from_mode(0o666)).unwrap();
            old.like = std::fs::metadata(old.database()).unwrap();
            old.guard(sync, 1);
            assert_eq!(std::fs::metadata(&old.journal).unwrap().mode() & 0o777, 0o666, "{sync:?}");
        }
    }
}
