//! The common case: the content is a file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::error::Error;
use crate::medium::{Medium, Storage};
use crate::options::AttachOptions;
use crate::store::VolumeStore;
use crate::turn::Turn;
use crate::volume::Volume;

/// How long the clock of files may stand still. Linux counts in ticks of at most 10 ms.
const TICK: Duration = Duration::from_millis(20);
/// How often a lock is asked for.
const PAUSE: Duration = Duration::from_micros(200);

/// A file whose content is recorded. Every access goes through [`begin`](Self::begin); marks and rewinds are those of the [`Volume`] that
/// it is.
///
/// The file is locked with `flock` for as long as a change lasts: it may be open in many processes. Whoever writes to it in another way writes
/// unrecorded; between two attachments that shows in its times, and earlier marks are lost.
///
/// ```
/// use dbrewind_volume::{FileVolume, VolumeStore};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("data");
/// let store = VolumeStore::open(&folder.path().join("history"), &Default::default())?;
/// let file = FileVolume::attach(&store, "data", 4096, &path, &Default::default())?;
/// file.mark("empty")?;
///
/// let mut change = file.begin()?;
/// change.write_at(10, b"something")?;
/// change.commit()?;
///
/// file.rewind("empty")?;
/// assert_eq!(std::fs::metadata(&path)?.len(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileVolume {
    volume: Volume,
    content: Arc<Content>,
}

#[derive(Debug)]
struct Content {
    file: File,
    turn: Turn,
    /// Whose lock of the file it is: children of a fork have the same.
    process: u32,
}

/// A change that is being made to a file, or a look at it. Nobody else reads or writes meanwhile.
///
/// What is dropped without [`commit`](Self::commit) is not taken back: what was written stays, and counts as a moment.
#[derive(Debug)]
#[must_use = "dropping it ends the change"]
pub struct FileChange<F: Deref<Target = FileVolume>> {
    file: F,
    ended: bool,
}

impl FileVolume {
    /// Opens the file, or creates it, and attaches to the volume of this name with it.
    ///
    /// # Errors
    /// As [`Volume::attach`].
    pub fn attach(
        store: &VolumeStore,
        name: &str,
        block: u32,
        path: &Path,
        options: &AttachOptions,
    ) -> Result<Self, Error> {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = opened.map_err(Error::medium("open the file"))?;
        let content = Arc::new(Content { file, turn: Turn::default(), process: std::process::id() });
        let volume = Volume::attach(store, name, block, Arc::clone(&content), options)?;
        Ok(Self { volume, content })
    }

    /// Locks the file for a change or a look, for at most the timeout it was attached with. Until its end a mark or a rewind of the thread that has
    /// begun it is refused at once (`DBR004`), wherever the change was moved; so is another change.
    ///
    /// # Errors
    /// `DBR004` when somebody has it locked, or this thread itself, `DBR025` when it cannot be locked, `DBR020` in a child of the process that attached.
    pub fn begin(&self) -> Result<FileChange<&Self>, Error> {
        FileChange::of(self)
    }

    /// The same for who cannot borrow the volume as long as the change lasts.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn begin_owned(self: Arc<Self>) -> Result<FileChange<Arc<Self>>, Error> {
        FileChange::of(self)
    }
}

impl Deref for FileVolume {
    type Target = Volume;

    fn deref(&self) -> &Volume {
        &self.volume
    }
}

impl<F: Deref<Target = FileVolume>> FileChange<F> {
    fn of(file: F) -> Result<Self, Error> {
        // In the child of a fork the lock is the parent's: giving it back there would take it from the parent.
        file.volume.check()?;
        std::mem::forget(file.volume.lock(file.volume.timeout)?);
        let change = Self { file, ended: false };
        change.file.volume.enter()?;
        Ok(change)
    }

    /// Reads so many bytes from an offset; answers how many there are, fewer at the end of the file.
    ///
    /// # Errors
    /// `DBR025` when the file cannot be read.
    pub fn read_at(&self, offset: u64, to: &mut [u8]) -> Result<usize, Error> {
        let mut there = 0;
        while let Some(rest) = to.get_mut(there..).filter(|rest| !rest.is_empty()) {
            match self.file.content.file.read_at(rest, offset + there as u64) {
                Ok(0) => break,
                Ok(more) => there += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::medium("read the file")(error)),
            }
        }
        Ok(there)
    }

    /// Writes bytes at an offset. Past the end the file grows, with zeros where nothing is written.
    ///
    /// # Errors
    /// When the old content cannot be saved: nothing is written then. `DBR025` when the file cannot be written.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.file.volume.will_write(offset, bytes.len() as u64)?;
        self.file.content.file.write_all_at(bytes, offset).map_err(Error::medium("write the file"))
    }

    /// Makes the file so long.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    pub fn set_len(&mut self, size: u64) -> Result<(), Error> {
        self.file.volume.will_truncate(size)?;
        self.file.content.truncate(size).map_err(Error::medium("set the length of the file"))
    }

    /// How long the file is.
    ///
    /// # Errors
    /// `DBR025` when that cannot be told.
    pub fn len(&self) -> Result<u64, Error> {
        self.file.volume.size()
    }

    /// Whether there is nothing in the file.
    ///
    /// # Errors
    /// As [`len`](Self::len).
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// Ends the change: what was written is a moment. Not synced; [`Volume::detach`] does that.
    ///
    /// # Errors
    /// As [`Volume::commit`].
    pub fn commit(mut self) -> Result<dbrewind_core::Lsn, Error> {
        self.ended = true;
        self.file.volume.commit()
    }
}

impl<F: Deref<Target = FileVolume>> Drop for FileChange<F> {
    fn drop(&mut self) {
        if !self.ended {
            // There is no place for the error; who comes next settles it.
            let _ = self.file.volume.commit();
        }
        self.file.content.unlock();
    }
}

impl Storage for Content {
    fn lock(&self, timeout: Duration) -> io::Result<bool> {
        let started = Instant::now();
        if !self.turn.take(timeout) {
            return Ok(false);
        }
        loop {
            let outcome = match self.file.try_lock() {
                Ok(()) => return Ok(true),
                Err(TryLockError::WouldBlock) if started.elapsed() < timeout => {
                    std::thread::sleep(PAUSE);
                    continue;
                }
                Err(TryLockError::WouldBlock) => Ok(false),
                Err(TryLockError::Error(error)) => Err(error),
            };
            self.turn.give_back();
            return outcome;
        }
    }

    fn unlock(&self) {
        if self.process == std::process::id() {
            // It fails for a file that is not open only.
            let _ = self.file.unlock();
        }
        self.turn.give_back();
    }

    fn is_locked_here(&self) -> bool {
        self.turn.is_mine()
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn syncs(&self) -> bool {
        true
    }

    fn stamp(&self) -> io::Result<Vec<u8>> {
        let mut found = self.file.metadata()?;
        // A write within the tick of the newest one would leave the times as they are.
        if let Ok(age) = SystemTime::now().duration_since(found.modified()?)
            && age < TICK
        {
            std::thread::sleep(TICK - age);
            found = self.file.metadata()?;
        }
        let times =
            [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()].map(i64::to_le_bytes);
        let numbers = [found.dev(), found.ino(), found.len()].map(u64::to_le_bytes);
        Ok([numbers.as_flattened(), times.as_flattened()].concat())
    }

    /// The inode, and when it was made: the number of a deleted file is soon used again.
    fn identity(&self) -> io::Result<Vec<u8>> {
        let found = self.file.metadata()?;
        let born = found.created().ok().and_then(|born| born.duration_since(SystemTime::UNIX_EPOCH).ok());
        let born = born.unwrap_or_default();
        let numbers = [found.dev(), found.ino(), born.as_secs(), u64::from(born.subsec_nanos())];
        Ok(numbers.map(u64::to_le_bytes).concat())
    }
}

impl Medium for Content {
    fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(to, offset)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}
