//! Ending a wait before its time: Ctrl-C, a cancelled task, a host that is gone.
//!
//! The question belongs to the calling thread, not to a handle: only the thread that waits may ask it (a signal
//! handler of an interpreter runs on one thread), and no thread of ours in the background ever does.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How often a wait asks.
const EVERY: Duration = Duration::from_millis(50);

struct Scope {
    stop: Box<dyn Fn() -> bool>,
    stopped: Cell<bool>,
}

thread_local! {
    static SCOPE: RefCell<Option<Rc<Scope>>> = const { RefCell::new(None) };
    /// The question is being asked: what runs now runs inside of a wait.
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// Ends the question, also when it panics.
struct Asked;

impl Drop for Asked {
    fn drop(&mut self) {
        ASKING.set(false);
    }
}

fn scope() -> Option<Rc<Scope>> {
    // A thread that ends has none any more.
    SCOPE.try_with(|scope| scope.borrow().clone()).ok().flatten()
}

/// Runs `call`, in which waits for what somebody else holds end as soon as `stop` answers `true`, with
/// [`Code::Interrupted`](crate::Code::Interrupted).
///
/// `stop` is asked on this thread, about every 50 ms, and only during such waits. It is not asked again after it has
/// answered `true`. Work that has begun is finished: after an interrupted call nothing has changed, and no lock is
/// kept. `stop` may not wait for a call on the same handle; such a call is refused as busy.
///
/// ```
/// use dbrewind_core::{Code, Store, StoreOptions, interruptible};
/// # let folder = tempfile::tempdir()?;
/// # let store = Store::open(&folder.path().join("app.db-rewind"), &StoreOptions::default())?;
/// # let object = store.object("/srv/app.db", 4096)?;
/// let _held = store.lock_object(object, std::time::Duration::ZERO)?;
/// let (stop, stopped) = std::sync::mpsc::channel();
/// stop.send(())?; // by another thread; an atomic flag serves as well
/// let waited = interruptible(
///     move || stopped.try_recv().is_ok(),
///     || store.lock_object(object, std::time::Duration::from_secs(3600)),
/// );
/// assert_eq!(waited.unwrap_err().code(), Code::Interrupted);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn interruptible<T>(stop: impl Fn() -> bool + 'static, call: impl FnOnce() -> T) -> T {
    /// Puts the outer scope back, also when the call panics.
    struct Restore(Option<Rc<Scope>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let outer = self.0.take();
            let _ = SCOPE.try_with(|scope| scope.replace(outer));
        }
    }
    let inner = Scope { stop: Box::new(stop), stopped: Cell::new(false) };
    let outer = SCOPE.try_with(|scope| scope.replace(Some(Rc::new(inner)))).ok().flatten();
    let _restore = Restore(outer);
    call()
}

/// What a loop that waits asks at each turn. For the adapters.
#[derive(Debug)]
pub struct Patience {
    next: Instant,
}

impl Patience {
    /// A wait begins.
    #[must_use]
    pub fn new() -> Self {
        Self { next: Instant::now() + EVERY }
    }

    /// Whether to give up. Cheap: the caller's question is asked every 50 ms only.
    pub fn is_over(&mut self) -> bool {
        let now = Instant::now();
        if now < self.next {
            return false;
        }
        self.next = now + EVERY;
        let Some(scope) = scope() else { return false };
        if !scope.stopped.get() && !ASKING.replace(true) {
            let _asked = Asked;
            scope.stopped.set((scope.stop)());
        }
        scope.stopped.get()
    }

    /// How long a wait that cannot ask may sleep at most; `None`: nobody wants to interrupt it.
    #[must_use]
    pub fn slice(&self) -> Option<Duration> {
        scope().map(|_| self.next.saturating_duration_since(Instant::now()))
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::new()
    }
}

/// Why [`lock_patiently`] did not lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The wait was interrupted.
    Interrupted,
    /// The question whether to stop leads to this very lock: waiting for it might never end.
    InsideAWait,
}

/// Locks a mutex, as an interruptible wait. What a panic left is taken as it is. For the adapters.
///
/// # Errors
/// See [`Refused`].
pub fn lock_patiently<T>(mutex: &Mutex<T>) -> Result<MutexGuard<'_, T>, Refused> {
    let mut pause = Duration::from_micros(20);
    let mut patience: Option<Patience> = None;
    loop {
        match mutex.try_lock() {
            Ok(guard) => return Ok(guard),
            Err(TryLockError::Poisoned(guard)) => return Ok(guard.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
        if ASKING.try_with(Cell::get).unwrap_or(false) {
            return Err(Refused::InsideAWait);
        }
        if scope().is_none() {
            return Ok(mutex.lock().unwrap_or_else(PoisonError::into_inner));
        }
        if patience.get_or_insert_default().is_over() {
            return Err(Refused::Interrupted);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over() -> bool {
        let mut patience = Patience::new();
        patience.next = Instant::now();
        patience.is_over()
    }

    #[test]
    fn scopes_nest_and_end() {
        assert!(!over());
        interruptible(
            || true,
            || {
                assert!(over());
                interruptible(|| false, || assert!(!over()));
                assert!(over());
                let inner = std::panic::catch_unwind(|| interruptible(|| false, || panic!("on purpose")));
                assert!(inner.is_err());
                assert!(over());
                std::thread::scope(|threads| {
                    threads.spawn(|| assert!(!over(), "the question is of one thread"));
                });
            },
        );
        assert!(!over());
    }

    #[test]
    fn it_is_not_asked_again() {
        let asked = Rc::new(Cell::new(0));
        let count = Rc::clone(&asked);
        let stop = move || {
            count.set(count.get() + 1);
            true
        };
        interruptible(stop, || assert!(over() && over()));
        assert_eq!(asked.get(), 1);
    }

    #[test]
    fn a_call_inside_the_question_does_not_wait_for_its_own_thread() {
        let mutex = Rc::new(Mutex::new(()));
        let same = Rc::clone(&mutex);
        let refused = move || lock_patiently(&same).is_err_and(|error| error == Refused::InsideAWait);
        let stop = move || interruptible(|| false, &refused);
        interruptible(stop, || {
            let _guard = lock_patiently(&mutex).unwrap();
            assert!(over());
        });
        let _guard = lock_patiently(&mutex).unwrap();
        assert_eq!(interruptible(|| true, || lock_patiently(&mutex).err()), Some(Refused::Interrupted));
    }
}
