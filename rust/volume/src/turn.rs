//! One at a time, among the threads of a process.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

/// Whose turn it is, if it is anybody's. Taken and given back in different calls, unlike a mutex of the standard library.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    taken: Mutex<Option<ThreadId>>,
    given_back: Condvar,
}

impl Turn {
    /// Takes the turn; `false`: somebody had it all the time.
    pub(crate) fn take(&self, timeout: Duration) -> bool {
        let waited = self.given_back.wait_timeout_while(self.taken(), timeout, |taken| taken.is_some());
        let (mut taken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let free = taken.is_none();
        if free {
            *taken = Some(std::thread::current().id());
        }
        free
    }

    /// Lets the next one have it.
    pub(crate) fn give_back(&self) {
        *self.taken() = None;
        self.given_back.notify_one();
    }

    /// Whether the calling thread has it: nobody else will give it back.
    pub(crate) fn is_mine(&self) -> bool {
        *self.taken() == Some(std::thread::current().id())
    }

    fn taken(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
