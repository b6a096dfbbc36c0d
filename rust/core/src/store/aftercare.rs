use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use crate::error::SealError;
use crate::map;
use crate::store::Store;
use crate::store::background::{Background, Stopped, Wishes};
use crate::store::handle::Inner;

/// How long after the log has left a segment it is looked after, and how often to look for one to seal.
const LOOK: Duration = Duration::from_secs(1);
/// How long to leave a segment alone that could not be looked after.
const LATER: Duration = Duration::from_secs(60);
/// So much work, then a look at what others do.
const WORK: Duration = Duration::from_millis(5);
/// When they append: so many times as long a rest.
const REST: u32 = 9;

/// A thread that looks after the segments that the log has left: it has them written to the disk, and seals them if it is
/// to. There is none before the log leaves the first one, or sealing is asked for.
#[derive(Debug, Default)]
pub(super) struct Aftercare {
    background: Background<Wish>,
    store: OnceLock<Weak<Inner>>,
}

#[derive(Debug, Default)]
struct Wish {
    /// There is a segment that may not be on disk.
    left: bool,
    seal: bool,
}

impl Store {
    /// Seals segments in the background from now on, as [`seal_some`](Store::seal_some) does, until the store is closed:
    /// with the lowest priority, and mostly resting while anybody appends. Does nothing if it is under way.
    ///
    /// # Errors
    /// [`SealError::Io`] when there can be no thread.
    pub fn seal_in_background(&self) -> Result<(), SealError> {
        if self.inner.forked() {
            return Err(SealError::Forked);
        }
        let io = |source| SealError::Io { action: "start a thread for sealing", source };
        self.inner.aftercare.start(|wish| wish.seal = true).map_err(io)
    }
}

impl Aftercare {
    /// Says whose it is.
    pub(super) fn belong_to(&self, inner: &Arc<Inner>) {
        let _ = self.store.set(Arc::downgrade(inner));
    }

    /// Has segments looked after that the log has left.
    #[cold]
    pub(super) fn look(&self) {
        // Without the thread everything works; a power cut may take more.
        let _ = self.start(|wish| wish.left = true);
    }

    /// Has something done, by the thread that is there or a new one.
    fn start(&self, change: impl FnOnce(&mut Wish)) -> std::io::Result<()> {
        let store = self.store.get().cloned().unwrap_or_default();
        self.background.start("dbrewind-after", move |wishes| run(wishes, &store))?;
        self.background.wish(change);
        Ok(())
    }

    /// Ends the thread and waits for it, unless it is the thread itself that asks.
    pub(super) fn stop(&self) {
        self.background.stop();
    }
}

fn run(wishes: &Wishes<Wish>, store: &Weak<Inner>) -> Result<(), Stopped> {
    map::lower_priority();
    let look = look();
    let mut pause = look;
    loop {
        wishes.next(|wish| (wish.left || wish.seal).then_some(()))?;
        wishes.rest(pause)?;
        let seal = wishes.change(|wish| {
            wish.left = false;
            wish.seal
        });
        let Some(inner) = store.upgrade() else { return Ok(()) };
        let done = (!seal || seal_left(wishes, &inner)) && sync_left(wishes, &inner);
        pause = if done { look } else { LATER };
    }
}

/// Seals what there is to seal; `false` when that fails.
fn seal_left(wishes: &Wishes<Wish>, inner: &Arc<Inner>) -> bool {
    while inner.has_unsealed_left() {
        let mut care = Care::new(wishes, inner);
        match inner.seal_next(&mut || care.goes_on()) {
            Ok(Some(_)) if Arc::strong_count(inner) > 1 => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
    }
    true
}

/// Has everything written to the disk that the log has left; `false` when that fails.
fn sync_left(wishes: &Wishes<Wish>, inner: &Arc<Inner>) -> bool {
    let mut care = Care::new(wishes, inner);
    let done = inner.sync_left(&mut || care.goes_on()).unwrap_or(false);
    if !done {
        wishes.change(|wish| wish.left = true);
    }
    done
}

fn look() -> Duration {
    #[cfg(feature = "fuzzing")]
    if crate::fuzzing::small_segments().is_some() {
        return Duration::from_millis(5);
    }
    LOOK
}

/// Work that rests when others append.
struct Care<'a> {
    wishes: &'a Wishes<Wish>,
    inner: &'a Arc<Inner>,
    since: Instant,
    log: u64,
}

impl<'a> Care<'a> {
    fn new(wishes: &'a Wishes<Wish>, inner: &'a Arc<Inner>) -> Self {
        Self { wishes, inner, since: Instant::now(), log: inner.control.tail() }
    }

    /// `false` when the store is closed.
    fn goes_on(&mut self) -> bool {
        let worked = self.since.elapsed();
        if worked < WORK {
            return true;
        }
        let now = self.inner.control.tail();
        let rest = if now == self.log { Duration::ZERO } else { worked * REST };
        self.log = now;
        // Nobody but this thread has the store open any more.
        let open = self.wishes.rest(rest).is_ok() && Arc::strong_count(self.inner) > 1;
        self.since = Instant::now();
        open
    }
}
