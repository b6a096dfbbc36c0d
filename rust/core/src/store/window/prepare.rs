//! Carrying forward what must survive, so that the beginning of the log can be dropped by anybody, at any time.

use std::io;
use std::time::Duration;

use super::age::Present;
use super::keep::{Cuts, YOUNG, cuts};
use super::ledger::{Known, Ledger, MarkAt};
use super::urgent::Unfit;
use crate::error::{AppendError, ReadError, SyncError};
use crate::fault;
use crate::map::Held;
use crate::store::handle::Inner;
use crate::store::{Location, Store, locks};
use crate::types::Lsn;

/// Whether the thing that an object is named after is still there.
pub(crate) type Alive = dyn Fn(&str) -> bool + Send + Sync;

/// What came of a look for something to evict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Outcome {
    pub(super) evicted: bool,
    /// There may be something in a moment: somebody else is evicting, or an era is too young yet.
    pub(super) soon: bool,
}

impl Store {
    /// Evicts what is older than the window's target, and what there is no room for; prepares what may have to go next. Answers
    /// whether anything was evicted. Does nothing when another process is doing it. A background thread calls it
    /// ([`keep_window`](Self::keep_window)).
    ///
    /// # Errors
    /// When the log cannot be read or written. What can be reached stays so.
    pub fn evict_some(&self, alive: &dyn Fn(&str) -> bool) -> Result<bool, AppendError> {
        let outcome = self.evict_for(self.inner.reserve(), alive)?;
        Ok(outcome.evicted)
    }

    /// The same, so that there is this much room.
    pub(super) fn evict_for(&self, room: u64, alive: &dyn Fn(&str) -> bool) -> Result<Outcome, AppendError> {
        let inner = &self.inner;
        if inner.forked() {
            return Err(AppendError::Forked);
        }
        let io = |source| AppendError::Io { action: "lock the window", source };
        let Some(_lock) = Held::take(&inner.lock_path(), locks::WINDOW, Duration::ZERO).map_err(io)? else {
            return Ok(Outcome { evicted: false, soon: true });
        };
        let _unfit = Unfit::evicting();
        inner.let_go_of_evicted();
        let mut ledger = inner.keeping.ledger();
        let present = inner.advance_ages();
        ledger.catch_up(self, present).map_err(unreadable)?;
        let mut cuts = self.cuts(&ledger, (present, YOUNG), alive);
        let soon = self.cuts(&ledger, (present, Duration::ZERO), alive).most > cuts.most;
        let ready = inner.first().max(inner.control.ready());
        // Also of what may go already: somebody may have come back to a mark there since.
        let moved =
            ledger.objects.values().any(|known| known.marks.values().any(|mark| known.moves(mark, ready)));
        if (moved || ready < cuts.most)
            && let Some((now, cut)) = self.prepare(&mut ledger, present, alive)?
        {
            cuts = now;
            fault::place("evict: synced");
            inner.control.raise_ready(cut);
            fault::place("evict: ready");
        }
        drop(ledger);
        let limit = inner.limit();
        let mut used = self.room().used;
        inner.control.set_wanted(0);
        let evicted = inner.evict_while(|id| {
            if id < cuts.by_time.min(cuts.most) {
                used = used.saturating_sub(inner.len_on_disk(id).unwrap_or(0));
                return true;
            }
            let wanted = used.saturating_add(room) > limit && id < cuts.most;
            if wanted {
                used = used.saturating_sub(inner.len_on_disk(id).unwrap_or(0));
            }
            wanted
        })?;
        if used.saturating_add(room) > limit && cuts.without_pins < inner.control.current() {
            // Only a new era helps.
            inner.control.set_wanted(cuts.without_pins.saturating_add(1));
        }
        Ok(Outcome { evicted, soon })
    }

    /// Where the log may be cut now.
    pub(super) fn cuts(
        &self,
        ledger: &Ledger,
        (present, young): (Present, Duration),
        alive: &dyn Fn(&str) -> bool,
    ) -> Cuts {
        let inner = &self.inner;
        let end = ledger.segment().max(1);
        let mut found = cuts(ledger, present, (inner.target(), young), end, alive);
        for cut in [&mut found.most, &mut found.without_pins, &mut found.by_time] {
            *cut = (*cut).min(end);
        }
        found
    }

    /// Appends once more what would go with the segments before a cut and must not, and has it on disk. Answers how far the log may
    /// be cut, and the segment that it was prepared for, which may be one that was before. `None`: somebody is in the midst of a
    /// record, and what is behind it is not known.
    fn prepare(
        &self,
        ledger: &mut Ledger,
        present: Present,
        alive: &dyn Fn(&str) -> bool,
    ) -> Result<Option<(Cuts, u32)>, AppendError> {
        // What names mean now they go on to mean until the copies are there.
        let names = self.lock_registration()?;
        if !ledger.catch_up(self, present).map_err(unreadable)? {
            return Ok(None);
        }
        let cuts = self.cuts(ledger, (present, YOUNG), alive);
        let ready = self.inner.first().max(self.inner.control.ready());
        let cut = ready.max(cuts.most);
        // Else only what is to be said of marks that were rewound to.
        let all = ready < cut;
        self.carry(ledger, cut, all)?;
        drop(names);
        fault::place("evict: carried");
        self.sync().map_err(|error| match error {
            SyncError::Forked => AppendError::Forked,
            SyncError::InFlight { .. } => AppendError::Io {
                action: "wait for a record in flight",
                source: io::ErrorKind::TimedOut.into(),
            },
            SyncError::Io { action, source } => AppendError::Io { action, source },
        })?;
        Ok(Some((cuts, cut)))
    }
}

impl Known {
    /// Whether it has to be said of a mark through which later moment it is reached, if the log is cut there.
    pub(super) fn moves(&self, mark: &MarkAt, cut: u32) -> bool {
        let newest = self.reached_by(mark);
        newest != mark.lsn
            && Some(newest) != mark.stand_in
            && !self.is_at_or_behind(mark.lsn, cut)
            && !mark.stand_in.is_some_and(|stand_in| self.is_at_or_behind(stand_in, cut))
    }

    /// Whether a mark can be reached if the log is cut there.
    pub(super) fn is_kept(&self, mark: &MarkAt, cut: u32) -> bool {
        !mark.lost && self.is_at_or_behind(self.reached_by(mark), cut)
    }

    /// Whether a moment's era begins in this segment or a later one.
    fn is_at_or_behind(&self, lsn: Lsn, cut: u32) -> bool {
        self.era_of(lsn).and_then(|era| self.eras.get(era)).is_some_and(|era| era.segment >= cut)
    }
}

impl Inner {
    /// How much room there should always be: for the next two segments; for one and what is left to evictions, where segments are short.
    /// An eviction that gave back less than it took would be the last one.
    pub(in crate::store) fn reserve(&self) -> u64 {
        let longest = self.longest().min(self.options.max_segment);
        (2 * longest).max(longest + self.left_to_evictions())
    }
}

pub(super) fn damaged(at: Location, error: &dyn std::fmt::Display) -> AppendError {
    AppendError::Damaged { what: format!("at {at}: {error}") }
}

pub(super) fn unreadable(error: ReadError) -> AppendError {
    match error {
        ReadError::Forked => AppendError::Forked,
        ReadError::Io { action, source } => AppendError::Io { action, source },
        other => AppendError::Damaged { what: other.to_string() },
    }
}
