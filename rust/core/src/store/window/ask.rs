//! Whether there is room for what somebody is about to do: asked before he begins.

use std::time::Duration;

use super::need::Need;
use super::prepare::unreadable;
use super::urgent::left_of;
use crate::error::AppendError;
use crate::format::segment::HEADER_LEN;
use crate::format::span;
use crate::store::handle::Inner;
use crate::store::roll::{needed, next_size};
use crate::store::{Room, Store, StoreOptions};

impl Store {
    /// Whether records with bodies of so many bytes (`images`: how many, and how long each is), and then others in need of so many bytes
    /// altogether, heads included, would find room now: counting what may be evicted for them, and in one process alone. Nothing is evicted or
    /// appended. Others may take the room meanwhile, or keep what could go ([`hold_window`](Self::hold_window)).
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
        let evictable = self.evictable()?;
        let used = room.used.saturating_sub(evictable);
        let on_disk = room.on_disk.saturating_add(evictable);
        Ok(evictable > 0 && inner.fits(Room { used, on_disk, ..room }, images, (need, said)))
    }

    /// Bytes that may be evicted, or may be in a moment, without those that are appended for it.
    fn evictable(&self) -> Result<u64, AppendError> {
        let inner = &self.inner;
        let Some(alive) = inner.keeping.alive() else { return Ok(0) };
        let mut ledger = inner.keeping.ledger();
        let present = inner.present();
        ledger.catch_up(self, present).map_err(unreadable)?;
        let cut = self.cuts(&ledger, (present, Duration::ZERO), &**alive).most;
        let whole: u64 = (inner.first()..cut).filter_map(|id| inner.len_on_disk(id).ok()).sum();
        Ok(whole.saturating_sub(left_of(inner.limit()) / 2))
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
