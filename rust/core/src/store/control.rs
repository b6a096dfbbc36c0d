use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::format::control::{self, ControlHeader, HEADER_LEN, LEN, hint};
use crate::format::{Owner, short_generation};
use crate::map::{self, Mapping};
use crate::ring::{Progress, Words};
use crate::sync::{AtomicU64, Ordering};

/// What a control file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// Whose it is, and since when.
    Header(ControlHeader),
    /// It never reached the disk: whatever it said, nothing of it was said before a power cut.
    Unwritten,
    /// There is none, or what there is is damaged.
    Nothing,
}

/// The control file, mapped: words that all users of a store share.
///
/// Those that say how far the log has come are [`Progress`], and called as if they were here. Of the others each is a maximum or a hint by
/// itself, and nothing is published through it: hence relaxed orderings throughout, but where noted. Words outside of the file read as 0 and
/// cannot be changed.
#[derive(Debug)]
pub(crate) struct Control {
    file: File,
    progress: Progress<Mapping>,
}

impl Words for Mapping {
    #[inline]
    fn word(&self, at: u32) -> Option<&AtomicU64> {
        Self::word(self, at)
    }
}

impl Deref for Control {
    type Target = Progress<Mapping>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.progress
    }
}

impl Control {
    /// Opens or creates the file, and reads its header.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Found)> {
        let existed = path.exists();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let whole = file.metadata()?.len() >= u64::from(LEN);
        if !whole {
            map::reserve_room(&file, u64::from(LEN))?;
        }
        let mut bytes = [0; HEADER_LEN];
        file.read_exact_at(&mut bytes, 0)?;
        let words = Mapping::new(&file, LEN)?;
        let header = ControlHeader::decode(&bytes);
        let found = match header {
            // The header of a file that was cut shorter would vouch for words that are gone.
            Some(header) if whole => Found::Header(header),
            // Words of its sector say nothing then: they are from before the first open was done, which writes it last.
            _ if existed && bytes == [0; HEADER_LEN] => Found::Unwritten,
            _ => Found::Nothing,
        };
        Ok((Self { file, progress: Progress { words } }, found))
    }

    /// Writes the header.
    pub(crate) fn write_header(&self, header: &ControlHeader) -> io::Result<()> {
        self.file.write_all_at(&header.encode(), 0)
    }

    /// Writes what is no header, and not none.
    pub(crate) fn spoil_header(&self) -> io::Result<()> {
        self.file.write_all_at(&[0xff; HEADER_LEN], 0)
    }

    /// Forgets all words. Generations begin anywhere, so that a reservation from before is hardly
    /// ever taken for one of a slot's next owner.
    pub(crate) fn clear(&self) -> io::Result<()> {
        let from = map::random::<8>()?;
        for at in (control::CURRENT..LEN).step_by(8) {
            self.set(Some(at), 0);
        }
        for slot in 0..control::SLOTS {
            let generation = u64::from_le_bytes(from).rotate_left(u32::from(slot)) as u32;
            self.set(control::slot_at(slot), u64::from(generation));
        }
        Ok(())
    }

    /// Something that changes whenever anybody appends.
    pub(crate) fn tail(&self) -> u64 {
        self.get(Some(control::HINT))
    }

    /// Forgets what was announced about a log that may end somewhere else now.
    pub(crate) fn forget_log(&self) {
        self.set(Some(control::CURRENT), 0);
        self.set(Some(control::HINT), 0);
        self.set(Some(control::SYNCED), 0);
        self.set(Some(control::SEALED), 0);
        self.set(Some(control::READY), 0);
    }

    /// The machine was started anew: every object's history has to be compared again.
    pub(crate) fn forget_confirmed(&self) {
        for object in 0..control::OBJECTS {
            self.set(control::object_at(object, control::CONFIRMED), 0);
        }
    }

    /// The limit that was set for the store, in bytes.
    pub(crate) fn limit(&self) -> Option<u64> {
        Some(self.get(Some(control::LIMIT))).filter(|limit| *limit > 0)
    }

    /// Sets the limit for everybody.
    pub(crate) fn set_limit(&self, bytes: u64) {
        self.set(Some(control::LIMIT), bytes);
    }

    /// Says it, whatever was said before. The caller has looked at the folder, and has the creation lock.
    pub(crate) fn set_sealed(&self, segment: u32) {
        self.set(Some(control::SEALED), if segment == 0 { 0 } else { hint::encode(segment, 0) });
    }

    /// The target of the window in seconds, 0 if nobody has set one.
    pub(crate) fn window(&self) -> u64 {
        self.get(Some(control::WINDOW))
    }

    /// Sets the target for everybody.
    pub(crate) fn set_window(&self, seconds: u64) {
        self.set(Some(control::WINDOW), seconds);
    }

    /// The segment that the log begins with, 0 for the first ever.
    pub(crate) fn first(&self) -> u32 {
        // Acquire: partner of the release in `raise_first`.
        let raw = self.words.word(control::FIRST).map_or(0, |word| word.load(Ordering::Acquire));
        hint::decode(raw).map_or(0, |(segment, _)| segment)
    }

    /// Says which segment the log begins with: those before it are about to go.
    pub(crate) fn raise_first(&self, segment: u32) {
        if let Some(word) = self.words.word(control::FIRST) {
            // Release: whoever misses a file sees why.
            word.fetch_max(hint::encode(segment, 0), Ordering::Release);
        }
    }

    /// Says it, whatever was said before. The caller has looked at the folder, and has the creation lock.
    pub(crate) fn set_first(&self, segment: u32) {
        self.set(Some(control::FIRST), if segment <= 1 { 0 } else { hint::encode(segment, 0) });
    }

    /// Up to which segment the beginning of the log may be dropped.
    pub(crate) fn ready(&self) -> u32 {
        // Acquire: partner of the release in `raise_ready`.
        let raw = self.words.word(control::READY).map_or(0, |word| word.load(Ordering::Acquire));
        hint::decode(raw).map_or(0, |(segment, _)| segment)
    }

    /// Says that everything before this segment may be dropped.
    pub(crate) fn raise_ready(&self, segment: u32) {
        if let Some(word) = self.words.word(control::READY) {
            // Release: what must survive stands behind it.
            word.fetch_max(hint::encode(segment, 0), Ordering::Release);
        }
    }

    /// Up to which segment eras keep what there is no room for.
    pub(crate) fn wanted(&self) -> u32 {
        hint::decode(self.get(Some(control::WANTED))).map_or(0, |(segment, _)| segment)
    }

    /// Says it.
    pub(crate) fn set_wanted(&self, segment: u32) {
        self.set(Some(control::WANTED), if segment == 0 { 0 } else { hint::encode(segment, 0) });
    }

    /// The time that ages are counted by when somebody last advanced it, and how long the machine had been up then; 0: nobody has.
    pub(crate) fn ages(&self) -> (u64, u64) {
        // Acquire: partner of the release in `set_ages`. Whoever sees the new time sees where it is counted from.
        let ages = self.words.word(control::AGES).map_or(0, |word| word.load(Ordering::Acquire));
        (ages, self.get(Some(control::AGES_AT)))
    }

    /// Advances it. The caller has the window's lock, or the creation lock and sets it to 0.
    pub(crate) fn set_ages(&self, time: u64, ticks: u64) {
        self.set(Some(control::AGES_AT), ticks);
        if let Some(word) = self.words.word(control::AGES) {
            // Release: see `ages`.
            word.store(time, Ordering::Release);
        }
    }

    /// Takes note of a new owner of a slot, whose lock it has. Earlier owners count as dead from here on.
    pub(crate) fn take_slot(&self, slot: u16, pid: u32) -> Owner {
        let at = control::slot_at(slot);
        let generation = (self.get(at) as u32).wrapping_add(1);
        self.set(at, u64::from(pid) << 32 | u64::from(generation));
        Owner { slot, generation: short_generation(generation) }
    }

    /// Takes note of an owner again.
    pub(crate) fn put_slot(&self, owner: Owner, pid: u32) {
        self.set(control::slot_at(owner.slot), u64::from(pid) << 32 | u64::from(owner.generation));
    }

    /// Whether this is the newest owner of its slot.
    pub(crate) fn is_newest(&self, owner: Owner) -> bool {
        short_generation(self.get(control::slot_at(owner.slot)) as u32) == owner.generation
    }

    /// A word of an object, see [`control::object_at`].
    pub(crate) fn object(&self, object: u32, index: u32) -> Option<&AtomicU64> {
        self.words.word(control::object_at(object, index)?)
    }

    fn get(&self, at: Option<u32>) -> u64 {
        at.and_then(|at| self.words.word(at)).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn set(&self, at: Option<u32>, to: u64) {
        if let Some(word) = at.and_then(|at| self.words.word(at)) {
            word.store(to, Ordering::Relaxed);
        }
    }
}
