//! The plainest store that keeps the interface's promises: one file, one lock, no mapping.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{AppendError, Code, LockError, OpenError, ReadError, SyncError};
use crate::format::Kind;
use crate::store::{Cursor, Head, HolderLock, Location, ObjectLock, Record, StoreOptions};
use crate::types::{Key, Lsn, ObjectId};

const HEADER: usize = 32;
const WORDS_PER_OBJECT: u64 = 8;

/// A store of change records. Cheap to clone; all clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    log: Mutex<File>,
    words: Mutex<File>,
    pid: u32,
    limit: u64,
}

struct Locked<'a>(MutexGuard<'a, File>);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

fn locked(file: &Mutex<File>) -> io::Result<Locked<'_>> {
    let guard = file.lock().unwrap_or_else(PoisonError::into_inner);
    guard.lock()?;
    Ok(Locked(guard))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    if let Some(found) = bytes.get(at..at + 4) {
        four.copy_from_slice(found);
    }
    u32::from_le_bytes(four)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn decode(bytes: &[u8; HEADER]) -> Option<(Head, u32)> {
    let kind = Kind::from_raw(*bytes.get(4)?)?;
    let head = Head {
        kind,
        flags: *bytes.get(5)?,
        object: ObjectId::new(u32_at(bytes, 8)),
        key: Key::new(u64_at(bytes, 12)),
        lsn: Lsn::new(u64_at(bytes, 20)),
    };
    Some((head, u32_at(bytes, 0)))
}

impl Store {
    /// Opens the store in this folder, or creates one.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(dir: &Path, options: &StoreOptions) -> Result<Self, OpenError> {
        let io = |action| {
            let path = dir.to_path_buf();
            move |source| OpenError::Io { action, path, source }
        };
        std::fs::create_dir_all(dir).map_err(io("create"))?;
        let open = |name: &str| {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(dir.join(name))
        };
        let log = open("log").map_err(io("open"))?;
        let words = open("words").map_err(io("open"))?;
        Ok(Self {
            inner: Arc::new(Inner {
                dir: dir.to_path_buf(),
                log: Mutex::new(log),
                words: Mutex::new(words),
                pid: std::process::id(),
                limit: options.limit,
            }),
        })
    }

    /// The store's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Finds the object of this name, or registers it.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn object(&self, name: &str, key_size: u32) -> Result<ObjectId, AppendError> {
        let io = |source| AppendError::Io { action: "lock the objects", source };
        let _guard = self.wait_lock("objects", None).map_err(io)?;
        let mut cursor = Cursor::default();
        let mut found = Vec::new();
        let damaged = |e: ReadError| AppendError::Damaged { what: e.to_string() };
        self.scan(&mut cursor, &mut |head, at, _| {
            if head.kind == Kind::Object {
                found.push((head.object, at));
            }
        })
        .map_err(damaged)?;
        for (object, at) in &found {
            let body = self.read(*at).map_err(damaged)?.body;
            if body.get(8..) == Some(name.as_bytes()) {
                return Ok(*object);
            }
        }
        let object = ObjectId::new(u32::try_from(found.len()).unwrap_or(u32::MAX));
        let head = Head { kind: Kind::Object, flags: 0, object, key: Key::new(0), lsn: Lsn::ORIGIN };
        self.append(head, &[&key_size.to_le_bytes(), &[0; 4], name.as_bytes()])?;
        Ok(object)
    }

    /// Appends a record; the body is the parts one after the other.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn append(&self, head: Head, body: &[&[u8]]) -> Result<Location, AppendError> {
        if self.forked() {
            return Err(AppendError::Forked);
        }
        let io = |source| AppendError::Io { action: "append", source };
        let len: usize = body.iter().map(|p| p.len()).sum();
        let mut bytes = Vec::with_capacity(HEADER + len);
        bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(&[head.kind as u8, head.flags, 0, 0]);
        bytes.extend_from_slice(&head.object.get().to_le_bytes());
        bytes.extend_from_slice(&head.key.get().to_le_bytes());
        bytes.extend_from_slice(&head.lsn.get().to_le_bytes());
        bytes.resize(HEADER, 0);
        for part in body {
            bytes.extend_from_slice(part);
        }
        let log = locked(&self.inner.log).map_err(io)?;
        let at = log.0.metadata().map_err(io)?.len();
        if at + bytes.len() as u64 > self.inner.limit {
            return Err(AppendError::Full { why: format!("its limit is {} bytes", self.inner.limit) });
        }
        log.0.write_all_at(&bytes, at).map_err(io)?;
        Ok(Location::new(1, u32::try_from(at).unwrap_or(u32::MAX)))
    }

    /// Reads a record.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(&self, at: Location) -> Result<Record, ReadError> {
        let mut body = Vec::new();
        let head = self.read_into(at, &mut body)?;
        Ok(Record { head, at, body })
    }

    /// Reads a record into a buffer, whose content is replaced.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read_into(&self, at: Location, out: &mut Vec<u8>) -> Result<Head, ReadError> {
        if self.forked() {
            return Err(ReadError::Forked);
        }
        let io = |source| ReadError::Io { action: "read", source };
        let log = self.inner.log.lock().unwrap_or_else(PoisonError::into_inner);
        let mut header = [0; HEADER];
        log.read_exact_at(&mut header, u64::from(at.offset())).map_err(io)?;
        let (head, len) = decode(&header).ok_or_else(|| ReadError::Damaged { what: at.to_string() })?;
        out.clear();
        out.resize(len as usize, 0);
        log.read_exact_at(out, u64::from(at.offset()) + HEADER as u64).map_err(io)?;
        Ok(head)
    }

    /// Visits every committed record after the cursor, and moves the cursor past them.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn scan(
        &self,
        from: &mut Cursor,
        visit: &mut dyn FnMut(Head, Location, u32),
    ) -> Result<(), ReadError> {
        if self.forked() {
            return Err(ReadError::Forked);
        }
        let io = |source| ReadError::Io { action: "read", source };
        let mut at = from.next().offset();
        loop {
            let mut header = [0; HEADER];
            {
                let log = locked(&self.inner.log).map_err(io)?;
                if log.0.metadata().map_err(io)?.len() <= u64::from(at) {
                    return Ok(());
                }
                log.0.read_exact_at(&mut header, u64::from(at)).map_err(io)?;
            }
            let here = Location::new(1, at);
            let (head, len) = decode(&header).ok_or_else(|| ReadError::Damaged { what: here.to_string() })?;
            at += HEADER as u32 + len;
            *from = Cursor::at(Location::new(1, at));
            visit(head, here, len);
        }
    }

    /// The largest LSN anybody has announced for the object.
    #[must_use]
    pub fn last_lsn(&self, object: ObjectId) -> Lsn {
        Lsn::new(self.word(object, 0, |old| old))
    }

    /// Announces an LSN. A smaller one than the last has no effect.
    pub fn raise_last_lsn(&self, object: ObjectId, to: Lsn) {
        self.word(object, 0, |old| old.max(to.get()));
    }

    /// A register of the object, 0 to 6.
    #[must_use]
    pub fn register(&self, object: ObjectId, index: usize) -> u64 {
        self.word(object, index + 1, |old| old)
    }

    /// Raises a register to at least a value; answers the old value.
    pub fn raise_register(&self, object: ObjectId, index: usize, to: u64) -> u64 {
        self.word(object, index + 1, |old| old.max(to))
    }

    /// Sets a register.
    pub fn set_register(&self, object: ObjectId, index: usize, to: u64) {
        self.word(object, index + 1, |_| to);
    }

    /// Adds to a register, wrapping around; answers the old value.
    pub fn add_register(&self, object: ObjectId, index: usize, by: u64) -> u64 {
        self.word(object, index + 1, |old| old.wrapping_add(by))
    }

    /// Takes the lock of an object.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn lock_object(&self, object: ObjectId, timeout: Duration) -> Result<ObjectLock, LockError> {
        if self.forked() {
            return Err(LockError::Forked);
        }
        match self.wait_lock(&format!("object-{object}"), Some(timeout)) {
            Ok(file) => Ok(ObjectLock { object, _file: file }),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                Err(LockError::Busy { object, waited: timeout })
            }
            Err(source) => Err(LockError::Io { action: "lock the object", source }),
        }
    }

    /// Takes the holder role of an object, or answers `None` when somebody has it.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn try_hold(&self, object: ObjectId) -> Result<Option<HolderLock>, LockError> {
        if self.forked() {
            return Err(LockError::Forked);
        }
        match self.wait_lock(&format!("holder-{object}"), Some(Duration::ZERO)) {
            Ok(file) => Ok(Some(HolderLock { object, _file: file })),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(source) => Err(LockError::Io { action: "take the holder role", source }),
        }
    }

    /// Why recording has stopped, if it has.
    #[must_use]
    pub fn broken(&self) -> Option<Code> {
        let raw = self.word(ObjectId::new(256), 0, |old| old);
        u16::try_from(raw).ok().and_then(Code::from_number)
    }

    /// Says that recording has stopped, and why. The first reason stays.
    pub fn set_broken(&self, code: Code) {
        let raw = u64::from(code.number());
        self.word(ObjectId::new(256), 0, |old| if old == 0 { raw } else { old });
    }

    /// Whether the machine was started anew since the store was last used.
    #[must_use]
    pub fn boot_changed(&self) -> bool {
        false
    }

    /// Makes everything appended so far survive a power cut.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub fn sync(&self) -> Result<(), SyncError> {
        let log = self.inner.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.sync_data().map_err(|source| SyncError::Io { action: "sync", source })
    }

    fn forked(&self) -> bool {
        self.inner.pid != std::process::id()
    }

    fn word(&self, object: ObjectId, index: usize, change: impl FnOnce(u64) -> u64) -> u64 {
        if self.forked() {
            return 0;
        }
        let Ok(words) = locked(&self.inner.words) else { return 0 };
        let at = (u64::from(object.get()) * WORDS_PER_OBJECT + index as u64) * 8;
        let mut bytes = [0; 8];
        let _ = words.0.read_exact_at(&mut bytes, at);
        let old = u64::from_le_bytes(bytes);
        let new = change(old);
        if new != old {
            let _ = words.0.write_all_at(&new.to_le_bytes(), at);
        }
        old
    }

    fn wait_lock(&self, name: &str, timeout: Option<Duration>) -> io::Result<File> {
        let path = self.inner.dir.join(name);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        let end = timeout.map(|t| Instant::now() + t);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(e)) => return Err(e),
                Err(TryLockError::WouldBlock) => {
                    if end.is_some_and(|end| Instant::now() >= end) {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_scanned_and_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
        let object = store.object("/a.db", 4096).unwrap();
        assert_eq!(store.object("/a.db", 4096).unwrap(), object);
        let head = Head { kind: Kind::After, flags: 3, object, key: Key::new(7), lsn: Lsn::new(9) };
        let at = store.append(head, &[b"ab", b"c"]).unwrap();
        assert_eq!(store.read(at).unwrap(), Record { head, at, body: b"abc".to_vec() });
        let mut seen = Vec::new();
        store.scan(&mut Cursor::default(), &mut |h, l, n| seen.push((h, l, n))).unwrap();
        assert_eq!(seen.last(), Some(&(head, at, 3)));
        assert_eq!(seen.len(), 2);
        store.raise_last_lsn(object, Lsn::new(4));
        store.raise_last_lsn(object, Lsn::new(2));
        assert_eq!(store.last_lsn(object), Lsn::new(4));
        assert!(store.try_hold(object).unwrap().is_some());
    }
}
