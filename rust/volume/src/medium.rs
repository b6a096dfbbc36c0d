use std::io;
use std::time::Duration;

use dbrewind_core::Lsn;

/// What an engine does for its content, however that is read and written.
///
/// Callbacks come on the thread that makes a call of the [`Volume`](crate::Volume), and never after the volume is dropped. Between
/// `lock` and `unlock`, which come on one thread, nobody else may read or write. None of them may call the volume.
pub trait Storage: Send + Sync {
    /// Keeps all other threads and processes from the content, until [`unlock`](Self::unlock). `false`: somebody else had it
    /// all the time.
    ///
    /// # Errors
    /// When it cannot be locked.
    fn lock(&self, timeout: Duration) -> io::Result<bool>;

    /// Lets the others go on.
    fn unlock(&self);

    /// Whether the calling thread has it locked: a call of the volume that wants the lock is refused at once then, since nobody else could give
    /// it back. `false` also where that is not known.
    fn is_locked_here(&self) -> bool {
        false
    }

    /// Waits until all that was written is on the disk. [`syncs`](Self::syncs) says whether it does.
    ///
    /// # Errors
    /// When that is not certain.
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// Whether the content outlasts a power cut once it is [synced](Self::sync). If not, its history never does.
    fn syncs(&self) -> bool {
        false
    }

    /// Bytes that are others when anybody has written unrecorded since the last time; empty if there is nothing of that kind.
    /// At most 4,096.
    ///
    /// # Errors
    /// When that cannot be told.
    fn stamp(&self) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    /// Bytes that all who attach this content have in common, and that no other content has: so two of them under one name are refused, and not
    /// mixed. Empty if there is nothing of that kind. At most 4,096. Asked once, before the content is locked.
    ///
    /// # Errors
    /// When that cannot be told.
    fn identity(&self) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    /// The content is another one: throw away what is cached of it. Under the lock. `lsn`: the moment of the rewind.
    fn after_rewind(&self, lsn: Lsn) {
        let _ = lsn;
    }
}

/// Content that is read and written by offset, as its engine lets us.
///
/// ```
/// use std::io;
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
///
/// use dbrewind_volume::{AttachOptions, Medium, Storage, Volume, VolumeStore};
///
/// #[derive(Default)]
/// struct Engine {
///     lock: Mutex<bool>,
///     pages: Mutex<Vec<u8>>,
/// }
///
/// impl Storage for Engine {
///     fn lock(&self, _timeout: Duration) -> io::Result<bool> {
///         Ok(!std::mem::replace(&mut *self.lock.lock().unwrap(), true)) // an engine's lock would wait
///     }
///     fn unlock(&self) {
///         *self.lock.lock().unwrap() = false;
///     }
/// }
///
/// impl Medium for Engine {
///     fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
///         to.copy_from_slice(&self.pages.lock().unwrap()[offset as usize..][..to.len()]);
///         Ok(())
///     }
///     fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
///         self.pages.lock().unwrap()[offset as usize..][..bytes.len()].copy_from_slice(bytes);
///         Ok(())
///     }
///     fn truncate(&self, size: u64) -> io::Result<()> {
///         self.pages.lock().unwrap().resize(size as usize, 0);
///         Ok(())
///     }
///     fn size(&self) -> io::Result<u64> {
///         Ok(self.pages.lock().unwrap().len() as u64)
///     }
/// }
///
/// # let folder = tempfile::tempdir()?;
/// let store = VolumeStore::open(&folder.path().join("history"), &Default::default())?;
/// let engine = Arc::new(Engine::default());
/// let volume = Volume::attach(&store, "pages", 4096, engine.clone(), &AttachOptions::anew())?;
/// volume.mark("empty")?;
///
/// assert!(engine.lock(Duration::ZERO)?);
/// volume.enter()?;
/// volume.will_write(0, 4096)?;
/// engine.pages.lock().unwrap().resize(4096, 7);
/// volume.commit()?;
/// engine.unlock();
///
/// volume.rewind("empty")?;
/// assert_eq!(engine.size()?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Medium: Storage {
    /// Reads so many bytes from an offset. All of them lie below the size.
    ///
    /// # Errors
    /// When they cannot be read. What was under way ends with this error.
    fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()>;

    /// Writes bytes at an offset, all of them below the size. Only a rewind writes.
    ///
    /// # Errors
    /// When they cannot be written. The rewind is taken back then.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes the content so long, in bytes: longer, with zeros, or shorter. Only a rewind does.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn truncate(&self, size: u64) -> io::Result<()>;

    /// How long the content is, in bytes.
    ///
    /// # Errors
    /// When that cannot be told.
    fn size(&self) -> io::Result<u64>;
}

/// Content that is records, each of any length under a number of the engine's: rows, entries, buckets.
///
/// A key is any number but `u64::MAX`. A record has at most [`LONGEST_RECORD`](crate::LONGEST_RECORD) bytes. That there is none under a
/// key is a state as any other.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::io;
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
///
/// use dbrewind_volume::{AttachOptions, KeyedMedium, Storage, Volume, VolumeStore};
///
/// #[derive(Default)]
/// struct Rows {
///     lock: Mutex<bool>,
///     rows: Mutex<BTreeMap<u64, Vec<u8>>>,
/// }
///
/// impl Storage for Rows {
///     fn lock(&self, _timeout: Duration) -> io::Result<bool> {
///         Ok(!std::mem::replace(&mut *self.lock.lock().unwrap(), true)) // an engine's lock would wait
///     }
///     fn unlock(&self) {
///         *self.lock.lock().unwrap() = false;
///     }
/// }
///
/// impl KeyedMedium for Rows {
///     fn read(&self, key: u64, into: &mut Vec<u8>) -> io::Result<bool> {
///         let rows = self.rows.lock().unwrap();
///         let Some(row) = rows.get(&key) else { return Ok(false) };
///         into.extend_from_slice(row);
///         Ok(true)
///     }
///     fn write(&self, key: u64, record: &[u8]) -> io::Result<()> {
///         self.rows.lock().unwrap().insert(key, record.to_vec());
///         Ok(())
///     }
///     fn remove(&self, key: u64) -> io::Result<()> {
///         self.rows.lock().unwrap().remove(&key);
///         Ok(())
///     }
/// }
///
/// # let folder = tempfile::tempdir()?;
/// let store = VolumeStore::open(&folder.path().join("history"), &Default::default())?;
/// let engine = Arc::new(Rows::default());
/// let volume = Volume::attach_keyed(&store, "users", engine.clone(), &AttachOptions::anew())?;
/// volume.mark("empty")?;
///
/// assert!(engine.lock(Duration::ZERO)?);
/// volume.enter()?;
/// volume.will_change(7)?; // before the row is there
/// engine.rows.lock().unwrap().insert(7, b"Ann".to_vec());
/// volume.commit()?;
/// engine.unlock();
///
/// volume.rewind("empty")?;
/// assert!(engine.rows.lock().unwrap().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait KeyedMedium: Storage {
    /// Appends the record under a key to `into`, which is empty. `false`: there is none.
    ///
    /// # Errors
    /// When it cannot be read. What was under way ends with this error, but for the end of a rewind that somebody left half done: it
    /// writes what it cannot read.
    fn read(&self, key: u64, into: &mut Vec<u8>) -> io::Result<bool>;

    /// Makes these bytes the record under a key, whether there is one or not. Only a rewind does.
    ///
    /// # Errors
    /// When it cannot be written. The rewind is taken back then.
    fn write(&self, key: u64, record: &[u8]) -> io::Result<()>;

    /// Removes the record under a key. Only a rewind does, and perhaps twice after a kill.
    ///
    /// # Errors
    /// As [`write`](Self::write). That there is none is no error.
    fn remove(&self, key: u64) -> io::Result<()>;
}

impl<M: Storage + ?Sized> Storage for std::sync::Arc<M> {
    fn lock(&self, timeout: Duration) -> io::Result<bool> {
        (**self).lock(timeout)
    }
    fn unlock(&self) {
        (**self).unlock();
    }
    fn is_locked_here(&self) -> bool {
        (**self).is_locked_here()
    }
    fn sync(&self) -> io::Result<()> {
        (**self).sync()
    }
    fn syncs(&self) -> bool {
        (**self).syncs()
    }
    fn stamp(&self) -> io::Result<Vec<u8>> {
        (**self).stamp()
    }
    fn identity(&self) -> io::Result<Vec<u8>> {
        (**self).identity()
    }
    fn after_rewind(&self, lsn: Lsn) {
        (**self).after_rewind(lsn);
    }
}

impl<M: Medium + ?Sized> Medium for std::sync::Arc<M> {
    fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        (**self).read(offset, to)
    }
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write(offset, bytes)
    }
    fn truncate(&self, size: u64) -> io::Result<()> {
        (**self).truncate(size)
    }
    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }
}

impl<M: KeyedMedium + ?Sized> KeyedMedium for std::sync::Arc<M> {
    fn read(&self, key: u64, into: &mut Vec<u8>) -> io::Result<bool> {
        (**self).read(key, into)
    }
    fn write(&self, key: u64, record: &[u8]) -> io::Result<()> {
        (**self).write(key, record)
    }
    fn remove(&self, key: u64) -> io::Result<()> {
        (**self).remove(key)
    }
}
