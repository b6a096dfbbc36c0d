//! A rewind by writing what differs, as a transaction of the WAL: for a moment that is not in it, or beside readers.
//!
//! All that is recorded of it stands in the store before anybody sees the transaction: a store that is full changes nothing.

use dbrewind_core::{Head, Key, Lsn, Need, Reservation, Source};

use super::core::Core;
use super::index::IndexHeader;
use super::transaction::Place;
use crate::checksum::Checksum;
use crate::engine::{Change, locked};
use crate::error::{Error, Without};
use crate::fault;
use crate::rewound::Method;

/// Bytes of what is recorded of a rewind beside images, and then some.
const TO_SAY: u32 = 256;
/// Bytes of a record beside its body.
const HEAD: u64 = 40;

/// A transaction that nobody sees yet, and what is recorded of it.
struct Unpublished {
    /// Its pages, in the order of its frames.
    pages: Vec<u32>,
    checksum: Checksum,
    /// Its last frame, and that one's LSN.
    frame: u32,
    lsn: Lsn,
    recorded: Reservation,
}

impl Core {
    /// Writes the pages that differ as one transaction. Readers keep what they see.
    pub(super) fn write_to(&mut self, header: &IndexHeader, from: Lsn, to: Lsn) -> Result<Change, Error> {
        let plan = locked(&self.history).plan(from, to)?;
        let pages = u32::try_from(plan.extent.get()).ok().filter(|pages| *pages > 0);
        let pages = pages.ok_or_else(|| Error::internal(format!("a length of {} pages", plan.extent)))?;
        self.append_pages(header, &plan.items, pages, (from, to))
    }

    /// Appends a transaction that makes the state of `to`, and records it as the rewind there.
    pub(crate) fn append_pages(
        &mut self,
        header: &IndexHeader,
        items: &[(Key, Source)],
        pages: u32,
        (from, to): (Lsn, Lsn),
    ) -> Result<Change, Error> {
        // The target of such a one may be evicted some day: its images are recorded like a commit's.
        let images = if self.is_before_era(to) { items.len() as u64 + 1 } else { 0 };
        let bytes = images * (u64::from(self.page_size) + HEAD);
        if !self.store.would_have_room((images, self.page_size), (Need::Keep, TO_SAY))? {
            return Err(Error::no_room(&self.store, Without::Rewind(bytes)));
        }
        let Unpublished { pages: numbers, checksum, frame, lsn, recorded } =
            match self.write_and_record(header, items, pages, (from, to)) {
                Ok(written) => written,
                Err(error) => {
                    // Its last frame is a commit, which SQLite would take for one when it next recovers the wal-index.
                    self.wal.end_after(header.max_frame)?;
                    return Err(error.for_want_of_room((&self.store, self.object), Without::Rewind(bytes)));
                }
            };
        fault::place("wal written rewind: room");
        self.publish(header, frame, pages, checksum);
        fault::place("wal written rewind: published");
        // Without it the tail finds the frames, and records them as a commit like any other.
        let recorded = recorded.commit();
        fault::place("wal written rewind: recorded");
        recorded.map_err(|error| Error::from(error).at_target())?;
        self.is_at(lsn, u64::from(pages));
        Ok(Change { undo: from, pages: numbers.len() as u64, method: Method::Written })
    }

    fn write_and_record(
        &mut self,
        header: &IndexHeader,
        items: &[(Key, Source)],
        pages: u32,
        (from, to): (Lsn, Lsn),
    ) -> Result<Unpublished, Error> {
        let now = self.page_one(header.max_frame)?;
        let place = Place {
            after: header.max_frame,
            checksum: header.checksum,
            order: header.order,
            salt: header.salt,
        };
        let (numbers, checksum, one) = self.write_transaction(place, items, pages, now)?;
        self.note_counters(&one);
        let frame = self.enter_all(header.max_frame, &numbers)?;
        let lsn = self.runs.lsn_of(frame).ok_or_else(|| Error::internal("a frame without LSN"))?;
        fault::place("wal written rewind: frames entered");
        let mut records = Vec::new();
        if self.is_before_era(to) {
            records = self.record_images(header, frame)?;
            fault::place("wal written rewind: images recorded");
        }
        records.push(self.rewind_record(lsn, from, to, u64::from(pages)));
        let recorded = self.store.reserve(Need::Keep, records);
        if recorded.is_err() {
            self.take_back();
        }
        Ok(Unpublished { pages: numbers, checksum, frame, lsn, recorded: recorded? })
    }

    /// Records the images of a transaction that is written up to this frame and not published: as those of one that runs. Answers what is
    /// left to be said when it is.
    fn record_images(&mut self, header: &IndexHeader, last: u32) -> Result<Vec<(Head, Vec<u8>)>, Error> {
        self.forget_ahead()?;
        let copied = self.copy_unpublished(header, last);
        if copied.is_err() {
            self.take_back();
        }
        copied
    }

    /// Images that were recorded for nothing. Without the record whoever appends next for this database takes them back.
    fn take_back(&mut self) {
        let _ = self.forget_ahead();
    }

    /// Whether a moment is before the present era.
    pub(super) fn is_before_era(&self, lsn: Lsn) -> bool {
        locked(&self.history).timeline.era().is_some_and(|era| lsn < era.first)
    }

    /// Enters the pages of a transaction, whose frames follow `last`. Answers the newest frame.
    fn enter_all(&mut self, last: u32, pages: &[u32]) -> Result<u32, Error> {
        let mut frame = last;
        for page in pages {
            frame += 1;
            self.index.enter(&mut self.file, frame, *page)?;
        }
        Ok(frame)
    }
}
