//! One at a time, among the threads of a process.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Whether somebody's turn it is. Taken and given back in different calls, unlike a mutex of the standard library.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    taken: Mutex<bool>,
    given_back: Condvar,
}

impl Turn {
    /// Takes the turn; `false`: somebody had it all the time.
    pub(crate) fn take(&self, timeout: Duration) -> bool {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.given_back.wait_timeout_while(taken, timeout, |taken| *taken);
        let (mut taken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !std::mem::replace(&mut *taken, true)
    }

    /// Lets the next one have it.
    pub(crate) fn give_back(&self) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.given_back.notify_one();
    }
}
