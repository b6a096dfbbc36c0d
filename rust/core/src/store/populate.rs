use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::map;
use crate::ring::Region;
use crate::segment::Segment;

/// How far a segment is filled between two wishes, in bytes.
pub(super) const STEP: u32 = 2 << 20;
/// How far ahead of the log pages are made present at first, and at most: twice as far whenever the log gets there
/// before them.
const AHEAD: u32 = 8 << 20;
const FARTHEST: u32 = 128 << 20;
/// With so much present the rest waits until nothing was appended for a while.
const MARGIN: u32 = 4 << 20;
const QUIET: Duration = Duration::from_millis(3);
/// How many at once: a store that is closed waits for one such piece at most.
const PIECE: u32 = 1 << 19;

/// A thread that makes pages present before the log gets there: a write to a page that is present
/// costs a fifth of one that is not. It is started when the first segment has taken so much that it
/// pays.
#[derive(Debug, Default)]
pub(super) struct Populate {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    wish: Mutex<Wish>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Wish {
    /// Which segment, where the log is in it, and for whom.
    at: Option<(Arc<Segment>, u32, Pages)>,
    /// For whom the newest were.
    newest: Pages,
    stop: bool,
}

/// Who is going to write to the pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Pages {
    /// A processor, through the mapping.
    #[default]
    Mapped,
    /// The system, in a call: then they need not be written to now, which would bring zeros to the disk.
    Written,
}

impl Populate {
    /// Has pages made present from here on. Starts the thread if there is none.
    #[cold]
    pub(super) fn ask(&self, segment: &Arc<Segment>, at: u32, pages: Pages) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let builder = std::thread::Builder::new().name("dbrewind-ahead".into());
            // Without the thread everything works, only slower.
            *thread = builder.spawn(move || shared.run()).ok();
        }
        drop(thread);
        self.shared.set(|wish| wish.at = Some((Arc::clone(segment), at, pages)));
    }

    /// Has pages of a new segment made present, if there is a thread to do it.
    pub(super) fn ask_if_running(&self, segment: &Arc<Segment>) {
        if self.thread.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            self.shared.set(|wish| wish.at = Some((Arc::clone(segment), 0, wish.newest)));
        }
    }

    /// Ends the thread and waits for it. Not in a forked child, which has no such thread.
    pub(super) fn stop(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            self.shared.set(|wish| wish.stop = true);
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn set(&self, change: impl FnOnce(&mut Wish)) {
        change(&mut self.wish.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }

    fn run(&self) {
        map::block_signals();
        let mut done = (0, 0);
        let mut ahead = AHEAD;
        loop {
            let mut wish = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
            let (segment, at, pages) = loop {
                if wish.stop {
                    return;
                }
                let Some(found) = wish.at.take() else {
                    wish = self.changed.wait(wish).unwrap_or_else(PoisonError::into_inner);
                    continue;
                };
                if done.0 != found.0.id() || found.1.saturating_add(MARGIN) >= done.1 {
                    break found;
                }
                // There is enough for now: not while somebody needs the processor for what he appends.
                let pause = self.changed.wait_timeout(wish, QUIET).unwrap_or_else(PoisonError::into_inner);
                wish = pause.0;
                if wish.at.is_none() && pause.1.timed_out() {
                    break found;
                }
                wish.at.get_or_insert(found);
            };
            wish.newest = pages;
            drop(wish);
            let known = done.0 == segment.id();
            if known && at >= done.1 {
                ahead = (ahead * 2).min(FARTHEST);
            }
            let mut from = if known { at.max(done.1) } else { at };
            let to = at.saturating_add(ahead).min(segment.size());
            while from < to && !self.wish.lock().unwrap_or_else(PoisonError::into_inner).stop {
                let next = from.saturating_add(PIECE).min(to);
                match pages {
                    Pages::Mapped => segment.populate(from..next),
                    Pages::Written => segment.load(from..next),
                }
                from = next;
            }
            done = (segment.id(), from);
        }
    }
}
