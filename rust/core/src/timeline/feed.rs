use super::{Era, EraLog, MarkEntry, NoteEntry, RewindEntry, Timeline, TimelineError};
use crate::error::Code;
use crate::format::{
    BodyError, CommitBody, DropBody, Engine, EraBody, Head, KEPT, Kind, MOVED, MarkBody, PINNED, RewindBody,
};
use crate::store::{Seen, Store};
use crate::types::{Location, Lsn, Timestamp};

impl Timeline {
    /// Reads the records that were appended since the last call. Images are not read, only noted.
    ///
    /// # Errors
    /// When a record cannot be read, or contradicts the others. The timeline is empty then; the next call
    /// begins anew.
    pub fn catch_up(&mut self, store: &Store) -> Result<(), TimelineError> {
        self.catch_up_whole(store).map(|_| ())
    }

    /// As [`catch_up`](Self::catch_up), and answers whether every record that was committed before the call has been read:
    /// `false` when one before it is in flight.
    ///
    /// # Errors
    /// See [`catch_up`](Self::catch_up).
    pub fn catch_up_whole(&mut self, store: &Store) -> Result<bool, TimelineError> {
        loop {
            self.follow_window(store);
            let mut cursor = self.cursor;
            let mut body = Vec::new();
            let mut result = Ok(());
            let whole_from = *self.whole_from.get_or_insert_with(|| store.first_unsealed());
            let scanned = store.skim(&mut cursor, whole_from, &mut |seen| {
                if result.is_ok() {
                    result = self.take(store, seen, &mut body);
                }
            });
            let result = result.and_then(|()| scanned.map_err(TimelineError::from));
            if store.first_segment() != self.begins {
                // Evicted meanwhile: something may have been passed over.
                if result.is_err() || self.cursor.next().segment().get() < u64::from(store.first_segment()) {
                    self.begin_again(whole_from);
                } else {
                    self.cursor = cursor;
                }
                continue;
            }
            match &result {
                Ok(_) if whole_from > 0 && self.has_passed_over_images_ahead() => {
                    // Rare: of a transaction that was in flight while a segment was left and sealed.
                    self.begin_again(self.segment_of_present_era());
                    continue;
                }
                Ok(_) => {
                    self.cursor = cursor;
                    store.raise_time(self.object, self.newest_time());
                }
                // What a digest says may contradict the rest, although its hash is right: it only repeats what is in its segment.
                Err(error) if whole_from > 0 && error.code() == Code::StoreDamaged => {
                    self.begin_again(0);
                    continue;
                }
                Err(_) => self.begin_again(whole_from),
            }
            return result;
        }
    }

    fn take(&mut self, store: &Store, seen: Seen<'_>, body: &mut Vec<u8>) -> Result<(), TimelineError> {
        let (head, at) = match seen {
            Seen::Record(head, at) => (head, at),
            Seen::Listed(head, at, body) => return self.feed(head, at, body),
            Seen::Digested(_, digest) => {
                if let Some(summary) = digest.summary(self.object) {
                    self.take_summary(summary);
                }
                return Ok(());
            }
        };
        if head.object != self.object {
            return Ok(());
        }
        let has_body = matches!(
            head.kind,
            Kind::Commit | Kind::Mark | Kind::Drop | Kind::Rewind | Kind::Era | Kind::Note
        );
        if has_body {
            store.read_into(at, body)?;
        } else {
            body.clear();
        }
        self.feed(head, at, body)
    }

    /// Takes one record, in log order. [`Timeline::catch_up`] calls it; an image's body is not looked at.
    ///
    /// # Errors
    /// When the body is not what the kind says, or the record contradicts earlier ones. The record is
    /// then left out, and answers are no longer to be relied on.
    pub fn feed(&mut self, head: Head, at: Location, body: &[u8]) -> Result<(), TimelineError> {
        if head.object != self.object || matches!(head.kind, Kind::Object | Kind::End) {
            return Ok(());
        }
        if head.lsn.next().is_none() {
            return Err(misplaced(head, at, "it has the last LSN of all"));
        }
        match head.kind {
            Kind::After | Kind::Cut => self.after(head, at)?,
            Kind::Before => self.before(head, at)?,
            Kind::Base => self.base(head, at)?,
            Kind::Commit => self.commit(head, at, body)?,
            Kind::Mark => self.mark_set(head, at, MarkBody::decode(body).map_err(in_body(at))?),
            Kind::Drop => self.marks.remove(&DropBody::decode(body).map_err(in_body(at))?.name),
            Kind::Rewind => self.rewind(head, at, body)?,
            Kind::Void => self.void(head, at)?,
            Kind::Era => self.begin(head, at, body)?,
            Kind::Note => {
                let note = NoteEntry { lsn: head.lsn, at, body: body.into() };
                self.notes.entry(head.key.get()).or_default().push(note);
            }
            Kind::Object | Kind::End => {}
        }
        self.highest = self.highest.max(head.lsn);
        if !matches!(head.kind, Kind::After | Kind::Cut) {
            self.highest_said = self.highest_said.max(head.lsn);
        }
        Ok(())
    }

    /// The era whose records have this LSN: the present one, or an older one when the record comes late
    /// (a second copy, from a writer that was slow). `None` if that one is lost.
    fn era_of(&mut self, head: Head, at: Location) -> Result<Option<&mut EraLog>, TimelineError> {
        let Some(present) = self.eras.last() else {
            if self.is_cut() {
                // Of an era whose beginning was evicted.
                return Ok(None);
            }
            return Err(misplaced(head, at, "no era has begun"));
        };
        if head.lsn == present.era.first {
            return Err(misplaced(head, at, "the first LSN of an era is its own"));
        }
        let past = self.eras.partition_point(|log| log.era.first < head.lsn);
        Ok(past.checked_sub(1).and_then(|era| self.eras.get_mut(era)))
    }

    fn after(&mut self, head: Head, at: Location) -> Result<(), TimelineError> {
        let Some(log) = self.era_of(head, at)? else { return Ok(()) };
        match (log.era.engine, head.kind) {
            (Engine::Wal, Kind::Cut) => log.cuts.insert(head.key, head.lsn),
            (Engine::Wal, _) => {
                let full = |_| misplaced(head, at, "its era has too many images");
                log.touches.insert(head.key, head.lsn, at).map_err(full)?;
            }
            // What was cut off has a before-image there; the cut adds nothing.
            (Engine::Rollback, Kind::Cut) => {}
            (Engine::Rollback, _) => {
                return Err(misplaced(head, at, "its era is one of before-images"));
            }
        }
        Ok(())
    }

    fn before(&mut self, head: Head, at: Location) -> Result<(), TimelineError> {
        let Some(log) = self.era_of(head, at)? else { return Ok(()) };
        if log.era.engine != Engine::Rollback {
            return Err(misplaced(head, at, "its era is one of after-images"));
        }
        let full = |_| misplaced(head, at, "its era has too many images");
        log.touches.insert(head.key, head.lsn, at).map_err(full)
    }

    fn base(&mut self, head: Head, at: Location) -> Result<(), TimelineError> {
        let oldest = self.eras.first().map(|log| log.era.first);
        let is_cut = self.is_cut();
        let log = self.eras.iter_mut().rfind(|log| log.era.first == head.lsn);
        match log {
            Some(log) if log.era.engine == Engine::Wal => log.add_base(head.key, at),
            None if oldest.map_or(is_cut, |oldest| head.lsn < oldest) => {}
            _ => return Err(misplaced(head, at, "no era of after-images begins with its LSN")),
        }
        Ok(())
    }

    fn commit(&mut self, head: Head, at: Location, body: &[u8]) -> Result<(), TimelineError> {
        let body = CommitBody::decode(body).map_err(in_body(at))?;
        if let Some(log) = self.era_of(head, at)? {
            log.add_moment(head.lsn, body.extent, body.time);
            if log.era.engine == Engine::Rollback && head.flags & KEPT != 0 {
                log.keep(head.lsn);
            }
            let newest = log.last().time;
            self.newest_time = self.newest_time.max(newest);
            self.learn_roots_behind(head.lsn);
        }
        Ok(())
    }

    fn mark_set(&mut self, head: Head, at: Location, body: MarkBody<'_>) {
        let first = self.first();
        let stand_in = match head.flags & MOVED {
            0 => None,
            _ => body.note.try_into().ok().map(u64::from_le_bytes).map(Lsn::new),
        };
        // A copy is for those who do not have the original; others know whether it was dropped since.
        let copy_of = head.key.get();
        if copy_of != 0 && copy_of >= u64::from(self.read_from) {
            if let Some(stand_in) = stand_in {
                self.marks.moved(&body.name, head.lsn, stand_in, first);
            }
            return;
        }
        let reached_by = stand_in.unwrap_or(head.lsn);
        let before = !self.eras.is_empty() && reached_by < first;
        let lost = before && self.interrupted.is_some_and(|(again, _)| reached_by < again);
        let evicted = self.is_cut() && reached_by < first && !lost;
        let pinned = head.flags & PINNED != 0;
        let (name, time, extent) = (body.name, body.time, body.extent);
        self.marks.insert(
            at,
            MarkEntry {
                name,
                lsn: head.lsn,
                time,
                extent,
                note: body.note.into(),
                lost,
                evicted,
                pinned,
                stand_in,
            },
            copy_of != 0,
            first,
        );
    }

    fn rewind(&mut self, head: Head, at: Location, body: &[u8]) -> Result<(), TimelineError> {
        let body = RewindBody::decode(body).map_err(in_body(at))?;
        let target = Lsn::new(head.key.get());
        if self.era_of(head, at)?.is_none() {
            return Ok(());
        }
        let place = match self.rewinds.binary_search_by_key(&head.lsn, |rewind| rewind.lsn) {
            Ok(known) if self.rewinds.get(known).is_some_and(|known| known.target == target) => {
                return Ok(());
            }
            Ok(_) => return Err(misplaced(head, at, "a rewind with its LSN led elsewhere")),
            Err(place) => place,
        };
        if target >= head.lsn {
            return Err(misplaced(head, at, "its target is not before it"));
        }
        self.marks.rewound(target, head.lsn, self.first());
        if self.place(target).is_none() {
            if !self.is_cut() {
                return Err(misplaced(head, at, "its target is before all that can be reached"));
            }
            // Evicted: for those who know it no more, the rewind is a commit, whose images are recorded.
            if let Some(log) = self.era_of(head, at)? {
                log.add_moment(head.lsn, body.extent, body.time);
            }
            self.left.extend([head.lsn, body.from]);
            self.learn_roots_behind(head.lsn);
            return Ok(());
        }
        if head.lsn > self.last() {
            // Of a transaction that was in flight before it; LSNs go on from here.
            self.forget_above(self.last());
        }
        if let Some(log) = self.era_of(head, at)? {
            log.add_moment(head.lsn, body.extent, body.time);
            let newest = log.last().time;
            self.newest_time = self.newest_time.max(newest);
        }
        self.left.insert(body.from);
        let entry = RewindEntry {
            lsn: head.lsn,
            target,
            from: body.from,
            time: body.time,
            extent: body.extent,
            note: body.note.into(),
        };
        self.rewinds.insert(place, entry);
        self.learn_roots_behind(head.lsn);
        Ok(())
    }

    fn void(&mut self, head: Head, at: Location) -> Result<(), TimelineError> {
        if head.lsn < self.last() {
            return Err(misplaced(head, at, "it takes back what was committed"));
        }
        self.forget_above(head.lsn);
        Ok(())
    }

    /// Forgets images and cuts of the present era above an LSN.
    fn forget_above(&mut self, lsn: Lsn) {
        if let Some(log) = self.eras.last_mut().filter(|log| log.era.engine == Engine::Wal) {
            log.touches.forget_above(lsn);
            log.cuts.forget_above(lsn);
        }
    }

    fn begin(&mut self, head: Head, at: Location, body: &[u8]) -> Result<(), TimelineError> {
        let EraBody { time, extent, broken } = EraBody::decode(body).map_err(in_body(at))?;
        let Some(engine) = Engine::from_key(head.key) else {
            return Err(misplaced(head, at, "its engine is unknown"));
        };
        if !self.eras.is_empty() && head.lsn <= self.last() {
            return Err(misplaced(head, at, "its LSN is not above every moment before it"));
        }
        if broken {
            self.marks.lose_all();
            self.eras.clear();
            self.rewinds.clear();
            self.left.clear();
        }
        if let Some(ended) = self.eras.last_mut() {
            ended.shrink();
        }
        self.notes.clear();
        let time =
            if self.newest_time > Timestamp::default() { time.max(self.newest_time.next()) } else { time };
        self.newest_time = time;
        if broken {
            self.interrupted = Some((head.lsn, time));
        }
        if self.eras.is_empty() && !broken && self.is_cut() {
            // What was marked before it was not interrupted, but is gone.
            self.marks.evict_below(head.lsn);
        }
        self.eras.push(EraLog::new(Era { engine, first: head.lsn, time, extent, broken }, at));
        self.learn_roots(self.eras.len().saturating_sub(1));
        Ok(())
    }
}

fn misplaced(head: Head, at: Location, why: &'static str) -> TimelineError {
    TimelineError::Misplaced { kind: head.kind, lsn: head.lsn, at, why }
}

fn in_body(at: Location) -> impl Fn(BodyError) -> TimelineError {
    move |source| TimelineError::Body { at, source }
}
