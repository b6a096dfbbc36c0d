use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::io;
use std::mem::offset_of;
use std::time::Duration;

use dbrewind_volume::{Lsn, Medium, Storage};

use super::given::CStruct;
use crate::fault::Fault;

/// The content of a volume, as its engine lets it be read and written. Each function gets `user` first, and answers 0 or an errno number.
///
/// They are called on the thread that calls a dbrewind_volume_ function, and must stay until dbrewind_volume_detach returns. They may not call
/// one on any volume (DBR022), throw or longjmp. rust/docs/volumes.md says what they promise.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_medium {
    /// sizeof(dbrewind_medium)
    pub size: usize,
    /// Passed to each function. Nullable.
    pub user: *mut c_void,
    /// Reads so many bytes, all of them below the length.
    pub read:
        Option<unsafe extern "C" fn(user: *mut c_void, offset: u64, to: *mut c_void, length: usize) -> c_int>,
    /// Writes so many bytes, all of them below the length. Only a rewind does.
    pub write: Option<
        unsafe extern "C" fn(user: *mut c_void, offset: u64, from: *const c_void, length: usize) -> c_int,
    >,
    /// Makes the content so long, in bytes: longer, with zeros, or shorter. Only a rewind does.
    pub truncate: Option<unsafe extern "C" fn(user: *mut c_void, length: u64) -> c_int>,
    /// How long the content is, in bytes.
    pub length: Option<unsafe extern "C" fn(user: *mut c_void, length: *mut u64) -> c_int>,
    /// Keeps all other threads and processes from the content until unlock. EBUSY: it was not free for so many ms. Nullable, with unlock: one thread
    /// of one process does all.
    pub lock: Option<unsafe extern "C" fn(user: *mut c_void, timeout_ms: u64) -> c_int>,
    /// Lets the others go on. On the thread that locked.
    pub unlock: Option<unsafe extern "C" fn(user: *mut c_void)>,
    /// Waits until all that was written is on the disk. Nullable: the content does not outlast a power cut.
    pub sync: Option<unsafe extern "C" fn(user: *mut c_void) -> c_int>,
    /// Puts at most `room` bytes at `to`, and their number in *length: others than before when anybody has written unrecorded. Nullable.
    pub stamp: Option<
        unsafe extern "C" fn(user: *mut c_void, to: *mut u8, room: usize, length: *mut usize) -> c_int,
    >,
    /// The content is another one: throw away what is cached of it. Under the lock. Nullable.
    pub after_rewind: Option<unsafe extern "C" fn(user: *mut c_void, lsn: u64)>,
    /// Puts at most `room` bytes at `to`, and their number in *length, which all who attach this content have in common, and no other content has: a second
    /// one under the same name is refused then (DBR004). Asked once, by dbrewind_volume_attach, before lock. Nullable: two contents are not told apart.
    pub identity: Option<
        unsafe extern "C" fn(user: *mut c_void, to: *mut u8, room: usize, length: *mut usize) -> c_int,
    >,
}

// SAFETY: numbers and pointers to data and functions, which may all be null, the size first.
unsafe impl CStruct for dbrewind_medium {
    const NAME: &'static str = "dbrewind_medium";
    const LEAST: usize = offset_of!(Self, identity);
}

/// Room for a stamp or an identity, in bytes.
const ROOM: usize = 4096;

thread_local! {
    /// A function of a medium runs on this thread.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Refuses a call from within a function of a medium, which would wait for itself.
pub(super) fn refuse_inside() -> Result<(), Fault> {
    match INSIDE.try_with(Cell::get) {
        Ok(true) => Err(Fault::invalid("a function of a medium may not call a volume")),
        _ => Ok(()),
    }
}

type Lock = unsafe extern "C" fn(*mut c_void, u64) -> c_int;
type Unlock = unsafe extern "C" fn(*mut c_void);
type Sync = unsafe extern "C" fn(*mut c_void) -> c_int;
type TellBytes = unsafe extern "C" fn(*mut c_void, *mut u8, usize, *mut usize) -> c_int;
type AfterRewind = unsafe extern "C" fn(*mut c_void, u64);

/// The functions that media of both kinds have.
#[derive(Clone, Copy)]
pub(super) struct StorageFunctions {
    pub(super) user: *mut c_void,
    pub(super) lock: Option<Lock>,
    pub(super) unlock: Option<Unlock>,
    pub(super) sync: Option<Sync>,
    pub(super) stamp: Option<TellBytes>,
    pub(super) after_rewind: Option<AfterRewind>,
    pub(super) identity: Option<TellBytes>,
}

impl StorageFunctions {
    /// The bytes that a function tells; none without it.
    fn told(&self, function: Option<TellBytes>) -> io::Result<Vec<u8>> {
        let (mut told, mut length) = (vec![0; ROOM], 0);
        // SAFETY: the caller's function, its argument, room for as many bytes as it is told, and a place for their number.
        call(function, |tell| unsafe { tell(self.user, told.as_mut_ptr(), ROOM, &raw mut length) })?;
        // One that says more than there is room for is refused for its length.
        told.resize(length.min(ROOM + 1), 0);
        Ok(told)
    }
}

/// A struct of the caller's functions.
pub(super) trait GivenMedium: CStruct {
    /// Those that it must have, by name, and whether it has them.
    fn required(&self) -> Vec<(&'static str, bool)>;
    fn storage(&self) -> StorageFunctions;
}

impl GivenMedium for dbrewind_medium {
    fn required(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("read", self.read.is_some()),
            ("write", self.write.is_some()),
            ("truncate", self.truncate.is_some()),
            ("length", self.length.is_some()),
        ]
    }

    fn storage(&self) -> StorageFunctions {
        let Self { user, lock, unlock, sync, stamp, after_rewind, identity, .. } = *self;
        StorageFunctions { user, lock, unlock, sync, stamp, after_rewind, identity }
    }
}

/// The caller's functions, all that are required.
#[derive(Clone, Copy)]
pub(super) struct Functions<T> {
    pub(super) given: T,
    storage: StorageFunctions,
}

// SAFETY: the header asks for functions that any thread may call, with `user`, of which we know nothing else.
unsafe impl<T: GivenMedium> Send for Functions<T> {}
// SAFETY: as above.
unsafe impl<T: GivenMedium> std::marker::Sync for Functions<T> {}

impl<T: GivenMedium> Functions<T> {
    pub(super) fn new(given: T) -> Result<Self, Fault> {
        let storage = given.storage();
        let mut required = given.required();
        required
            .push(("lock and unlock, or none of them,", storage.lock.is_some() == storage.unlock.is_some()));
        match required.iter().find(|(_, there)| !there) {
            Some((name, _)) => Err(Fault::invalid(format!("the {} must have {name}", T::NAME))),
            None => Ok(Self { given, storage }),
        }
    }
}

/// Ends the mark that a function runs.
struct Inside(bool);

impl Inside {
    fn enter() -> Self {
        Self(INSIDE.try_with(|inside| inside.replace(true)).unwrap_or(true))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = INSIDE.try_with(|inside| inside.set(self.0));
    }
}

/// Runs one function of the caller's; without it nothing happens.
pub(super) fn call<F>(function: Option<F>, run: impl FnOnce(F) -> c_int) -> io::Result<()> {
    let Some(function) = function else { return Ok(()) };
    let _inside = Inside::enter();
    match run(function) {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}

impl Medium for Functions<dbrewind_medium> {
    fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        let Self { given, .. } = self;
        // SAFETY: the caller's function, its argument, and room for what is asked for.
        call(given.read, |read| unsafe { read(given.user, offset, to.as_mut_ptr().cast(), to.len()) })
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let Self { given, .. } = self;
        // SAFETY: the caller's function, its argument, and so many bytes.
        call(given.write, |write| unsafe { write(given.user, offset, bytes.as_ptr().cast(), bytes.len()) })
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        let Self { given, .. } = self;
        // SAFETY: the caller's function and its argument.
        call(given.truncate, |truncate| unsafe { truncate(given.user, size) })
    }

    fn size(&self) -> io::Result<u64> {
        let (Self { given, .. }, mut found) = (self, 0);
        // SAFETY: the caller's function, its argument, and a place for the number.
        call(given.length, |length| unsafe { length(given.user, &raw mut found) })?;
        Ok(found)
    }
}

impl<T: GivenMedium> Storage for Functions<T> {
    fn lock(&self, timeout: Duration) -> io::Result<bool> {
        let given = &self.storage;
        let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        // SAFETY: the caller's function and its argument.
        match call(given.lock, |lock| unsafe { lock(given.user, timeout) }) {
            Ok(()) => Ok(true),
            Err(error) => match error.kind() {
                io::ErrorKind::ResourceBusy | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    Ok(false)
                }
                _ => Err(error),
            },
        }
    }

    fn unlock(&self) {
        let given = &self.storage;
        let _ = call(given.unlock, |unlock| {
            // SAFETY: the caller's function and its argument.
            unsafe { unlock(given.user) };
            0
        });
    }

    fn sync(&self) -> io::Result<()> {
        let given = &self.storage;
        // SAFETY: the caller's function and its argument.
        call(given.sync, |sync| unsafe { sync(given.user) })
    }

    fn syncs(&self) -> bool {
        self.storage.sync.is_some()
    }

    fn stamp(&self) -> io::Result<Vec<u8>> {
        self.storage.told(self.storage.stamp)
    }

    fn identity(&self) -> io::Result<Vec<u8>> {
        self.storage.told(self.storage.identity)
    }

    fn after_rewind(&self, lsn: Lsn) {
        let given = &self.storage;
        let _ = call(given.after_rewind, |after_rewind| {
            // SAFETY: the caller's function and its argument.
            unsafe { after_rewind(given.user, lsn.get()) };
            0
        });
    }
}
