use std::sync::Arc;
use std::time::Duration;

use crate::map::{self, LARGE_PAGE};
use crate::ring::Region;
use crate::segment::Segment;
use crate::store::background::{Background, Stopped, Wishes};
use crate::store::handle::Inner;
use crate::sync::{AtomicBool, Ordering};

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
/// costs a fifth of one that is not, or less. It is started when the first segment has taken so much that it
/// pays.
#[derive(Debug, Default)]
pub(super) struct Populate {
    background: Background<Wish>,
    /// Whether batches are handed to the system, too, which takes longer over large pages. Relaxed, as the next one: somebody who
    /// looks a little late loses some time.
    written: AtomicBool,
    /// Whether the newest were large.
    large: AtomicBool,
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
    /// The same, where nobody syncs what is appended: large pages, of which a sync writes whole ones.
    Large,
    /// The system, in a call: then they need not be written to now, which would bring zeros to the disk.
    Written,
}

impl Inner {
    /// For whom to make pages of a segment present that single records are appended to.
    pub(super) fn pages_of(&self, id: u32) -> Pages {
        let synced = self.control.synced().is_some_and(|(segment, offset)| segment == id && offset > 0);
        if synced || self.populate.written.load(Ordering::Relaxed) { Pages::Mapped } else { Pages::Large }
    }
}

impl Populate {
    /// Has pages made present from here on. Starts the thread if there is none.
    #[cold]
    pub(super) fn ask(&self, segment: &Arc<Segment>, at: u32, pages: Pages) {
        if pages == Pages::Written {
            self.written.store(true, Ordering::Relaxed);
        }
        self.large.store(pages == Pages::Large, Ordering::Relaxed);
        pages.announce(segment, at);
        // Without the thread everything works, only slower.
        let _ = self.background.start("dbrewind-ahead", run);
        // Nobody who appends waits for the thread, which may have lost the processor in the midst of its own look.
        self.background.try_wish(|wish| wish.at = Some((Arc::clone(segment), at, pages)));
    }

    /// Whether the log is filled so that a new segment is worth a large page.
    pub(super) fn large(&self) -> bool {
        self.large.load(Ordering::Relaxed)
    }

    /// Has pages of a new segment made present, if there is a thread to do it.
    pub(super) fn ask_if_running(&self, segment: &Arc<Segment>) {
        if self.background.is_started() {
            let pages = self.background.wish(|wish| {
                wish.at = Some((Arc::clone(segment), 0, wish.newest));
                wish.newest
            });
            pages.announce(segment, 0);
        }
    }

    /// Ends the thread and waits for it.
    pub(super) fn stop(&self) {
        self.background.stop();
    }
}

impl Pages {
    /// Has the system take large pages from the log on, if it is to. A writer who gets there before the thread does makes a whole one
    /// present.
    fn announce(self, segment: &Segment, at: u32) {
        if self == Self::Large {
            segment.in_large_pages(past(at)..past(at).saturating_add(AHEAD));
        }
    }
}

/// Where the first large page begins in which nothing stands yet: where the log is now, its writer has begun with small ones.
fn past(at: u32) -> u32 {
    (at / LARGE_PAGE + 1).saturating_mul(LARGE_PAGE)
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
        let mut to = at.saturating_add(ahead).min(segment.size());
        let mut from = if known { at.max(done.1) } else { at };
        if pages == Pages::Large {
            from = from.max(past(at));
            to = to.next_multiple_of(LARGE_PAGE).min(segment.size());
            segment.in_large_pages(from..to);
        }
        while from < to {
            wishes.go_on()?;
            let next = from.saturating_add(PIECE).min(to);
            match pages {
                Pages::Mapped => segment.populate(from..next),
                Pages::Large => segment.populate_large(from..next),
                Pages::Written => segment.load(from..next),
            }
            from = next;
        }
        done = (segment.id(), from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Kind;
    use crate::store::{Cursor, Head, Store, StoreOptions};
    use crate::types::{Key, Lsn, ObjectId};

    fn fill(store: &Store, from: u64, to: u64) {
        for lsn in from..to {
            let head = Head::new(Kind::Note, ObjectId::new(0), Key::new(1), Lsn::new(lsn));
            store.append(head, &[&[lsn as u8; 8000]]).unwrap();
        }
    }

    fn count(store: &Store) -> usize {
        let mut places = Vec::new();
        store.scan(&mut Cursor::default(), &mut |_, at, _| places.push(at)).unwrap();
        places.iter().for_each(|at| drop(store.read(*at).unwrap()));
        places.len()
    }

    #[test]
    fn what_is_synced_or_written_by_the_system_gets_no_large_pages() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
        fill(&store, 1, 3);
        assert_eq!(store.inner.pages_of(1), Pages::Large);
        store.sync().unwrap();
        assert_eq!(store.inner.pages_of(1), Pages::Mapped);
        assert_eq!(store.inner.pages_of(2), Pages::Large);
        store.inner.populate.ask(store.inner.segments.get(1).unwrap(), 4096, Pages::Written);
        assert_eq!(store.inner.pages_of(2), Pages::Mapped);
    }

    #[test]
    fn batches_of_short_records_get_the_pages_of_single_ones() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
        let batches = |count: u64, body: &[u8]| {
            let head = |lsn| Head::new(Kind::Note, ObjectId::new(0), Key::new(1), Lsn::new(lsn));
            for _ in 0..count {
                let records: Vec<_> = (1..=64).map(|lsn| (head(lsn), body)).collect();
                store.append_batch(&records).unwrap();
            }
        };
        batches(300, &[1; 100]);
        assert!(store.inner.populate.large());
        batches(10, &[2; 4000]);
        assert!(!store.inner.populate.large());
        assert_eq!(store.inner.pages_of(1), Pages::Mapped);
    }

    #[test]
    fn segments_that_begin_with_a_large_page_are_as_others() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
        fill(&store, 1, 1801);
        assert!(store.inner.populate.large() && store.inner.control.current() > 2);
        assert_eq!(count(&store), 1800);
        drop(store);
        let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
        fill(&store, 1801, 1811);
        assert_eq!(count(&store), 1810);
    }

    #[test]
    fn a_large_page_begins_past_the_log() {
        assert_eq!([0, 1, LARGE_PAGE - 1].map(past), [LARGE_PAGE; 3]);
        assert_eq!(past(LARGE_PAGE), 2 * LARGE_PAGE);
    }
}
