use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::journal;
use super::recorder::Recorder;
use crate::ffi::{HostVfs, Opener};
use crate::file::{Content, FileId};
use crate::handover::Handover;
use crate::sync::{AtomicBool, AtomicI32, AtomicU64, Ordering};

const SHARED: i32 = 1;
pub(super) const RESERVED: i32 = 2;
const EXCLUSIVE: i32 = 4;

/// One database file that some connection of this process has open through the shim.
///
/// As long as nobody records that file, a write costs one load and one branch.
#[derive(Debug)]
pub(crate) struct Watched {
    file: Option<FileId>,
    path: PathBuf,
    /// Where SQLite looks for this connection's journal.
    journal: PathBuf,
    /// A dead process's journal is being played back.
    playing_back: AtomicBool,
    recorded: AtomicBool,
    /// The connection works without a journal on disk: a kill within a transaction tears the file.
    unguarded: AtomicBool,
    /// The connection was told once to work without any journal: its rollbacks may restore nothing.
    journalless: AtomicBool,
    /// The last commit switched to WAL mode.
    switched: AtomicBool,
    /// Between the two halves of a handover, which are in one callback.
    handover: Mutex<Option<Handover>>,
    recorder: Mutex<Option<Arc<Recorder>>>,
    opener: Mutex<Option<Opener>>,
    level: AtomicI32,
    thread: AtomicU64,
}

impl Watched {
    /// A file that was opened at this path.
    pub(super) fn new(file: Option<FileId>, path: &Path) -> Self {
        Self {
            file,
            path: path.to_owned(),
            journal: journal::path_for(path),
            playing_back: AtomicBool::new(false),
            recorded: AtomicBool::new(false),
            unguarded: AtomicBool::new(false),
            journalless: AtomicBool::new(false),
            switched: AtomicBool::new(false),
            handover: Mutex::new(None),
            recorder: Mutex::new(None),
            opener: Mutex::new(None),
            level: AtomicI32::new(0),
            thread: AtomicU64::new(0),
        }
    }

    /// Which file it is.
    pub(super) fn file(&self) -> Option<FileId> {
        self.file
    }

    /// Where it was opened.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// From now on tell this recorder, or nobody.
    pub(super) fn connect(&self, recorder: Option<Arc<Recorder>>) {
        let on = recorder.is_some();
        *self.recorder.lock().unwrap_or_else(PoisonError::into_inner) = recorder;
        // Release: partner of the load in `is_recorded`; who sees the flag finds the recorder.
        self.recorded.store(on, Ordering::Release);
    }

    /// Whether somebody records this file.
    pub(crate) fn is_recorded(&self) -> bool {
        // Acquire: partner of the store in `connect`.
        self.recorded.load(Ordering::Acquire)
    }

    fn with<T>(&self, run: impl FnOnce(&Recorder) -> T) -> Option<T> {
        let recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        recorder.as_ref().map(|recorder| run(recorder))
    }

    /// These bytes are about to be written.
    pub(crate) fn before_write(&self, file: &mut dyn Content, bytes: &[u8], offset: u64) {
        if !self.is_playing_back() {
            self.with(|recorder| recorder.before_write(file, &self.journal, bytes, offset));
        }
    }

    /// The file is about to get this size.
    pub(crate) fn before_truncate(&self, file: &mut dyn Content, size: u64) {
        if !self.is_playing_back() {
            self.with(|recorder| recorder.before_truncate(file, &self.journal, size));
        }
    }

    /// What is overwritten then was never a state of the database, and what is written is one that was
    /// recorded: there is nothing to save.
    fn is_playing_back(&self) -> bool {
        // Relaxed: only this connection changes it, one thread at a time.
        self.playing_back.load(Ordering::Relaxed)
    }

    /// SQLite announces that what it wrote is to become durable: the end of a playback as well, after which
    /// a connection in exclusive locking mode goes on writing without another lock.
    pub(crate) fn syncing(&self) {
        // Relaxed: as in `is_playing_back`.
        self.playing_back.store(false, Ordering::Relaxed);
    }

    /// The connection sets a pragma. Answers whether that is to work without any journal.
    pub(super) fn pragma(&self, name: &str, value: &str) -> bool {
        if name.eq_ignore_ascii_case("journal_mode")
            && let Some(mode) = journal_mode(value)
        {
            // Relaxed: advice for a warning.
            self.unguarded.store(matches!(mode, "off" | "memory"), Ordering::Relaxed);
            if mode == "off" {
                self.goes_without_journal();
                return true;
            }
        }
        false
    }

    /// The connection may work on the file without any journal from now on.
    pub(super) fn goes_without_journal(&self) {
        // Relaxed: read by the connection itself, one thread at a time.
        self.journalless.store(true, Ordering::Relaxed);
    }

    /// Whether the connection has set `journal_mode` to OFF or MEMORY.
    pub(super) fn is_unguarded(&self) -> bool {
        // Relaxed: as in `pragma`.
        self.unguarded.load(Ordering::Relaxed)
    }

    /// SQLite's commit is done; its EXCLUSIVE lock is still held.
    pub(crate) fn committed(&self, file: &mut dyn Content) {
        let switched = self.with(|recorder| recorder.committed(file));
        if let (Some(false), Some(id)) = (switched, self.file) {
            self.with(|recorder| recorder.begin_era_if_due(file, id, &self.path));
        }
        // Relaxed: as in `is_playing_back`.
        self.switched.store(switched == Some(true), Ordering::Relaxed);
    }

    /// The connection is about to lower its lock to this level: what was not committed by now is rolled back.
    pub(crate) fn unlocking(&self, file: &mut dyn Content, to: i32, vfs: HostVfs) {
        // Relaxed: only this connection changes its level, one thread at a time.
        let level = self.level.load(Ordering::Relaxed);
        if level > SHARED {
            // Relaxed: as in `goes_without_journal`.
            let torn = self.journalless.load(Ordering::Relaxed);
            self.with(|recorder| match torn {
                true => recorder.left_torn(file),
                false => recorder.rolled_back(file),
            });
        }
        // Relaxed: as in `is_playing_back`.
        if self.switched.swap(false, Ordering::Relaxed) && (level, to) == (EXCLUSIVE, SHARED) {
            let handover = self.with(|recorder| recorder.prepare_handover(vfs, &self.path)).flatten();
            *self.handover.lock().unwrap_or_else(PoisonError::into_inner) = handover;
        }
    }

    /// The connection has taken a lock of this level.
    pub(super) fn locked(&self, level: i32) {
        // Relaxed: `held_here` gives advice, not a guarantee.
        self.thread.store(this_thread(), Ordering::Relaxed);
        let before = self.level.swap(level, Ordering::Relaxed);
        if before == SHARED && level == EXCLUSIVE {
            // A transaction goes by RESERVED; only who plays back a journal leaves that out.
            // Relaxed: as in `is_playing_back`.
            self.playing_back.store(true, Ordering::Relaxed);
        }
    }

    /// The connection has lowered its lock to this level. Answers what was prepared by then for a switch to WAL mode.
    pub(super) fn unlocked(&self, level: i32) -> Option<Handover> {
        // Relaxed: as in `locked`.
        self.level.store(level, Ordering::Relaxed);
        // Relaxed: as in `is_playing_back`.
        self.playing_back.store(false, Ordering::Relaxed);
        let handover = self.handover.lock().unwrap_or_else(PoisonError::into_inner).take();
        handover.filter(|_| level == SHARED)
    }

    /// The level of the lock that is held, 0 for none, and whether by the calling thread.
    pub(super) fn held(&self) -> (i32, bool) {
        // Relaxed: as in `locked`.
        let mine = self.thread.load(Ordering::Relaxed) == this_thread();
        (self.level.load(Ordering::Relaxed), mine)
    }

    /// Which connection it is; `None` as soon as it begins to close the file.
    pub(crate) fn opened_by(&self, opener: Option<Opener>) {
        *self.opener.lock().unwrap_or_else(PoisonError::into_inner) = opener;
    }

    /// Which connection it is, if that is known.
    pub(super) fn connection(&self) -> Option<usize> {
        self.opener.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(Opener::connection)
    }

    /// The text of a statement that the connection is in the midst of.
    pub(super) fn busy_statement(&self) -> Option<String> {
        // Held meanwhile: the connection cannot go away.
        self.opener.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(Opener::busy_statement)
    }

    /// Our side of a callback failed in a way it must not: what follows is not recorded.
    pub(crate) fn defect(&self) {
        self.with(Recorder::defect);
    }
}

/// The journal mode that SQLite takes a pragma's value for: the first one whose name begins with it. `None`: it sets none.
fn journal_mode(value: &str) -> Option<&'static str> {
    let begins = |mode: &&str| mode.get(..value.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(value));
    ["delete", "persist", "off", "truncate", "memory", "wal"].into_iter().find(begins)
}

/// A number for the calling thread; threads never share one.
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static NUMBER: Cell<u64> = const { Cell::new(0) };
    }
    NUMBER
        .try_with(|number| {
            if number.get() == 0 {
                // Relaxed: only the numbers' difference matters.
                number.set(NEXT.fetch_add(1, Ordering::Relaxed));
            }
            number.get()
        })
        .unwrap_or(u64::MAX)
}
