use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use crate::error::OpenError;
use crate::format::control::BEHIND;
use crate::format::record::{self, REST};
use crate::format::segment::HEADER_LEN;
use crate::format::{HEADER, Head, Kind, Place};
use crate::map;
use crate::ring::{self, Region, Step};
use crate::seal::{self, Sealed};
use crate::segment::{self, Segment, TEMPORARY, file_name};
use crate::store::control::Found;
use crate::store::handle::Inner;
use crate::store::walk::head_at;
use crate::store::window::manifest;
use crate::sync::Ordering;

/// Each object's largest LSNs in the log.
#[derive(Debug, Default)]
pub(super) struct Newest(BTreeMap<u32, Said>);

#[derive(Debug, Default)]
struct Said {
    /// Of images that no `VOID` behind them has taken back.
    images: u64,
    /// Of all other records.
    others: u64,
    /// Of those that make a moment.
    moments: u64,
}

impl Newest {
    /// Takes note of a record, in log order.
    pub(super) fn take(&mut self, head: &Head) {
        let said = self.0.entry(head.object.get()).or_default();
        let of_its_kind = match head.kind {
            Kind::After | Kind::Before | Kind::Cut => &mut said.images,
            _ => &mut said.others,
        };
        *of_its_kind = head.lsn.get().max(*of_its_kind);
        if matches!(head.kind, Kind::Commit | Kind::Rewind | Kind::Era) {
            said.moments = head.lsn.get().max(said.moments);
        }
        if head.kind == Kind::Void {
            said.images = said.images.min(head.lsn.get());
        }
    }
}

/// The segments that are there.
#[derive(Debug)]
pub(super) struct Folder {
    /// Id of the first one.
    pub(super) first: u32,
    /// Id of the last one; 0 if there are none.
    pub(super) last: u32,
    /// The store they belong to.
    pub(super) store: Option<[u8; 16]>,
    /// Those that are sealed.
    sealed: BTreeSet<u32>,
    /// Those behind the last one: from the first one on whose header never reached the disk.
    behind: BTreeSet<u32>,
}

impl Folder {
    /// Looks at a store's folder, removes what was not finished, and checks the headers. The caller has
    /// the creation lock; `sealing` says whether somebody is sealing.
    pub(super) fn read(dir: &Path, sealing: bool) -> Result<Self, OpenError> {
        let (first, window_of) = manifest::read(dir)?;
        let failed = |action| move |source| OpenError::Io { action, path: dir.to_path_buf(), source };
        let (mut raw, mut sealed) = (BTreeSet::new(), BTreeSet::new());
        let mut evicted = Vec::new();
        for entry in fs::read_dir(dir).map_err(failed("list"))? {
            let name = entry.map_err(failed("list"))?.file_name();
            let Some(name) = name.to_str() else { continue };
            if segment::id_of(name).or(segment::sealed_id_of(name)).is_some_and(|id| (1..first).contains(&id))
            {
                evicted.push(dir.join(name));
            } else if let Some(id) = segment::id_of(name) {
                raw.insert(id);
            } else if let Some(id) = segment::sealed_id_of(name) {
                sealed.insert(id);
            } else if let Some(name_of) = name.strip_suffix(TEMPORARY)
                && segment::sealed_id_of(name_of).is_some()
            {
                if !sealing {
                    fs::remove_file(dir.join(name)).map_err(failed("remove an unfinished segment in"))?;
                }
            } else if name.strip_suffix(TEMPORARY).and_then(segment::id_of).is_some() {
                fs::remove_file(dir.join(name)).map_err(failed("remove an unfinished segment in"))?;
            }
        }
        for id in raw.intersection(&sealed.clone()) {
            if let Some(useless) = settle_both(dir, *id)? {
                sealed.remove(&useless);
            }
        }
        let mut folder = Self { first, last: first - 1, store: window_of, sealed, behind: BTreeSet::new() };
        for (expected, id) in (first..).zip(raw.union(&folder.sealed)) {
            let (id, is_sealed) = (*id, folder.sealed.contains(id));
            if id != expected {
                let path = dir.join(file_name(expected));
                return Err(OpenError::Damaged { path, what: "is missing".into() });
            }
            let unwritten = !is_sealed && never_written(dir, id);
            if unwritten || !folder.behind.is_empty() {
                folder.behind.insert(id);
            }
            if unwritten {
                continue;
            }
            let (name, store) = match is_sealed {
                true => (segment::sealed_name(id), seal::header(dir, id)?.store),
                false => (file_name(id), segment::header(dir, id)?.store),
            };
            if folder.store.is_some_and(|known| known != store) {
                let what = "belongs to another store than the segment before it".into();
                return Err(OpenError::Damaged { path: dir.join(name), what });
            }
            folder.store = Some(store);
            if folder.behind.is_empty() {
                folder.last = id;
            }
        }
        if first > 1 && folder.last < first && folder.behind.is_empty() {
            return Err(OpenError::Damaged { path: dir.join(file_name(first)), what: "is missing".into() });
        }
        // An eviction that was interrupted. Only now that the segment which the log begins with was seen to be this store's:
        // whatever the file says that names it, history is not thrown away for it.
        for path in evicted.iter().filter(|_| folder.last >= first) {
            fs::remove_file(path).map_err(failed("remove an evicted segment in"))?;
        }
        Ok(folder)
    }

    /// The damage that it is when nothing can have taken a segment's header.
    pub(super) fn all_written(&self, dir: &Path) -> Result<(), OpenError> {
        match self.behind.first() {
            None => Ok(()),
            Some(id) => {
                Err(OpenError::Damaged { path: dir.join(file_name(*id)), what: "has no header".into() })
            }
        }
    }

    /// Whether there are no segments.
    pub(super) fn is_empty(&self) -> bool {
        self.last < self.first && self.behind.is_empty()
    }

    /// Whether a segment is sealed.
    pub(super) fn is_sealed(&self, id: u32) -> bool {
        self.sealed.contains(&id)
    }

    /// Up to which segment all are sealed.
    pub(super) fn sealed_upto(&self) -> u32 {
        let before = self.first - 1;
        (self.first..)
            .zip(&self.sealed)
            .take_while(|(place, id)| place == *id)
            .last()
            .map_or(before, |(at, _)| at)
    }
}

/// Ends a hand-over that was interrupted: of a segment and its sealed file the latter stays, if it is whole. Answers
/// the segment if not.
fn settle_both(dir: &Path, id: u32) -> Result<Option<u32>, OpenError> {
    let whole = seal::header(dir, id).and_then(|header| {
        Sealed::open(dir, id, &header.store)?;
        seal::digest(dir, id, &header.store).map(|_| header)
    });
    let (name, useless) = match whole {
        Ok(header) => {
            if segment::header(dir, id).is_ok_and(|raw| raw.store != header.store) {
                let what = "belongs to another store than the segment of its number".into();
                return Err(OpenError::Damaged { path: dir.join(segment::sealed_name(id)), what });
            }
            // Its name is on disk before the segment's goes.
            let synced = fs::File::open(dir).and_then(|dir| dir.sync_all());
            synced.map_err(|source| OpenError::Io { action: "sync", path: dir.to_path_buf(), source })?;
            (file_name(id), None)
        }
        Err(OpenError::Damaged { .. }) => (segment::sealed_name(id), Some(id)),
        Err(other) => return Err(other),
    };
    let path = dir.join(name);
    fs::remove_file(&path).map_err(|source| OpenError::Io {
        action: "end an interrupted sealing: remove",
        path,
        source,
    })?;
    Ok(useless)
}

/// Whether a segment has no header at all: zeros, or nothing.
fn never_written(dir: &Path, id: u32) -> bool {
    fs::File::open(dir.join(file_name(id))).is_ok_and(|file| {
        let mut bytes = Vec::new();
        let got = io::Read::read_to_end(&mut io::Read::take(file, HEADER_LEN as u64), &mut bytes);
        got.is_ok() && bytes.iter().all(|byte| *byte == 0)
    })
}

impl Inner {
    /// Checks every record after a restart of the machine, and ends the log at the first one that is not whole.
    ///
    /// Nobody who reserved a record before the restart is alive, and whether it had been committed
    /// cannot be known: the log ends there as well. Nothing of what is known to have been on disk may be missing, though:
    /// that is damage. `control`: what the control file is, which knows that.
    pub(super) fn check_all(&self, folder: &mut Folder, control: Found) -> Result<(), OpenError> {
        let mut newest = Newest::default();
        // Without room for a header behind it the log ends with its last segment.
        let mut end = (folder.last + 1, 0);
        for id in folder.first..=folder.last {
            if folder.is_sealed(id) {
                // Was on disk before it counted.
                let sealed = Sealed::open(&self.dir, id, &self.id)?;
                for (head, ..) in sealed.index().after(0) {
                    newest.take(&head);
                }
                continue;
            }
            let segment = segment::open(&self.dir, id, &self.id)?;
            let segment = self.map(segment, id)?;
            let (stop, whole) = check(segment, &mut newest);
            if !whole {
                end = (id, stop);
                break;
            }
        }
        if end.0 < folder.last || !folder.behind.is_empty() {
            self.cut_behind(folder, end, control, &mut newest)?;
        } else if self.control.synced().is_some_and(|synced| end < synced) {
            return Err(self.was_on_disk(end));
        }
        if end.1 > 0 {
            let path = self.dir.join(file_name(end.0));
            let io = |action| {
                let path = path.clone();
                move |source| OpenError::Io { action, path, source }
            };
            let file = OpenOptions::new().read(true).write(true).open(&path).map_err(io("open"))?;
            let size = file.metadata().map_err(io("look at"))?.len();
            map::zero(&file, u64::from(end.1), size).map_err(io("end the log in"))?;
            // Before anything is appended: another cut must not bring back what stood behind the end.
            map::sync(&file).map_err(io("sync the end of the log in"))?;
        }
        self.control.forget_log();
        if let Found::Header(_) = control {
            // All of this was read from the disk.
            self.control.raise_synced(end.0, end.1);
        }
        self.raise_last_lsns(&newest);
        Ok(())
    }

    /// Removes the segments behind the end of the log.
    fn cut_behind(
        &self,
        folder: &mut Folder,
        end: (u32, u32),
        control: Found,
        newest: &mut Newest,
    ) -> Result<(), OpenError> {
        let last = if end.1 > 0 { end.0 } else { end.0 - 1 };
        let follow: Vec<u32> = (last + 1..=folder.last).chain(folder.behind.iter().copied()).collect();
        let written = |id: &u32| !never_written(&self.dir, *id);
        if self.control.synced().is_some_and(|synced| end < synced) {
            return Err(self.was_on_disk(end));
        }
        let follower =
            follow.iter().find(|id| folder.is_sealed(**id) || control == Found::Nothing && written(id));
        if let Some(follower) = follower {
            let path = self.dir.join(file_name(end.0));
            let what = format!("is not whole at offset {}, though segment {follower} follows", end.1);
            return Err(OpenError::Damaged { path, what });
        }
        for id in follow.iter().filter(|id| written(id)) {
            // What is going to be gone tells at least whose history it was.
            let segment = segment::open(&self.dir, *id, &self.id)?;
            check(&segment, newest);
        }
        let io = |action| move |source| OpenError::Io { action, path: self.dir.clone(), source };
        // From the end, and on disk before the log goes on: the numbers will be used again.
        for id in follow.iter().rev() {
            let removed = fs::remove_file(self.dir.join(file_name(*id)));
            removed.map_err(io("remove what a power cut has left behind the end of the log in"))?;
        }
        let synced = fs::File::open(&self.dir).and_then(|dir| map::sync(&dir));
        synced.map_err(io("sync"))?;
        folder.last = last;
        folder.behind.clear();
        Ok(())
    }

    fn was_on_disk(&self, end: (u32, u32)) -> OpenError {
        let what = format!("is not whole at offset {}, though what stood there was on disk", end.1);
        OpenError::Damaged { path: self.dir.join(file_name(end.0)), what }
    }

    /// Announces what was found in the log.
    pub(super) fn raise_last_lsns(&self, newest: &Newest) {
        for (object, said) in &newest.0 {
            let (last, behind) = (self.control.object(*object, 0), self.control.object(*object, BEHIND));
            if let (Some(last), Some(behind)) = (last, behind) {
                // An object's LSN is announced before its registers change: where it is older, so are they. That has
                // to be known before the LSN is raised.
                if last.load(Ordering::Acquire) < said.moments {
                    // Release: partner of `Store::registers_behind`.
                    behind.store(1, Ordering::Release);
                }
                // Release: partner of `Store::last_lsn`.
                last.fetch_max(said.images.max(said.others), Ordering::Release);
            }
        }
    }
}

/// Where a segment's log ends, and whether it goes on in the next segment. Notes each object's largest LSN.
fn check(segment: &Segment, newest: &mut Newest) -> (u32, bool) {
    let mut at = Segment::FIRST;
    let mut body = Vec::new();
    loop {
        match ring::step(segment, at) {
            Step::Committed { len, next } => {
                let Ok(head) = head_at(segment, at) else { return (at, false) };
                if head.kind != Kind::End {
                    let place = Place { segment: segment.id(), offset: at };
                    let mut rest = [0; REST];
                    body.resize(len as usize, 0);
                    let there = segment.read(at + 8, &mut rest) && segment.read(at + HEADER, &mut body);
                    if !there || !record::intact(&rest, place, len, &body) {
                        return (at, false);
                    }
                    newest.take(&head);
                }
                at = next;
            }
            Step::Aborted { next } => at = next,
            Step::Over => return (at, true),
            Step::Free | Step::Reserved { .. } | Step::Damaged => return (at, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::format::control::ControlHeader;
    use crate::map::seen;
    use crate::store::{Store, StoreOptions};
    use crate::types::{Key, Lsn, ObjectId};

    #[test]
    fn hazard_a_second_power_cut_brings_nothing_back_that_the_first_one_has_cut_off() {
        for torn in [1, 3] {
            let dir = tempfile::tempdir().unwrap();
            let options = StoreOptions { first_segment: 4096, max_segment: 4096, limit: 1 << 20 };
            let store = Store::open(dir.path(), &options).unwrap();
            let header = ControlHeader { store: store.inner.id, boot: [7; 16] };
            for lsn in 1..15 {
                let head = Head::new(Kind::Note, ObjectId::new(0), Key::new(1), Lsn::new(lsn));
                store.append(head, &[&[lsn as u8; 600]]).unwrap();
            }
            assert_eq!(store.inner.control.current(), 3);
            store.inner.control.write_header(&header).unwrap();
            drop(store);
            let path = dir.path().join(file_name(torn));
            let mut bytes = fs::read(&path).unwrap();
            bytes[800] ^= 1;
            fs::write(&path, &bytes).unwrap();
            seen::SYNCED.take();
            let store = Store::open(dir.path(), &options).unwrap();
            let inode = |path: &Path| fs::metadata(path).unwrap().ino();
            let (folder, segment) = (inode(dir.path()), inode(&path));
            // The names of what follows are gone first; else their end would be there without a beginning.
            let expected = if torn == 1 { vec![folder, segment] } else { vec![segment] };
            assert_eq!(seen::SYNCED.take(), expected);
            assert!(fs::read(&path).unwrap()[704..].iter().all(|byte| *byte == 0));
            assert!(!dir.path().join(file_name(torn + 1)).exists());
            drop(store);
        }
    }
}
