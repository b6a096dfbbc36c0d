use super::path::{Exit, Place, Stretch};
use super::{EraLog, Timeline};
use crate::format::Engine;
use crate::types::{Key, Location};

/// Where the content of a key at a moment is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    /// In this record.
    Record(Location),
    /// Where the present era (of after-images) found it and left it so far: the adapter reads it below
    /// everything the era wrote. For SQLite: in the database file, below the WAL.
    Base,
    /// In the object itself, which still has it. Only in a present era of before-images.
    Current,
    /// Nowhere: it reads as zeros.
    Zero,
}

/// A moment, made ready for looking up many keys: O(log images of the key) each for every stretch of the
/// moment's path in eras of after-images, plus O(1) for every era from the oldest met up to the present.
#[derive(Debug)]
pub(super) struct View<'a> {
    timeline: &'a Timeline,
    /// The path as far as it runs through eras of after-images, newest first.
    path: Vec<Stretch>,
    end: End,
}

/// Where a key without an image on the path is looked up.
///
/// From here the lookup only walks forward, from the end of an era to the beginning of the next, and
/// looks at no path any more: it ends.
#[derive(Debug)]
enum End {
    /// The beginning of this era of after-images.
    Beginning(usize),
    /// A moment in an era of before-images.
    Before(Place),
    /// The object as it is, in an era of before-images: what is in flight has not been undone.
    Present,
}

impl<'a> View<'a> {
    /// The state at a moment.
    pub(super) fn at(timeline: &'a Timeline, place: Place) -> Self {
        let mut path = Vec::new();
        let mut here = place;
        for stretch in timeline.path(place, false) {
            here = Place { era: stretch.era, lsn: stretch.upto };
            if !is_wal(timeline, stretch.era) {
                return Self { timeline, path, end: End::Before(here) };
            }
            path.push(stretch);
            if !matches!(stretch.next, Some(Exit::Rewind(_))) {
                break;
            }
        }
        Self { timeline, path, end: End::Beginning(here.era) }
    }

    /// The state of the object as it is now; `last` is its newest moment.
    pub(super) fn present(timeline: &'a Timeline, last: Place) -> Self {
        if is_wal(timeline, last.era) {
            return Self::at(timeline, last);
        }
        Self { timeline, path: Vec::new(), end: End::Present }
    }

    /// The oldest era that is looked at; `None`: none is.
    pub(super) fn oldest(&self) -> Option<usize> {
        let end = match self.end {
            End::Beginning(era) | End::Before(Place { era, .. }) => Some(era),
            End::Present => None,
        };
        self.path.iter().map(|stretch| stretch.era).chain(end).min()
    }

    /// Where a key's content at this moment is. The key must be within the moment's extent.
    pub(super) fn source(&self, key: Key) -> Source {
        let on_path = self.path.iter().find_map(|stretch| {
            let log = self.timeline.era_log(stretch.era)?;
            newest_image(log, stretch, key)
        });
        if let Some(source) = on_path {
            return source;
        }
        match self.end {
            End::Present => Source::Current,
            End::Beginning(era) => self.at_beginning(era, key),
            End::Before(Place { era, lsn }) => {
                let Some(log) = self.timeline.era_log(era) else { return Source::Zero };
                if key.get() > log.floor(lsn).extent.get() {
                    // The path leads back to a moment without it: it was grown over since, unwritten.
                    return Source::Zero;
                }
                match log.touches.first_above(key, lsn) {
                    Some(at) => Source::Record(at),
                    None if era + 1 == self.timeline.eras.len() => Source::Current,
                    None => self.at_beginning(era + 1, key),
                }
            }
        }
    }

    /// Where a key's content at the beginning of an era is.
    fn at_beginning(&self, era: usize, key: Key) -> Source {
        for log in self.timeline.eras.get(era..).unwrap_or(&[]) {
            if key.get() > log.era.extent.get() {
                return Source::Zero;
            }
            let image = match log.era.engine {
                Engine::Wal => log.base(key),
                Engine::Rollback => log.touches.first_above(key, log.era.first),
            };
            if let Some(at) = image {
                return Source::Record(at);
            }
            // Not overwritten during the whole era: as it was at the beginning of the next.
        }
        match self.timeline.eras.last().map(|log| log.era.engine) {
            Some(Engine::Rollback) => Source::Current,
            _ => Source::Base,
        }
    }
}

fn is_wal(timeline: &Timeline, era: usize) -> bool {
    timeline.era_log(era).is_some_and(|log| log.era.engine == Engine::Wal)
}

/// What a stretch of an era of after-images says about a key. Of an image and a cut with the same LSN the
/// cut wins: a commit cuts last, and its images past the cut were written on the way.
fn newest_image(log: &EraLog, stretch: &Stretch, key: Key) -> Option<Source> {
    let range = stretch.lsns();
    let image = log.touches.newest(key, range.clone());
    match (image, log.cuts.newest(key, range)) {
        (Some((lsn, _)), Some(cut)) if cut >= lsn => Some(Source::Zero),
        (Some((_, at)), _) => Some(Source::Record(at)),
        (None, Some(_)) => Some(Source::Zero),
        (None, None) => None,
    }
}
