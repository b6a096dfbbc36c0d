//! Carrying forward what must survive, so that the beginning of the log can be dropped by anybody, at any time.

use std::time::Duration;

use super::keep::{Cuts, cuts};
use super::ledger::{Ledger, PINNED, segment};
use crate::error::{AppendError, ReadError, SyncError};
use crate::fault;
use crate::format::Kind;
use crate::map::Held;
use crate::store::handle::Inner;
use crate::store::{Head, Store, locks};
use crate::types::Key;

/// Marks of an object that are carried forward; older ones are forgotten.
const MOST_MARKS: usize = 1000;

/// Whether the thing that an object is named after is still there.
pub(crate) type Alive = dyn Fn(&str) -> bool + Send + Sync;

impl Store {
    /// Evicts what is older than the window's target, and what there is no room for; prepares what may have to go next. Answers
    /// whether anything was evicted. Does nothing when another process is doing it. A background thread calls it
    /// ([`keep_window`](Self::keep_window)).
    ///
    /// # Errors
    /// When the log cannot be read or written. What can be reached stays so.
    pub fn evict_some(&self, alive: &dyn Fn(&str) -> bool) -> Result<bool, AppendError> {
        let inner = &self.inner;
        if inner.forked() {
            return Err(AppendError::Forked);
        }
        let io = |source| AppendError::Io { action: "lock the window", source };
        let Some(_lock) = Held::take(&inner.lock_path(), locks::WINDOW, Duration::ZERO).map_err(io)? else {
            return Ok(false);
        };
        inner.let_go_of_evicted();
        let mut ledger = inner.keeping.ledger();
        ledger.catch_up(self).map_err(unreadable)?;
        let mut cuts = self.cuts(&ledger, alive);
        if inner.first().max(inner.control.ready()) < cuts.most
            && let Some(now) = self.prepare(&mut ledger, alive)?
        {
            cuts = now;
            fault::place("evict: synced");
            inner.control.raise_ready(cuts.most);
            fault::place("evict: ready");
        }
        drop(ledger);
        let reserve = inner.reserve();
        let limit = inner.limit();
        let mut used = self.room().used;
        inner.control.set_wanted(0);
        let evicted = inner.evict_while(|id| {
            if id < cuts.by_time.min(cuts.most) {
                used = used.saturating_sub(inner.len_on_disk(id).unwrap_or(0));
                return true;
            }
            let wanted = used.saturating_add(reserve) > limit && id < cuts.most;
            if wanted {
                used = used.saturating_sub(inner.len_on_disk(id).unwrap_or(0));
            }
            wanted
        })?;
        if used.saturating_add(reserve) > limit && cuts.without_pins < inner.control.current() {
            // Only a new era helps.
            inner.control.set_wanted(cuts.without_pins.saturating_add(1));
        }
        Ok(evicted)
    }

    /// Where the log may be cut now.
    pub(super) fn cuts(&self, ledger: &Ledger, alive: &dyn Fn(&str) -> bool) -> Cuts {
        let inner = &self.inner;
        let end = ledger.segment().max(1);
        let mut found = cuts(ledger, inner.now(), inner.target(), end, alive);
        for cut in [&mut found.most, &mut found.without_pins, &mut found.by_time] {
            *cut = (*cut).min(end);
        }
        found
    }

    /// Appends once more what would go with the segments before a cut and must not, and has it on disk. Answers the cut. `None`:
    /// somebody is in the midst of a record, and what is behind it is not known.
    fn prepare(
        &self,
        ledger: &mut Ledger,
        alive: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Cuts>, AppendError> {
        // What names mean now they go on to mean until the copies are there.
        let names = self.lock_registration()?;
        if !ledger.catch_up(self).map_err(unreadable)? {
            return Ok(None);
        }
        let cuts = self.cuts(ledger, alive);
        let cut = cuts.most;
        let mut again = Vec::new();
        for (object, known) in &ledger.objects {
            if let Some((_, at)) = known.name.as_ref().filter(|(_, at)| segment(*at) < cut) {
                again.push((Head::new(Kind::Object, *object, Key::new(0), crate::types::Lsn::ORIGIN), *at));
            }
            let mut marks: Vec<_> = known.marks.values().filter(|mark| segment(mark.at) < cut).collect();
            marks.sort_by_key(|mark| (mark.time, mark.at));
            for mark in marks.iter().skip(marks.len().saturating_sub(MOST_MARKS)) {
                let flags = if mark.pinned { PINNED } else { 0 };
                let head =
                    Head { flags, ..Head::new(Kind::Mark, *object, Key::new(mark.origin.into()), mark.lsn) };
                again.push((head, mark.at));
            }
        }
        for (head, at) in again {
            let body = self.read(at).map_err(unreadable)?.body;
            self.append(head, &[&body])?;
            fault::place("evict: one carried");
        }
        drop(names);
        fault::place("evict: carried");
        self.sync().map_err(|error| match error {
            SyncError::Forked => AppendError::Forked,
            SyncError::Io { action, source } => AppendError::Io { action, source },
        })?;
        Ok(Some(cuts))
    }
}

impl Inner {
    /// How much room there should always be: for the next two segments.
    pub(in crate::store) fn reserve(&self) -> u64 {
        2 * self.longest().min(self.options.max_segment)
    }
}

fn unreadable(error: ReadError) -> AppendError {
    match error {
        ReadError::Forked => AppendError::Forked,
        ReadError::Io { action, source } => AppendError::Io { action, source },
        other => AppendError::Damaged { what: other.to_string() },
    }
}
