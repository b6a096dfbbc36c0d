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
mod tests;
