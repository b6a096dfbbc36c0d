//! What a `fork` does to a store: the child has the parent's descriptors, but not its locks.
//!
//! A lock on an open file description lasts until the last descriptor of it is closed, in whatever
//! process. So that a child does not keep its dead parent's locks, a handler closes the descriptors in
//! the child; and so that nobody uses what the child inherited, it raises a number that every call
//! compares.

use std::io;
use std::os::fd::RawFd;
use std::sync::OnceLock;

use crate::map::os_linux;
use crate::sync::{AtomicBool, AtomicI32, AtomicU64, Ordering};

static GENERATION: AtomicU64 = AtomicU64::new(0);
/// Held while descriptors are made, and across `fork`: no child has one that is not in the list.
static MAKING: AtomicBool = AtomicBool::new(false);
/// Descriptors plus one; 0 is a free entry.
static DESCRIPTORS: [AtomicI32; 1024] = [const { AtomicI32::new(0) }; 1024];

extern "C" fn before_fork() {
    // Acquire: partner of the release in `after_fork` and of the one in `listed`.
    while MAKING.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        std::thread::yield_now();
    }
}

extern "C" fn after_fork() {
    // Release: partner of the acquire in `before_fork`.
    MAKING.store(false, Ordering::Release);
}

extern "C" fn in_child() {
    for entry in &DESCRIPTORS {
        // Relaxed: the child has one thread, and inherited the memory as it was under MAKING.
        let listed = entry.swap(0, Ordering::Relaxed);
        if listed > 0 {
            os_linux::close(listed - 1);
        }
    }
    // Relaxed: one thread; threads it starts later are ordered after this by their start.
    GENERATION.fetch_add(1, Ordering::Relaxed);
    after_fork();
}

/// Which process this is, in a line of forks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Generation(u64);

impl Generation {
    /// The present one. From here on forks are noticed.
    pub(crate) fn now() -> io::Result<Self> {
        static HANDLERS: OnceLock<Result<(), i32>> = OnceLock::new();
        let installed = HANDLERS.get_or_init(|| {
            let done = os_linux::at_fork(before_fork, after_fork, in_child);
            done.map_err(|e| e.raw_os_error().unwrap_or(0))
        });
        installed.map_err(io::Error::from_raw_os_error)?;
        Ok(Self(GENERATION.load(Ordering::Relaxed)))
    }

    /// Whether the process was forked since, and this is the child.
    #[inline]
    pub(crate) fn forked(self) -> bool {
        // Relaxed: only this thread's own past matters, or that of the one which started it.
        GENERATION.load(Ordering::Relaxed) != self.0
    }
}

/// Makes a descriptor that a child of this process will close at once.
pub(super) fn listed(make: impl FnOnce() -> io::Result<RawFd>) -> io::Result<RawFd> {
    before_fork();
    let made = make().and_then(|fd| {
        let free = |entry: &&AtomicI32| {
            // Relaxed: the list is read under MAKING only, or by the one thread of a child.
            entry.compare_exchange(0, fd + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        match DESCRIPTORS.iter().find(free) {
            Some(_) => Ok(fd),
            None => {
                os_linux::close(fd);
                Err(io::Error::from_raw_os_error(libc::EMFILE))
            }
        }
    });
    after_fork();
    made
}

/// Takes a descriptor from the list and closes it.
pub(super) fn close_listed(fd: RawFd) {
    before_fork();
    for entry in &DESCRIPTORS {
        // Relaxed: as in `listed`.
        if entry.compare_exchange(fd + 1, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            break;
        }
    }
    os_linux::close(fd);
    after_fork();
}
