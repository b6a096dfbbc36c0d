//! Handles of the C interface: numbers that are looked up at each call, so that a second close, a handle that was never
//! one, or a close during another thread's call is an error and not a crash.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::time::{Duration, Instant};

use dbrewind_keeper::Handle;
use dbrewind_sqlite::Code;

use crate::attached::Attached;
use crate::fault::Fault;
use crate::moment::database_number;

/// What a handle stands for.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) handle: Handle,
    pub(crate) path: CString,
    pub(crate) store: CString,
    /// Which database its moments belong to.
    pub(crate) database: u64,
}

impl Entry {
    pub(crate) fn new(handle: Handle) -> Self {
        // A path that was opened has no NUL.
        let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
        let (path, store) = (text(handle.path()), text(handle.store_path()));
        let database = database_number(handle.path());
        Self { handle, path, store, database }
    }
}

/// What a handle of a volume stands for.
#[derive(Debug)]
pub(crate) struct VolumeEntry {
    pub(crate) volume: Attached,
    /// Which volume its moments belong to.
    pub(crate) database: u64,
}

#[derive(Debug)]
struct Live<T> {
    kind: Kind,
    last: usize,
    entries: BTreeMap<usize, Arc<T>>,
}

/// What kind of handles a registry has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// The lowest bits of its handles. No address that an allocator gives ends in them.
    tag: usize,
    /// What the argument is called.
    name: &'static str,
    /// Which function gives them.
    from: &'static str,
}

/// All handles of one kind of this process.
#[derive(Debug)]
pub(crate) struct Registry<T> {
    kind: Kind,
    live: RwLock<Live<T>>,
}

pub(crate) static HANDLES: Registry<Entry> =
    Registry::new(Kind { tag: 0xa, name: "db", from: "dbrewind_open" });
pub(crate) static VOLUMES: Registry<VolumeEntry> =
    Registry::new(Kind { tag: 0xc, name: "volume", from: "dbrewind_volume_attach" });

const TAG_BITS: u32 = 4;
const COUNT_BITS: u32 = 36;
/// Nobody holds the lock so long but a thread that a fork left behind.
const LONGEST: Duration = Duration::from_secs(5);

const _: () = assert!(usize::BITS == 64, "a handle holds a process and a count");

impl<T> Registry<T> {
    const fn new(kind: Kind) -> Self {
        Self { kind, live: RwLock::new(Live { kind, last: 0, entries: BTreeMap::new() }) }
    }

    /// Takes an entry in, and answers its handle.
    pub(crate) fn insert(&self, entry: T) -> Result<usize, Fault> {
        let mut live = self.write()?;
        let count = live.last + 1;
        if count >> COUNT_BITS != 0 {
            return Err(Fault::new(Code::Unsupported, "this process has opened too many recordings"));
        }
        live.last = count;
        let handle = (process() << COUNT_BITS | count) << TAG_BITS | self.kind.tag;
        live.entries.insert(handle, Arc::new(entry));
        Ok(handle)
    }

    /// The entry of a handle; it stays as long as the answer does, whoever closes it.
    pub(crate) fn get(&self, handle: usize) -> Result<Arc<T>, Fault> {
        self.kind.check(handle)?;
        let live = self.read()?;
        live.entries.get(&handle).cloned().ok_or_else(|| live.why(handle))
    }

    /// Takes an entry out.
    pub(crate) fn remove(&self, handle: usize) -> Result<Arc<T>, Fault> {
        self.kind.check(handle)?;
        let mut live = self.write()?;
        live.entries.remove(&handle).ok_or_else(|| live.why(handle))
    }

    fn read(&self) -> Result<RwLockReadGuard<'_, Live<T>>, Fault> {
        patiently(|| self.live.try_read())
    }

    fn write(&self) -> Result<RwLockWriteGuard<'_, Live<T>>, Fault> {
        patiently(|| self.live.try_write())
    }
}

impl Kind {
    /// Without the lock, which a fork may have left locked.
    fn check(self, handle: usize) -> Result<(), Fault> {
        if handle == 0 {
            return Err(Fault::invalid(format!("{} is NULL; pass what {} gave", self.name, self.from)));
        }
        if handle & ((1 << TAG_BITS) - 1) != self.tag {
            return Err(self.not_a_handle());
        }
        if handle >> (COUNT_BITS + TAG_BITS) != process() {
            return Err(dbrewind_sqlite::Error::Forked.into());
        }
        Ok(())
    }

    fn not_a_handle(self) -> Fault {
        Fault::invalid(format!("{} is not a handle; pass what {} gave", self.name, self.from))
    }
}

impl<T> Live<T> {
    fn why(&self, handle: usize) -> Fault {
        let count = handle >> TAG_BITS & ((1 << COUNT_BITS) - 1);
        if count == 0 || count > self.last {
            self.kind.not_a_handle()
        } else {
            dbrewind_sqlite::Error::Closed.into()
        }
    }
}

fn process() -> usize {
    // At most 2^22 on Linux.
    std::process::id() as usize
}

/// The lock is held for a lookup only, never during a call.
fn patiently<G>(mut lock: impl FnMut() -> Result<G, TryLockError<G>>) -> Result<G, Fault> {
    let started = Instant::now();
    loop {
        match lock() {
            Ok(guard) => return Ok(guard),
            Err(TryLockError::Poisoned(guard)) => return Ok(guard.into_inner()),
            Err(TryLockError::WouldBlock) if started.elapsed() > LONGEST => {
                let text = "this process was forked while another thread opened or closed a recording";
                return Err(Fault::new(Code::Forked, text));
            }
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { tag: 0xa, name: "db", from: "dbrewind_open" };

    #[test]
    fn a_handle_is_never_used_again() {
        let registry = Registry::new(KIND);
        let first = registry.insert(1).unwrap();
        let held = registry.get(first).unwrap();
        assert_eq!(*registry.remove(first).unwrap(), 1);
        assert_eq!(*held, 1, "a call that is under way keeps it");
        let second = registry.insert(2).unwrap();
        assert_ne!(first, second);
        assert_eq!(registry.get(first).unwrap_err().code, Code::Closed);
        assert_eq!(registry.remove(first).unwrap_err().code, Code::Closed);
        assert_eq!(*registry.get(second).unwrap(), 2);
    }

    #[test]
    fn what_never_was_a_handle_is_told_apart() {
        let registry = Registry::new(KIND);
        let handle = registry.insert(()).unwrap();
        let next = handle + (1 << TAG_BITS);
        for wrong in [0, 1, 8, 0xa, handle - KIND.tag, next, 0x7fff_0000_1230, usize::MAX] {
            let code = registry.get(wrong).unwrap_err().code;
            let of_another_process = wrong & 0xf == KIND.tag && wrong >> 40 != handle >> 40;
            let expected = if of_another_process { Code::Forked } else { Code::InvalidArgument };
            assert_eq!(code, expected, "{wrong:#x}");
        }
    }
}
