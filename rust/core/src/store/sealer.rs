use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::SealError;
use crate::map;
use crate::store::Store;
use crate::store::handle::Inner;

/// How often to look whether the log has left a segment.
const LOOK: Duration = Duration::from_secs(1);
/// How long to leave a segment alone that could not be sealed.
const LATER: Duration = Duration::from_secs(60);
/// So much work, then a look at what others do.
const WORK: Duration = Duration::from_millis(5);
/// When they append: so many times as long a rest.
const REST: u32 = 9;

/// A thread that seals what the log leaves.
#[derive(Debug, Default)]
pub(super) struct Sealer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: Mutex<bool>,
    changed: Condvar,
}

impl Store {
    /// Seals segments in the background from now on, as [`seal_some`](Store::seal_some) does, until the store is closed:
    /// with the lowest priority, and mostly resting while anybody appends. Does nothing if it is under way.
    ///
    /// # Errors
    /// [`SealError::Io`] when there can be no thread.
    pub fn seal_in_background(&self) -> Result<(), SealError> {
        let inner = &self.inner;
        if inner.forked() {
            return Err(SealError::Forked);
        }
        let mut thread = inner.sealer.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let (shared, store) = (Arc::clone(&inner.sealer.shared), Arc::downgrade(inner));
            let builder = std::thread::Builder::new().name("dbrewind-seal".into());
            let started = builder.spawn(move || shared.run(&store));
            let io = |source| SealError::Io { action: "start a thread for sealing", source };
            *thread = Some(started.map_err(io)?);
        }
        Ok(())
    }
}

impl Sealer {
    /// Ends the thread and waits for it, unless it is the thread itself that asks.
    pub(super) fn stop(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        *self.shared.stop.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.changed.notify_all();
        if thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, store: &Weak<Inner>) {
        map::block_signals();
        map::lower_priority();
        let mut pause = LOOK;
        while self.rest(pause) {
            let Some(inner) = store.upgrade() else { return };
            pause = LOOK;
            loop {
                let mut since = Instant::now();
                let mut log = inner.control.tail();
                let sealed = inner.seal_next(&mut || self.go_on(&inner, &mut since, &mut log));
                match sealed {
                    Ok(Some(_)) if Arc::strong_count(&inner) > 1 => {}
                    Ok(_) => break,
                    Err(_) => {
                        pause = LATER;
                        break;
                    }
                }
            }
        }
    }

    /// Rests when others append. `false` when the store is closed.
    fn go_on(&self, inner: &Arc<Inner>, since: &mut Instant, log: &mut u64) -> bool {
        let worked = since.elapsed();
        if worked < WORK {
            return true;
        }
        let now = inner.control.tail();
        let rest = if now == *log { Duration::ZERO } else { worked * REST };
        *log = now;
        // Nobody but this thread has the store open any more.
        let open = self.rest(rest) && Arc::strong_count(inner) > 1;
        *since = Instant::now();
        open
    }

    /// Waits so long, or until the store is closed: then `false`.
    fn rest(&self, time: Duration) -> bool {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(stop, time, |stop| !*stop);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
