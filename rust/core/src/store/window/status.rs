//! What a user wants to know about the window.

use std::time::Duration;

use super::keep::YOUNG;
use super::ledger::{Known, Ledger};
use crate::error::AppendError;
use crate::map::Process;
use crate::segment;
use crate::store::handle::Inner;
use crate::store::locks::stopped_at;
use crate::store::{Location, Room, Store};
use crate::types::{Lsn, MarkName, ObjectId, Timestamp};

/// The rate is that of so long.
const RATE_OVER: Duration = Duration::from_secs(3600);

/// How a store does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WindowState {
    /// It keeps what it shall keep.
    Ok,
    /// Something younger than the target was evicted, since there was no room for it.
    Alert,
    /// There is no room for another segment, below the limit or on the disk, and nothing that may be evicted for it: recording will
    /// stop.
    Full,
    /// Recording has stopped.
    Stopped,
}

/// A mark that keeps records from being evicted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pin {
    /// Its name.
    pub name: MarkName,
    /// The moment.
    pub lsn: Lsn,
    /// When it was set.
    pub time: Timestamp,
    /// Bytes of the segments from its era on to the newest era's.
    pub bytes: u64,
}

/// How far back one object's history reaches, and what the store takes.
#[derive(Clone, PartialEq, Debug)]
pub struct Window {
    /// How it does.
    pub state: WindowState,
    /// What it takes, and may take.
    pub room: Room,
    /// Bytes of sealed segments among them.
    pub sealed: u64,
    /// How far back it shall reach.
    pub target: Duration,
    /// The oldest moment that can be reached, and its time. `None` before the first era.
    pub earliest: Option<(Lsn, Timestamp)>,
    /// From there to now.
    pub actual: Duration,
    /// How long a window the limit holds at the present rate. `None`: nothing was recorded that would tell.
    pub forecast: Option<Duration>,
    /// Marks that keep records, by age.
    pub pins: Vec<Pin>,
    /// The other processes that have the store open and were stopped, by their numbers: until they go on or end, growing, sealing and
    /// evicting may wait for them, and what others recorded may stay hidden.
    pub waits_for: Vec<Process>,
}

impl Store {
    /// The marks of all objects that keep records from being evicted.
    #[must_use]
    pub fn pins(&self) -> Vec<Pin> {
        let inner = &self.inner;
        let mut ledger = inner.keeping.ledger();
        if inner.forked() || ledger.catch_up(self, inner.present()).is_err() {
            return Vec::new();
        }
        ledger.objects.values().flat_map(|known| inner.pins(known)).collect()
    }

    /// How far back the history of an object reaches, and what the store takes. Reads what was appended since the last time.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn window(&self, object: ObjectId, alive: &dyn Fn(&str) -> bool) -> Result<Window, AppendError> {
        let inner = &self.inner;
        if inner.forked() {
            return Err(AppendError::Forked);
        }
        let mut ledger = inner.keeping.ledger();
        let present = inner.present();
        let read = ledger.catch_up(self, present);
        read.map_err(|error| AppendError::Damaged { what: error.to_string() })?;
        let room = self.room();
        let target = inner.target();
        let now = inner.now();
        let known = ledger.objects.get(&object);
        let earliest = known.and_then(|known| known.eras.first()).map(|era| (era.lsn, era.time));
        let since = |time: Timestamp| Duration::from_nanos(now.get().saturating_sub(time.get()));
        let actual = earliest.map_or(Duration::ZERO, |(_, time)| since(time));
        let next = inner.longest().min(inner.options.max_segment) + inner.left_to_evictions();
        let short = room.used.saturating_add(next) > room.limit;
        let cuts = self.cuts(&ledger, (present, YOUNG), alive);
        let evictable = cuts.most > inner.first();
        // Evictions are for the limit; what they free is free on the disk, too.
        let disk_full = room.on_disk < inner.options.first_segment && !(short && evictable);
        let state = if self.broken(object).is_some() {
            WindowState::Stopped
        } else if disk_full || (short && !evictable && inner.is_nearly_full(&room)) {
            WindowState::Full
        } else if inner.first() > 1 && actual < target {
            WindowState::Alert
        } else {
            WindowState::Ok
        };
        let sealed = (inner.first()..=inner.control.current()).filter_map(|id| inner.len_sealed(id)).sum();
        let forecast = inner.forecast(&ledger, &since, room.limit);
        let pins = known.map_or_else(Vec::new, |known| inner.pins(known));
        let waits_for = stopped_at(&inner.dir);
        Ok(Window { state, room, sealed, target, earliest, actual, forecast, pins, waits_for })
    }
}

impl Inner {
    fn len_sealed(&self, id: u32) -> Option<u64> {
        let raw = self.dir.join(segment::file_name(id)).exists();
        if raw { None } else { self.len_on_disk(id).ok() }
    }

    /// Whether what is left, in the present segment and of the limit, is less than a quarter of a usual segment.
    fn is_nearly_full(&self, room: &Room) -> bool {
        let current = self.control.current();
        let size = self.len_on_disk(current).unwrap_or(0);
        let left = room.limit.saturating_sub(self.left_to_evictions()).saturating_sub(room.used);
        left + self.left_in_current() < size.max(self.longest()) / 4
    }

    fn forecast(
        &self,
        ledger: &Ledger,
        since: &dyn Fn(Timestamp) -> Duration,
        limit: u64,
    ) -> Option<Duration> {
        let starts = ledger.began.iter().map(|(segment, time)| (*segment, 0, *time));
        let eras = ledger.objects.values().flat_map(|known| &known.eras);
        let starts = starts.chain(eras.map(|era| (era.segment, 0, era.time)));
        let mut starts: Vec<(u32, u32, Timestamp)> =
            starts.filter(|(segment, _, time)| *segment >= self.first() && time.get() > 0).collect();
        starts.sort_unstable();
        let newest = starts.iter().rfind(|(_, _, time)| since(*time) >= RATE_OVER);
        let (segment, _, time) = newest.or(starts.first())?;
        let bytes = self.bytes_between(*segment, self.control.current())
            + u64::from(self.control.hint(self.control.current()).unwrap_or(0));
        let elapsed = since(*time).as_secs_f64();
        if bytes == 0 || elapsed <= 0.0 {
            return None;
        }
        let seconds = limit as f64 * elapsed / bytes as f64;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Bytes of the segments from one on, without the last one.
    fn bytes_between(&self, from: u32, to: u32) -> u64 {
        (from.max(self.first())..to).filter_map(|id| self.len_on_disk(id).ok()).sum()
    }

    fn pins(&self, known: &Known) -> Vec<Pin> {
        let newest = known.eras.last().map_or(0, |era| era.segment);
        let pinned = known.marks.iter().filter(|(_, mark)| mark.pinned && !mark.lost);
        let mut pins: Vec<(Location, Pin)> = pinned
            .filter_map(|(name, mark)| {
                let era = known.eras.get(known.era_of(known.reached_by(mark))?)?;
                let bytes = self.bytes_between(era.segment, newest);
                Some((mark.at, Pin { name: name.clone(), lsn: mark.lsn, time: mark.time, bytes }))
            })
            .collect();
        pins.sort_by_key(|(at, pin)| (pin.time, *at));
        pins.into_iter().map(|(_, pin)| pin).collect()
    }
}
