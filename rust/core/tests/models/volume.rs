//! A store of segments in memory, and the processes that have it open. What is done with its words and its segments is the code of
//! `ring/`; what stands here is what a lock, a folder and a disk are to it.

use crate::explorer::{Arc, Mutex, MutexGuard};
use crate::format::control;
use crate::format::{Owner, Place, State, Word, span};
use crate::heap::{Heap, owner};
use crate::ring::{
    self, Appended, Looked, OneOf, Progress, Region, Segments, Settled, Verdict, Words, Written,
};
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The slot of the one who dies.
pub(crate) const DEAD: u16 = 9;

fn dead(owner: Owner) -> bool {
    owner.slot == DEAD
}

/// The words of control that the log's way through its segments is told by.
pub(crate) struct Shared([AtomicU64; 4]);

impl Words for Shared {
    fn word(&self, at: u32) -> Option<&AtomicU64> {
        let index = match at {
            control::CURRENT => 0,
            control::HINT => 1,
            control::SYNCED => 2,
            control::SEALED => 3,
            _ => return None,
        };
        self.0.get(index)
    }
}

/// A store.
pub(crate) struct Volume {
    pub(crate) progress: Progress<Shared>,
    segments: Vec<Arc<Heap>>,
    /// Lock byte 0.
    create: Mutex<()>,
    folder: Mutex<Folder>,
    /// The words of each segment as they were written to the disk last.
    disk: Mutex<Vec<Vec<u64>>>,
}

/// Which files there are.
struct Folder {
    raw: Vec<bool>,
    sealed: Vec<Option<Vec<u64>>>,
    made: Vec<u32>,
}

/// A name that is not there.
#[derive(Debug)]
pub(crate) struct Missing(#[expect(dead_code, reason = "for the message")] u32);

impl Volume {
    /// Of segments that may be made, the first of which is there.
    pub(crate) fn new(segments: Vec<Arc<Heap>>) -> Arc<Self> {
        let (count, size) = (segments.len(), segments[0].words.len());
        let mut raw = vec![false; count];
        raw[0] = true;
        Arc::new(Self {
            progress: Progress { words: Shared([(); 4].map(|()| AtomicU64::new(0))) },
            segments,
            create: Mutex::new(()),
            folder: Mutex::new(Folder { raw, sealed: vec![None; count], made: Vec::new() }),
            disk: Mutex::new(vec![vec![0; size]; count]),
        })
    }

    /// Of so many segments, each with room for so many records and the end.
    pub(crate) fn of(count: u32, records: usize) -> Arc<Self> {
        Self::new((1..=count).map(|id| Heap::numbered(id, records * 48 + 40)).collect())
    }

    /// The same; they can be let go of.
    pub(crate) fn fleeting(count: u32, records: usize) -> Arc<Self> {
        Self::new((1..=count).map(|id| Heap::fleeting(id, records * 48 + 40)).collect())
    }

    pub(crate) fn segment(&self, id: u32) -> &Heap {
        &self.segments[id as usize - 1]
    }

    /// The segments that were made, in this order.
    pub(crate) fn made(&self) -> Vec<u32> {
        self.folder.lock().unwrap().made.clone()
    }

    /// What was sealed of a segment.
    pub(crate) fn sealed(&self, id: u32) -> Option<Vec<u64>> {
        self.folder.lock().unwrap().sealed[id as usize - 1].clone()
    }

    /// The power fails: what *synced* says is on disk must be there, and nothing of it in flight.
    pub(crate) fn assert_durable(&self) {
        let Some((last, end)) = self.progress.synced() else { return };
        let (folder, disk) = (self.folder.lock().unwrap(), self.disk.lock().unwrap());
        for id in 1..=last {
            // A sealed file is on disk before it has its name.
            if matches!(folder.sealed.get(id as usize - 1), Some(Some(_))) {
                continue;
            }
            let words = disk.get(id as usize - 1).map_or(&[][..], Vec::as_slice);
            let size = words.len() as u32 * 8;
            let end = if id < last { size } else { end };
            let mut at = 0;
            while at < end && size - at >= 40 {
                let state = Word::from_raw(words[at as usize / 8]).state(Place { segment: id, offset: at });
                let Some(State::Committed { len } | State::Aborted { len }) = state else {
                    panic!("{state:?} on disk at {at} of segment {id}, before synced ({last}, {end})");
                };
                at += span(len) as u32;
            }
        }
    }
}

/// A process that has the store open; its threads share it.
pub(crate) struct Process {
    pub(crate) volume: Arc<Volume>,
    mapped: Vec<AtomicBool>,
    current: AtomicU32,
    let_go: AtomicU32,
}

impl Process {
    /// Opens the store, and takes this segment for the last one: as a thread that has been asleep since.
    pub(crate) fn at(volume: &Arc<Volume>, current: u32) -> Arc<Self> {
        let mapped = (1..=volume.segments.len() as u32).map(|id| AtomicBool::new(id == current)).collect();
        let process = Self {
            volume: Arc::clone(volume),
            mapped,
            current: AtomicU32::new(0),
            let_go: AtomicU32::new(0),
        };
        ring::move_on_to(&volume.progress, &process.current, current);
        Arc::new(process)
    }

    /// Falls asleep in this segment.
    pub(crate) fn sleep(&self, current: u32) {
        self.current.store(current, Ordering::Relaxed);
    }

    fn is_mapped(&self, id: u32) -> bool {
        // Acquire and release, as the table of segments.
        self.mapped[id as usize - 1].load(Ordering::Acquire)
    }

    fn map(&self, id: u32) {
        self.mapped[id as usize - 1].store(true, Ordering::Release);
    }

    /// Appends by attempts, as `Store::append`; `value` is what is looked for where it may be lost.
    pub(crate) fn append_by(&self, value: u64, mut attempt: impl FnMut(&Heap, u32) -> Appended) {
        loop {
            let id = ring::newest(&self.current);
            assert!(self.is_mapped(id), "segment {id} is not mapped");
            let segment = self.volume.segment(id);
            let from = self.volume.progress.hint(id).unwrap_or(0);
            match ring::verdict(segment, attempt(segment, from)) {
                Verdict::Done(_) => return,
                Verdict::Ask(_) if self.volume.sealed(id).unwrap().contains(&value) => return,
                Verdict::Ask(_) | Verdict::Roll => self.roll(id),
                Verdict::Again => {}
                Verdict::Damaged(at) => panic!("damaged at {at} of segment {id}"),
            }
        }
    }

    /// Appends a record of eight bytes.
    pub(crate) fn append(&self, slot: u16, value: u64) {
        let body = value.to_le_bytes();
        self.append_by(value, |segment, from| {
            let raise = |next| self.volume.progress.raise_hint(segment.id(), next);
            ring::append(segment, from, owner(slot), &[&body], 8, raise, |_| [1; 32])
        });
    }

    pub(crate) fn roll(&self, full: u32) {
        let rolled = ring::roll(&self.volume.progress, &self.current, full + 1, &mut Rolling(self));
        assert!(rolled.is_ok(), "{rolled:?}");
    }

    /// As `Inner::form`.
    fn form(&self, id: u32) -> OneOf<&Heap, Vec<u64>> {
        let segment = self.volume.segment(id);
        let mapped = self.is_mapped(id);
        if mapped && !segment.gone().is_up() {
            return OneOf::Raw(segment);
        }
        let raw = || {
            let there = self.volume.folder.lock().unwrap().raw[id as usize - 1];
            if !there {
                return Err(Missing(id));
            }
            self.map(id);
            Ok(segment)
        };
        let found = ring::find(mapped, || self.volume.sealed(id).ok_or(Missing(id)), raw, |_| true);
        found.unwrap_or_else(|missing| panic!("{missing:?}"))
    }

    /// As `Store::read`: the integer at a place, which a record that counts has.
    pub(crate) fn read(&self, id: u32, at: u32) -> u64 {
        loop {
            match self.form(id) {
                OneOf::Sealed(values) => return values[at as usize / 48],
                OneOf::Raw(segment) => {
                    let read = |segment: &Heap| {
                        let found = ring::step(segment, at);
                        (found, segment.value(at))
                    };
                    if let Some((found, value)) = ring::unless_gone(segment, read) {
                        assert!(matches!(found, ring::Step::Committed { len: 8, .. }), "{found:?}");
                        return value.unwrap();
                    }
                }
            }
        }
    }

    /// As `Inner::walk`: collects what is found, and answers where the log ends, or where a record is in flight.
    pub(crate) fn walk(&self, found: &mut Vec<u64>) -> (u32, u32) {
        let progress = &self.volume.progress;
        let mut id = 1;
        loop {
            let before = found.len();
            let stopped = match self.form(id) {
                OneOf::Sealed(values) => {
                    found.extend(values);
                    Ok(true)
                }
                OneOf::Raw(segment) => walk_raw(segment, progress, found),
            };
            match stopped {
                Ok(false) => found.truncate(before),
                Ok(true) if id < progress.current() => id += 1,
                Ok(true) => return (id, self.volume.segment(id).size()),
                Err(at) => return (id, at),
            }
        }
    }

    pub(crate) fn values(&self) -> Vec<u64> {
        let mut found = Vec::new();
        self.walk(&mut found);
        found
    }

    /// As `Store::seal_some`: the oldest segment that the log has left, once nobody is in the midst of a record of it. The only sealer.
    pub(crate) fn seal(&self) {
        let (volume, id) = (&*self.volume, self.volume.progress.sealed() + 1);
        if !ring::is_left(&volume.progress, id) {
            return;
        }
        let segment = volume.segment(id);
        let mut values = Vec::new();
        let settled = ring::settle(segment, 0, dead, |at, _| {
            values.extend(segment.value(at));
            Ok::<_, Missing>(())
        });
        match settled.unwrap() {
            Settled::Yes => {}
            Settled::InFlight => return,
            other => panic!("{other:?} of segment {id}, which was left"),
        }
        let index = id as usize - 1;
        let name = || {
            volume.folder.lock().unwrap().sealed[index] = Some(values);
            Ok::<_, Missing>(())
        };
        let remove = || {
            let lock = volume.create.lock().unwrap();
            volume.folder.lock().unwrap().raw[index] = false;
            Ok(Some(lock))
        };
        assert!(ring::hand_over(&volume.progress, id, name, || Ok(()), remove).unwrap());
    }

    /// As `Inner::let_go_of_sealed`. Only where no other process is: each has zeros of its own.
    pub(crate) fn let_go_of_sealed(&self) {
        let let_go = |id| {
            let segment = self.volume.segment(id);
            if self.is_mapped(id) && !segment.gone().is_up() && self.volume.sealed(id).is_some() {
                segment.let_go();
            }
        };
        ring::sealed_since(&self.volume.progress, &self.current, &self.let_go, let_go, |_, _| {});
    }

    fn write(&self, id: u32) {
        let OneOf::Raw(segment) = self.form(id) else { return };
        let mut disk = self.volume.disk.lock().unwrap();
        disk[id as usize - 1] = segment.words.iter().map(|word| word.load(Ordering::Relaxed)).collect();
    }

    /// As `Inner::sync_left`, of one segment.
    pub(crate) fn sync_left(&self, id: u32) {
        let write = || {
            self.write(id);
            Ok::<_, Missing>(true)
        };
        let written = ring::write_left(self.volume.segment(id), 0, &self.volume.progress, dead, write);
        assert!(matches!(written, Ok(Written::Yes | Written::NotYet)), "{written:?}");
    }

    /// As `Store::sync`.
    pub(crate) fn sync(&self) {
        let settled = || Ok::<_, Missing>(self.walk(&mut Vec::new()));
        let write = |id, _, _| {
            self.write(id);
            Ok(())
        };
        ring::write_all(&self.volume.progress, 1, settled, write, |_| Ok(())).unwrap();
    }
}

/// `Err`: the log ends there, or a record is in flight. `Ok(false)`: it was let go of meanwhile.
fn walk_raw(segment: &Heap, progress: &Progress<Shared>, found: &mut Vec<u64>) -> Result<bool, u32> {
    let mut at = 0;
    loop {
        match ring::look(segment, at, progress, |_| segment.value(at)) {
            Looked::Record { content, next, .. } => {
                found.extend(content);
                at = next;
            }
            Looked::Aborted { next } => at = next,
            Looked::Reserved { owner, len, .. } if dead(owner) => {
                ring::abort(segment, Place { segment: segment.id(), offset: at }, owner, len);
            }
            Looked::Reserved { .. } | Looked::End => return Err(at),
            Looked::Over => return Ok(true),
            Looked::Gone => return Ok(false),
            other @ (Looked::Cut | Looked::Damaged) => {
                panic!("{other:?} at {at} of segment {}", segment.id())
            }
        }
    }
}

struct Rolling<'a>(&'a Process);

impl<'a> Segments for Rolling<'a> {
    type Lock = MutexGuard<'a, ()>;
    type Error = Missing;

    fn is_mapped(&self, id: u32) -> bool {
        self.0.is_mapped(id)
    }

    fn lock(&self, needed: &dyn Fn() -> bool) -> Result<Option<Self::Lock>, Missing> {
        Ok(needed().then(|| self.0.volume.create.lock().unwrap()))
    }

    fn open(&mut self, id: u32) -> Result<bool, Missing> {
        let there = self.0.volume.folder.lock().unwrap().raw[id as usize - 1];
        if there {
            self.0.map(id);
        }
        Ok(there)
    }

    fn missing(&self, id: u32) -> Missing {
        Missing(id)
    }

    fn create(&mut self, id: u32) -> Result<(), Missing> {
        let mut folder = self.0.volume.folder.lock().unwrap();
        assert!(!folder.made.contains(&id), "segment {id} is made a second time");
        folder.raw[id as usize - 1] = true;
        folder.made.push(id);
        drop(folder);
        self.0.map(id);
        Ok(())
    }
}
