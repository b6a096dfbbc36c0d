use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::io;
use std::time::Duration;

use dbrewind_volume::{Lsn, Medium};

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
}

// SAFETY: numbers and pointers to data and functions, which may all be null, the size first.
unsafe impl CStruct for dbrewind_medium {
    const NAME: &'static str = "dbrewind_medium";
    const LEAST: usize = size_of::<Self>();
}

/// Room for a stamp, in bytes.
const STAMP: usize = 4096;

thread_local! {
    /// A function of a medium runs on this thread.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Refuses a call from within a function of a medium, which would wait for itself.
pub(super) fn refuse_inside() -> Result<(), Fault> {
    match INSIDE.try_with(Cell::get) {
        Ok(true) => Err(Fault::invalid("a function of a dbrewind_medium may not call a volume")),
        _ => Ok(()),
    }
}

/// The caller's functions, all that are required.
#[derive(Clone, Copy)]
pub(super) struct Functions {
    given: dbrewind_medium,
}

// SAFETY: the header asks for functions that any thread may call, with `user`, of which we know nothing else.
unsafe impl Send for Functions {}
// SAFETY: as above.
unsafe impl Sync for Functions {}

impl Functions {
    pub(super) fn new(given: dbrewind_medium) -> Result<Self, Fault> {
        let required = [
            ("read", given.read.is_some()),
            ("write", given.write.is_some()),
            ("truncate", given.truncate.is_some()),
            ("length", given.length.is_some()),
            ("lock and unlock, or none of them,", given.lock.is_some() == given.unlock.is_some()),
        ];
        match required.iter().find(|(_, there)| !there) {
            Some((name, _)) => Err(Fault::invalid(format!("the dbrewind_medium must have {name}"))),
            None => Ok(Self { given }),
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
fn call<F>(function: Option<F>, run: impl FnOnce(F) -> c_int) -> io::Result<()> {
    let Some(function) = function else { return Ok(()) };
    let _inside = Inside::enter();
    match run(function) {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}

impl Medium for Functions {
    fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        let Self { given } = self;
        // SAFETY: the caller's function, its argument, and room for what is asked for.
        call(given.read, |read| unsafe { read(given.user, offset, to.as_mut_ptr().cast(), to.len()) })
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let Self { given } = self;
        // SAFETY: the caller's function, its argument, and so many bytes.
        call(given.write, |write| unsafe { write(given.user, offset, bytes.as_ptr().cast(), bytes.len()) })
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        let Self { given } = self;
        // SAFETY: the caller's function and its argument.
        call(given.truncate, |truncate| unsafe { truncate(given.user, size) })
    }

    fn size(&self) -> io::Result<u64> {
        let (Self { given }, mut found) = (self, 0);
        // SAFETY: the caller's function, its argument, and a place for the number.
        call(given.length, |length| unsafe { length(given.user, &raw mut found) })?;
        Ok(found)
    }

    fn lock(&self, timeout: Duration) -> io::Result<bool> {
        let Self { given } = self;
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
        let Self { given } = self;
        let _ = call(given.unlock, |unlock| {
            // SAFETY: the caller's function and its argument.
            unsafe { unlock(given.user) };
            0
        });
    }

    fn sync(&self) -> io::Result<()> {
        let Self { given } = self;
        // SAFETY: the caller's function and its argument.
        call(given.sync, |sync| unsafe { sync(given.user) })
    }

    fn syncs(&self) -> bool {
        self.given.sync.is_some()
    }

    fn stamp(&self) -> io::Result<Vec<u8>> {
        let (Self { given }, mut stamp, mut length) = (self, vec![0; STAMP], 0);
        // SAFETY: the caller's function, its argument, room for as many bytes as it is told, and a place for their number.
        call(given.stamp, |stamps| unsafe {
            stamps(given.user, stamp.as_mut_ptr(), STAMP, &raw mut length)
        })?;
        // One that says more than there is room for is refused for its length.
        stamp.resize(length.min(STAMP + 1), 0);
        Ok(stamp)
    }

    fn after_rewind(&self, lsn: Lsn) {
        let Self { given } = self;
        let _ = call(given.after_rewind, |after_rewind| {
            // SAFETY: the caller's function and its argument.
            unsafe { after_rewind(given.user, lsn.get()) };
            0
        });
    }
}
