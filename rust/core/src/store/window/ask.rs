//! Whether there is room for what somebody is about to do: asked before he begins.

use std::time::{Duration, Instant};

use super::need::Need;
use super::prepare::unreadable;
use super::urgent::{PATIENCE, left_of};
use crate::error::AppendError;
use crate::format::segment::HEADER_LEN;
use crate::format::span;
use crate::store::handle::Inner;
use crate::store::roll::{needed, next_size};
use crate::store::{Room, Store, StoreOptions};

impl Store {
    /// Whether records with bodies of so many bytes (`images`: how many, and how long each is), and then others in need of so many bytes
    /// altogether, heads included, would find room now: counting what may be evicted for them, and in one process alone. Nothing is evicted or
    /// appended, and nobody waited for: while another thread of this process evicts it will have made room. Others may take the room
    /// meanwhile, or keep what could go ([`hold_window`](Self::hold_window)).
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn would_have_room(
        &self,
        images: (u64, u32),
        (need, said): (Need, u32),
    ) -> Result<bool, AppendError> {
        let inner = &self.inner;
        if inner.forked() {
            return Err(AppendError::Forked);
        }
        let (count, len) = images;
        if inner.left_in_current() >= count.saturating_mul(span(len)).saturating_add(said.into()) {
            return Ok(true);
        }
        let room = self.room();
        if inner.fits(room, images, (need, said)) {
            return Ok(true);
        }
        let evictable = match self.evictable()? {
            Some(evictable) => evictable,
            None => return Ok(true),
        };
        let used = room.used.saturating_sub(evictable);
        let on_disk = room.on_disk.saturating_add(evictable);
        Ok(evictable > 0 && inner.fits(Room { used, on_disk, ..room }, images, (need, said)))
    }

    /// Makes room for records in need of so many bytes altogether, heads included, as an append that finds none would: for who appends them
    /// in a moment in which others wait for him. Evicts nothing where there is room. Waits for as long as it is told, 2 s at most, and tries
    /// once in any case.
    ///
    /// What it was not able to do, and what others take meanwhile, shows when they are appended.
    pub fn make_room_within(&self, need: Need, said: u32, within: Duration) {
        let (started, within) = (Instant::now(), within.min(PATIENCE));
        let there = || {
            let inner = &self.inner;
            inner.left_in_current() >= said.into() || inner.fits(self.room(), (0, 0), (need, said))
        };
        while !self.inner.forked() && !there() && self.may_make_room(said) && started.elapsed() < within {}
    }

    /// Bytes that may be evicted, or may be in a moment, without those that are appended for it. `None`: another thread is finding that out.
    fn evictable(&self) -> Result<Option<u64>, AppendError> {
        let inner = &self.inner;
        let Some(alive) = inner.keeping.alive() else { return Ok(Some(0)) };
        let Some(mut ledger) = inner.keeping.ledger_at_once() else { return Ok(None) };
        let present = inner.present();
        ledger.catch_up(self, present).map_err(unreadable)?;
        let cut = self.cuts(&ledger, (present, Duration::ZERO), &**alive).most;
        let whole: u64 = (inner.first()..cut).filter_map(|id| inner.len_on_disk(id).ok()).sum();
        Ok(Some(whole.saturating_sub(left_of(inner.limit()) / 2)))
    }
}

impl Inner {
    /// The same in the segments that the log would go on with.
    fn fits(&self, room: Room, (mut count, len): (u64, u32), (need, said): (Need, u32)) -> bool {
        let kept = self.left_to_evictions();
        let limit = room.limit.saturating_sub(kept);
        let options = StoreOptions { limit, max_segment: self.longest(), ..self.options.clone() };
        let Room { mut used, mut on_disk, .. } = room;
        let mut before = self.len_on_disk(self.control.current()).unwrap_or(0);
        let mut left = self.left_in_current();
        while count > left / span(len) {
            count -= left / span(len);
            let next = next_size(&options, before, used, self.options.max_segment, len);
            let Some(size) = next.ok().flatten().map(u64::from).filter(|size| *size <= on_disk) else {
                return false;
            };
            (before, used, on_disk) = (size, used + size, on_disk - size);
            left = size.saturating_sub(HEADER_LEN as u64);
        }
        left -= count * span(len);
        let most = room.limit.saturating_sub(need.leaves(kept)).saturating_sub(used).min(on_disk);
        left >= u64::from(said) || most >= needed(said)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::format::Kind;
    use crate::store::Head;
    use crate::types::{Key, Lsn, ObjectId};

    /// Who asks has locks that others wait for.
    #[test]
    fn hazard_it_is_asked_for_room_while_another_thread_evicts() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions { first_segment: 4096, max_segment: 4096, limit: 8192 };
        let store = Store::open(dir.path(), &options).unwrap();
        store.make_room_by(Arc::new(|_: &str| true));
        let head = Head::new(Kind::Note, ObjectId::new(0), Key::new(1), Lsn::new(1));
        while store.append(head, &[&[7; 500]]).is_ok() {}
        assert!(!store.would_have_room((0, 0), (Need::Keep, 5000)).unwrap());
        let evicting = store.inner.keeping.ledger();
        assert!(store.would_have_room((0, 0), (Need::Keep, 5000)).unwrap());
        drop(evicting);
    }
}
