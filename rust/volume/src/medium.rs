use std::io;
use std::time::Duration;

use dbrewind_core::Lsn;

/// The content of a volume, as its engine lets us read and write it.
///
/// Callbacks come on the thread that makes a call of the [`Volume`](crate::Volume), and never after the volume is dropped. Between
/// `lock` and `unlock`, which come on one thread, nobody else may read or write. None of them may call the volume.
pub trait Medium: Send + Sync {
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

    /// Keeps all other threads and processes from the content, until [`unlock`](Self::unlock). `false`: somebody else had it
    /// all the time.
    ///
    /// # Errors
    /// When it cannot be locked.
    fn lock(&self, timeout: Duration) -> io::Result<bool>;

    /// Lets the others go on.
    fn unlock(&self);

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

    /// The content is another one: throw away what is cached of it. Under the lock. `lsn`: the moment of the rewind.
    fn after_rewind(&self, lsn: Lsn) {
        let _ = lsn;
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
    fn lock(&self, timeout: Duration) -> io::Result<bool> {
        (**self).lock(timeout)
    }
    fn unlock(&self) {
        (**self).unlock();
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
    fn after_rewind(&self, lsn: Lsn) {
        (**self).after_rewind(lsn);
    }
}
