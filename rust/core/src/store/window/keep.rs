//! What has to stay: a question of eras, pins and times alone.

use std::collections::BTreeMap;
use std::time::Duration;

use super::age::Present;
use super::ledger::{Known, Ledger, segment};
use crate::store::FORGOTTEN;
use crate::types::Timestamp;

/// A mark that another process is about to set may still be one of the era before, for as long.
pub(super) const YOUNG: Duration = Duration::from_millis(100);

/// How far the log may be cut: to the beginning of these segments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cuts {
    /// If there is no other room.
    pub(super) most: u32,
    /// The same if there were no pins.
    pub(super) without_pins: u32,
    /// What is before is older than the target.
    pub(super) by_time: u32,
}

/// Says where the log may be cut. `end`: the segment that it ends in. `alive`: whether the thing of this name is still there. The
/// history of one that is not stays until it is older than the target, if there is room: it may have been moved. `young`: an era is, up
/// to this age.
pub(super) fn cuts(
    ledger: &Ledger,
    now: Present,
    (target, young): (Duration, Duration),
    end: u32,
    alive: &dyn Fn(&str) -> bool,
) -> Cuts {
    let mut cuts = Cuts { most: end, without_pins: end, by_time: end };
    for (name, known) in newest_of_each(ledger) {
        let alive = !name.starts_with(FORGOTTEN) && alive(name);
        if !alive && now.age(now.sight(until(ledger, known, now.time))) >= target {
            continue;
        }
        let newest = known.eras.partition_point(|era| now.age(era.seen) >= young).saturating_sub(1);
        // Of two moments at one time the later one has a time of its own, a little later: then less than the target would be left.
        let old = known.eras.partition_point(|era| now.age(era.seen) > target).saturating_sub(1).min(newest);
        let pinned = pinned(known);
        let segment_of = |era| known.eras.get(closed(known, era)).map_or(end, |era| era.segment);
        if alive {
            cuts.most = cuts.most.min(segment_of(newest.min(pinned)));
            cuts.without_pins = cuts.without_pins.min(segment_of(newest));
        }
        cuts.by_time = cuts.by_time.min(segment_of(old.min(pinned)));
    }
    cuts
}

/// Before when the newest record of an object was appended.
fn until(ledger: &Ledger, known: &Known, now: Timestamp) -> Timestamp {
    let behind = segment(known.newest).saturating_add(1)..;
    ledger.began.range(behind).map(|(_, time)| *time).find(|time| time.get() > 0).unwrap_or(now)
}

/// The objects whose history counts. Of several with one name that is the one with the newest era.
fn newest_of_each(ledger: &Ledger) -> BTreeMap<&str, &Known> {
    let mut newest: BTreeMap<&str, &Known> = BTreeMap::new();
    for known in ledger.objects.values() {
        let (Some((name, _)), Some(era)) = (&known.name, known.eras.last()) else { continue };
        let older = newest.get(name.as_str()).and_then(|other| other.eras.last());
        if older.is_none_or(|older| {
            older.segment < era.segment || (older.segment == era.segment && older.time <= era.time)
        }) {
            newest.insert(name, known);
        }
    }
    newest
}

/// The oldest era that a pinned mark needs.
fn pinned(known: &Known) -> usize {
    let pinned = known.marks.values().filter(|mark| mark.pinned && !mark.lost);
    pinned.filter_map(|mark| known.era_of(known.reached_by(mark))).min().unwrap_or(usize::MAX)
}

/// The newest era up to this one that no later one reaches back beyond.
fn closed(known: &Known, mut era: usize) -> usize {
    loop {
        let Some(from) = known.eras.get(era) else { return 0 };
        let needed = known.eras.iter().skip(era).filter_map(|later| later.needs).min();
        match (needed.filter(|needed| *needed < from.lsn), era.checked_sub(1)) {
            (Some(needed), Some(before)) => era = known.era_of(needed).unwrap_or(0).min(before),
            // The log begins with it: what a damaged one says to be before it is not there.
            (Some(_), None) | (None, _) => return era,
        }
    }
}
