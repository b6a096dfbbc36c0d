//! A store in which an object is recorded as an adapter would, for the tests of the window.
#![allow(dead_code, clippy::unwrap_used, reason = "each test binary uses a part")]

use std::path::Path;
use std::time::Duration;

use dbrewind_core::{
    Clock, CommitBody, Engine, EraBody, Extent, Head, Key, Kind, Lsn, ManualClock, MarkBody, MarkName,
    ObjectId, RewindBody, Store, StoreOptions, Timeline, Timestamp,
};

pub(crate) const HOUR: u64 = 3600;
pub(crate) const OPTIONS: StoreOptions =
    StoreOptions { first_segment: 4096, max_segment: 16 << 10, limit: 1 << 20 };

/// A store in which an object is recorded as an adapter would.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) object: ObjectId,
    pub(crate) clock: ManualClock,
    pub(crate) lsn: u64,
}

pub(crate) fn always(_: &str) -> bool {
    true
}

impl World {
    pub(crate) fn open(dir: &Path) -> Self {
        let clock = ManualClock::new(Timestamp::new(1_000_000 * HOUR * 1_000_000_000));
        let store = Store::open_by(dir, &OPTIONS, Clock::Manual(clock.clone())).unwrap();
        let object = store.object(".", 512).unwrap();
        Self { store, object, clock, lsn: 0 }
    }

    pub(crate) fn head(&self, kind: Kind, key: u64) -> Head {
        Head::new(kind, self.object, Key::new(key), Lsn::new(self.lsn))
    }

    pub(crate) fn era(&mut self) {
        self.lsn += 1;
        let time = self.store.next_time(self.object);
        let body = EraBody { time, extent: Extent::new(9), broken: false };
        let head = self.head(Kind::Era, Engine::Rollback.key().get());
        let at = self.store.append(head, &[&body.encode()]).unwrap();
        self.store.raise_last_lsn(self.object, Lsn::new(self.lsn));
        self.store.note_era(self.object, at, Lsn::new(self.lsn), time);
    }

    /// A commit of so many pages, at a moment that nobody can go to.
    pub(crate) fn load(&mut self, pages: u64) {
        self.lsn += 1;
        for page in 0..pages {
            self.store.append(self.head(Kind::Before, 1 + page % 9), &[&[7; 512]]).unwrap();
        }
        self.commit();
        self.store.raise_last_lsn(self.object, Lsn::new(self.lsn));
    }

    pub(crate) fn commit(&self) {
        let body = CommitBody { time: self.store.next_time(self.object), extent: Extent::new(9) };
        self.store.append(self.head(Kind::Commit, 0), &[&body.encode()]).unwrap();
    }

    /// Goes back to a moment, which saves as many pages as a load.
    pub(crate) fn rewind(&mut self, to: u64, pages: u64) {
        let from = Lsn::new(self.lsn);
        self.lsn += 1;
        for page in 0..pages {
            self.store.append(self.head(Kind::Before, 1 + page % 9), &[&[8; 512]]).unwrap();
        }
        let body =
            RewindBody { time: self.store.next_time(self.object), extent: Extent::new(9), from, note: &[] };
        self.store.append(self.head(Kind::Rewind, to), &[&body.encode()]).unwrap();
        self.store.raise_last_lsn(self.object, Lsn::new(self.lsn));
    }

    pub(crate) fn mark(&self, name: &str, flags: u8) {
        let time = self.store.next_time(self.object);
        let body = MarkBody { time, extent: Extent::new(9), name: MarkName::new(name).unwrap(), note: &[] };
        let head = Head { flags, ..self.head(Kind::Mark, 0) };
        self.store.append(head, &[&body.encode()]).unwrap();
    }

    pub(crate) fn later(&self, hours: u64) {
        self.clock.advance(Duration::from_secs(hours * HOUR));
    }

    pub(crate) fn evict(&self) -> bool {
        self.store.evict_some(&always).unwrap()
    }

    pub(crate) fn timeline(&self) -> Timeline {
        let mut timeline = Timeline::new(self.object);
        timeline.catch_up(&self.store).unwrap();
        timeline
    }

    /// One era an hour, each with a mark and more than a segment of images.
    pub(crate) fn hours(&mut self, hours: std::ops::Range<u64>) {
        for hour in hours {
            self.era();
            self.mark(&format!("hour {hour}"), 0);
            self.load(40);
            self.later(1);
        }
    }
}
