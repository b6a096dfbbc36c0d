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
        let rest = |time| wishes.rest(time);
        let synced = |inner| {
            let synced = sync_left(&mut Care::new(&Instant::now, &rest, inner));
            if !synced {
                wishes.change(|wish| wish.left = true);
            }
            synced
        };
        let done = (!seal || seal_left(&Instant::now, &rest, &inner)) && synced(&inner);
        pause = if done { look } else { LATER };
    }
}

/// Seals what there is to seal; `false` when that fails.
fn seal_left(now: Now<'_>, rest: Rest<'_>, inner: &Arc<Inner>) -> bool {
    while inner.has_unsealed_left() {
        let mut care = Care::new(now, rest, inner);
        match inner.seal_next(&mut || care.goes_on()) {
            Ok(Some(_)) if Arc::strong_count(inner) > 1 => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
    }
    true
}

/// Has everything written to the disk that the log has left; `false` when that fails.
fn sync_left(care: &mut Care<'_>) -> bool {
    let inner = care.inner;
    inner.sync_left(&mut || care.goes_on()).unwrap_or(false)
}

fn look() -> Duration {
    #[cfg(feature = "fuzzing")]
    if crate::fuzzing::small_segments().is_some() {
        return Duration::from_millis(5);
    }
    LOOK
}

/// What time it is.
type Now<'a> = &'a dyn Fn() -> Instant;
/// Does nothing for so long, or until the thread shall end.
type Rest<'a> = &'a dyn Fn(Duration) -> Result<(), Stopped>;

/// Work that rests when others append.
struct Care<'a> {
    now: Now<'a>,
    rest: Rest<'a>,
    inner: &'a Arc<Inner>,
    since: Instant,
    log: u64,
}

impl<'a> Care<'a> {
    fn new(now: Now<'a>, rest: Rest<'a>, inner: &'a Arc<Inner>) -> Self {
        Self { now, rest, inner, since: now(), log: inner.control.tail() }
    }

    /// `false` when the store is closed.
    fn goes_on(&mut self) -> bool {
        let worked = (self.now)().saturating_duration_since(self.since);
        if worked < WORK {
            return true;
        }
        let log = self.inner.control.tail();
        let rest = if log == self.log { Duration::ZERO } else { worked * REST };
        self.log = log;
        // Nobody but this thread has the store open any more.
        let open = (self.rest)(rest).is_ok() && Arc::strong_count(self.inner) > 1;
        self.since = (self.now)();
        open
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::format::{Head, Kind};
    use crate::store::StoreOptions;
    use crate::types::{Key, Lsn, ObjectId};

    /// A time that stands still but for what it is told, and rests that take none.
    struct Scene {
        now: Cell<Instant>,
        rests: RefCell<Vec<Duration>>,
    }

    impl Scene {
        fn new() -> Self {
            Self { now: Cell::new(Instant::now()), rests: RefCell::default() }
        }

        fn work(&self, time: Duration) {
            self.now.set(self.now.get() + time);
        }

        fn rest(&self, time: Duration) -> Result<(), Stopped> {
            self.rests.borrow_mut().push(time);
            Ok(())
        }

        fn rested(&self) -> Vec<Duration> {
            self.rests.take()
        }
    }

    fn store(folder: &Path) -> Store {
        let options = StoreOptions { first_segment: 1 << 20, max_segment: 1 << 20, limit: 64 << 20 };
        Store::open(folder, &options).unwrap()
    }

    fn append(store: &Store, lsn: u64, len: u64) {
        let head = Head::new(Kind::Note, ObjectId::new(0), Key::new(1), Lsn::new(lsn));
        let body: Vec<u8> = (0..len).map(|at| ((at * at + lsn) % 251) as u8).collect();
        store.append(head, &[&body]).unwrap();
    }

    #[test]
    fn work_rests_nine_times_as_long_when_others_append_and_not_at_all_when_nobody_does() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let scene = Scene::new();
        let (now, rest) = (|| scene.now.get(), |time| scene.rest(time));
        // The thread has the store open, beside whoever appends.
        let inner = Arc::clone(&store.inner);
        let mut care = Care::new(&now, &rest, &inner);
        append(&store, 1, 9);
        scene.work(WORK - Duration::from_nanos(1));
        assert!(care.goes_on());
        assert_eq!(scene.rested(), [], "too early for a look");
        scene.work(Duration::from_nanos(1));
        assert!(care.goes_on());
        assert_eq!(scene.rested(), [WORK * 9], "somebody has appended since the work began");
        scene.work(WORK);
        assert!(care.goes_on());
        assert_eq!(scene.rested(), [Duration::ZERO], "nobody has since the last look");
        append(&store, 2, 9);
        scene.work(WORK * 3);
        assert!(care.goes_on());
        assert_eq!(scene.rested(), [WORK * 9 * 3], "a long piece of work, a long rest");
    }

    #[test]
    fn work_ends_when_the_thread_shall_end_or_the_store_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let scene = Scene::new();
        let now = || scene.now.get();
        let inner = Arc::clone(&store.inner);
        let mut care = Care::new(&now, &|_| Err(Stopped), &inner);
        scene.work(WORK);
        assert!(!care.goes_on());
        let mut care = Care::new(&now, &|_| Ok(()), &inner);
        scene.work(WORK);
        assert!(care.goes_on());
        drop(store);
        scene.work(WORK);
        assert!(!care.goes_on());
    }

    fn sealed(folder: &Path) -> usize {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().contains(".zst")).count()
    }

    /// Seals what a log of three segments has left, while each rest sees another append, or none.
    fn seal(loaded: bool) -> Vec<Duration> {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        (1..600).for_each(|lsn| append(&store, lsn, 4096));
        assert_eq!(sealed(folder.path()), 0);
        let scene = Scene::new();
        // Each look at the time finds that much work done.
        let now = || {
            scene.work(WORK);
            scene.now.get()
        };
        let appended = Cell::new(1000);
        let rest = |time| {
            if loaded {
                appended.set(appended.get() + 1);
                append(&store, appended.get(), 9);
            }
            scene.rest(time)
        };
        assert!(seal_left(&now, &rest, &Arc::clone(&store.inner)));
        assert_eq!(sealed(folder.path()), 2);
        scene.rested()
    }

    #[test]
    fn sealing_is_paused_under_load_and_goes_on_until_it_is_done() {
        let rests = seal(true);
        let paused = rests.iter().filter(|rest| **rest >= WORK * 9).count();
        // But for the first look of each segment, before which nobody has appended.
        assert!(paused > 10 && rests.len() - paused <= 2, "{rests:?}");
        let rests = seal(false);
        assert!(rests.len() > 10 && rests.iter().all(Duration::is_zero), "{rests:?}");
    }

    #[test]
    fn sealing_that_is_stopped_in_its_midst_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        (1..300).for_each(|lsn| append(&store, lsn, 4096));
        let scene = Scene::new();
        let now = || {
            scene.work(WORK);
            scene.now.get()
        };
        let left = Cell::new(3);
        let rest = |_| {
            left.set(left.get() - 1);
            if left.get() == 0 { Err(Stopped) } else { Ok(()) }
        };
        assert!(seal_left(&now, &rest, &Arc::clone(&store.inner)), "nothing failed");
        assert_eq!((left.get(), sealed(folder.path())), (0, 0));
        assert!(folder.path().join("0000000000000001.seg").exists());
    }
}
