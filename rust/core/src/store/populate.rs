use std::sync::Arc;
use std::time::Duration;

use crate::map;
use crate::ring::Region;
use crate::segment::Segment;
use crate::store::background::{Background, Stopped, Wishes};

/// How far a segment is filled between two wishes, in bytes.
pub(super) const STEP: u32 = 2 << 20;
/// How far ahead of the log pages are made present at first, and at most: twice as far whenever the log gets there
/// before them.
const AHEAD: u32 = 8 << 20;
const FARTHEST: u32 = 128 << 20;
/// With so much present the rest waits until nothing was appended for a while.
const MARGIN: u32 = 4 << 20;
const QUIET: Duration = Duration::from_millis(3);
/// How many at once: on a system that is not interrupted in a call, whoever wants the processor waits for one such
/// piece, and so does the end of the store.
const PIECE: u32 = 1 << 18;

/// A thread that makes pages present before the log gets there: a write to a page that is present
/// costs a fifth of one that is not. It is started when the first segment has taken so much that it
/// pays.
#[derive(Debug, Default)]
pub(super) struct Populate {
    background: Background<Wish>,
}

#[derive(Debug, Default)]
struct Wish {
    /// Which segment, where the log is in it, and for whom.
    at: Option<(Arc<Segment>, u32, Pages)>,
    /// For whom the newest were.
    newest: Pages,
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
        // Without the thread everything works, only slower.
        let _ = self.background.start("dbrewind-ahead", run);
        // Nobody who appends waits for the thread, which may have lost the processor in the midst of its own look.
        self.background.try_wish(|wish| wish.at = Some((Arc::clone(segment), at, pages)));
    }

    /// Has pages of a new segment made present, if there is a thread to do it.
    pub(super) fn ask_if_running(&self, segment: &Arc<Segment>) {
        if self.background.is_started() {
            self.background.wish(|wish| wish.at = Some((Arc::clone(segment), 0, wish.newest)));
        }
    }

    /// Ends the thread and waits for it.
    pub(super) fn stop(&self) {
        self.background.stop();
    }
}

impl Wish {
    fn take(&mut self) -> Option<(Arc<Segment>, u32, Pages)> {
        let found = self.at.take()?;
        self.newest = found.2;
        Some(found)
    }
}

fn run(wishes: &Wishes<Wish>) -> Result<(), Stopped> {
    // It works for others, who must not wait for it: what is not present in time they make present themselves.
    map::leave_to_others();
    let mut done = (0, 0);
    let mut ahead = AHEAD;
    loop {
        let mut found = wishes.next(Wish::take)?;
        // There is enough for now: not while somebody needs the processor for what he appends.
        while done.0 == found.0.id() && found.1.saturating_add(MARGIN) < done.1 {
            match wishes.next_within(QUIET, Wish::take)? {
                Some(newer) => found = newer,
                None => break,
            }
        }
        let (segment, at, pages) = found;
        let known = done.0 == segment.id();
        if known && at >= done.1 {
            ahead = (ahead * 2).min(FARTHEST);
        }
        let mut from = if known { at.max(done.1) } else { at };
        let to = at.saturating_add(ahead).min(segment.size());
        while from < to {
            wishes.go_on()?;
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
