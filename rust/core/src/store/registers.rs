use crate::error::Code;
use crate::format::control;
use crate::store::Store;
use crate::sync::{AtomicU64, Ordering};
use crate::types::{Clock, Lsn, ObjectId, Timestamp};

/// Shared words are plain numbers: no other memory is published through them. Acquire and release all
/// the same, so that who reads a register sees what its writer did before: adapters use them to talk.
impl Store {
    /// The largest LSN that anybody has announced for an object.
    #[must_use]
    pub fn last_lsn(&self, object: ObjectId) -> Lsn {
        // Acquire: partner of `raise_last_lsn`.
        Lsn::new(self.word(object, 0).map_or(0, |word| word.load(Ordering::Acquire)))
    }

    /// Announces an LSN to everybody. One that is not larger than the last has no effect.
    pub fn raise_last_lsn(&self, object: ObjectId, to: Lsn) {
        if let Some(word) = self.word(object, 0) {
            // Release: partner of `last_lsn`.
            word.fetch_max(to.get(), Ordering::AcqRel);
        }
    }

    /// The clock that the store was opened with.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The time of a new moment of an object: the clock's, or one nanosecond past the newest moment's if the clock is not
    /// past that. So times only grow, whatever the clock does, and whichever process asks.
    #[must_use]
    pub fn next_time(&self, object: ObjectId) -> Timestamp {
        let now = self.clock().now();
        let Some(word) = self.word(object, control::TIME) else { return now };
        // Release: partner of the load. Acquire: who sees a time has all that its writer did before.
        let next = |newest: u64| now.get().max(newest.saturating_add(1));
        let mut newest = word.load(Ordering::Acquire);
        loop {
            let wanted = next(newest);
            match word.compare_exchange_weak(newest, wanted, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Timestamp::new(wanted),
                Err(found) => newest = found,
            }
        }
    }

    /// The time now as the history of an object counts it: the clock's, but not before its newest moment.
    #[must_use]
    pub fn time(&self, object: ObjectId) -> Timestamp {
        // Acquire: partner of `next_time`.
        let newest = self.word(object, control::TIME).map_or(0, |word| word.load(Ordering::Acquire));
        self.clock().now().max(Timestamp::new(newest))
    }

    /// Says that a moment of an object has this time: later ones get later times. Reading the log does so
    /// ([`Timeline::catch_up`](crate::Timeline::catch_up)), since the word in `control` may have been lost.
    pub fn raise_time(&self, object: ObjectId, to: Timestamp) {
        if let Some(word) = self.word(object, control::TIME) {
            // Release: partner of `next_time`.
            word.fetch_max(to.get(), Ordering::AcqRel);
        }
    }

    /// A register of an object. There are eight, 0 to 7; any other one is 0 for ever.
    #[must_use]
    pub fn register(&self, object: ObjectId, index: usize) -> u64 {
        // Acquire: partner of the three below.
        self.numbered(object, index).map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Raises a register to at least this value; answers the value before.
    pub fn raise_register(&self, object: ObjectId, index: usize, to: u64) -> u64 {
        // Release: partner of `register`.
        self.numbered(object, index).map_or(0, |word| word.fetch_max(to, Ordering::AcqRel))
    }

    /// Sets a register.
    pub fn set_register(&self, object: ObjectId, index: usize, to: u64) {
        if let Some(word) = self.numbered(object, index) {
            // Release: partner of `register`.
            word.store(to, Ordering::Release);
        }
    }

    /// Adds to a register, wrapping around; answers the value before.
    pub fn add_register(&self, object: ObjectId, index: usize, by: u64) -> u64 {
        // Release: partner of `register`.
        self.numbered(object, index).map_or(0, |word| word.fetch_add(by, Ordering::AcqRel))
    }

    /// Why the recording of an object has stopped, if it has.
    #[must_use]
    pub fn broken(&self, object: ObjectId) -> Option<Code> {
        if self.inner.forked() {
            return Some(Code::Forked);
        }
        // Acquire: partner of `set_broken`.
        let raw = self.word(object, control::BROKEN)?.load(Ordering::Acquire);
        // A number of no known code is still a reason.
        (raw != 0).then(|| u16::try_from(raw).ok().and_then(Code::from_number).unwrap_or(Code::Internal))
    }

    /// Tells everybody that the recording of an object has stopped, and why. The first reason stays. Other objects
    /// of the store go on.
    pub fn set_broken(&self, object: ObjectId, code: Code) {
        if let Some(word) = self.word(object, control::BROKEN) {
            let raw = u64::from(code.number());
            // Release: partner of `broken`. Relaxed on failure: the value found is not used.
            let _ = word.compare_exchange(0, raw, Ordering::Release, Ordering::Relaxed);
        }
    }

    /// Tells everybody that the recording of an object goes on. The caller has begun a new, broken era.
    pub fn clear_broken(&self, object: ObjectId) {
        if let Some(word) = self.word(object, control::BROKEN) {
            // Release: partner of `broken`.
            word.store(0, Ordering::Release);
        }
    }

    /// Whether the machine was started anew since somebody [confirmed](Self::confirm_boot) this object's history, or
    /// nobody ever did.
    ///
    /// If so, records that were appended but not [synced](Store::sync) before may be missing; those that are there
    /// have been checked.
    #[must_use]
    pub fn boot_changed(&self, object: ObjectId) -> bool {
        // Acquire: partner of `confirm_boot`.
        self.word(object, control::CONFIRMED).is_none_or(|word| word.load(Ordering::Acquire) == 0)
    }

    /// Whether the registers may be older than the log: after a start of the machine they were found with an LSN below
    /// that of the newest moment. So until the object's history is [confirmed](Self::confirm_boot).
    #[must_use]
    pub fn registers_behind(&self, object: ObjectId) -> bool {
        // Acquire: partner of `confirm_boot`.
        self.word(object, control::BEHIND).is_none_or(|word| word.load(Ordering::Acquire) != 0)
    }

    /// Says that this object's history has been compared with the object itself since the machine was started: for
    /// everybody, [`boot_changed`](Self::boot_changed) and [`registers_behind`](Self::registers_behind) are over.
    pub fn confirm_boot(&self, object: ObjectId) {
        for (index, value) in [(control::BEHIND, 0), (control::CONFIRMED, 1)] {
            if let Some(word) = self.word(object, index) {
                // Release: partner of `boot_changed` and `registers_behind`.
                word.store(value, Ordering::Release);
            }
        }
    }

    fn numbered(&self, object: ObjectId, index: usize) -> Option<&AtomicU64> {
        match u32::try_from(index).ok()? {
            index if index < control::REGISTERS => self.word(object, index + 1),
            control::REGISTERS => self.word(object, control::EIGHTH),
            _ => None,
        }
    }

    fn word(&self, object: ObjectId, index: u32) -> Option<&AtomicU64> {
        if self.inner.forked() { None } else { self.inner.control.object(object.get(), index) }
    }
}
