use super::super::journal::{is_guard, is_hot, path_for};
use super::*;
use std::path::PathBuf;

const PAGE: usize = 1024;
const ALL: [Synchronous; 3] = [Synchronous::Off, Synchronous::Normal, Synchronous::Full];

/// A database of about 20 pages without a zero in any place that a checksum looks at.
struct Old {
    folder: tempfile::TempDir,
    bytes: Vec<u8>,
    journal: PathBuf,
    like: Metadata,
}

impl Old {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let c = rusqlite::Connection::open(&path).unwrap();
        let fill = "x".repeat(800);
        c.execute_batch(&format!(
            "pragma page_size = 1024; create table t(v /* {fill} */); begin; \
             insert into t with recursive n(i) as (select 1 union all select i + 1 from n where i < 15) \
             select replace(printf('%0950d', i), '0', 'x') from n; commit",
        ))
        .unwrap();
        drop(c);
        let (bytes, like) = (std::fs::read(&path).unwrap(), std::fs::metadata(&path).unwrap());
        Self { folder, bytes, journal: path_for(&path), like }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("a.db")
    }

    fn spare(&self) -> PathBuf {
        self.folder.path().join("spare")
    }

    fn length(&self) -> u32 {
        (self.bytes.len() / PAGE) as u32
    }

    /// A guard of the pages, the first ones of them.
    fn begun(&self, sync: Synchronous, pages: usize) -> Guard<'_> {
        let spare = Some(Spare { path: self.spare(), is_back: false });
        let mut guard = Guard::new(&self.journal, &self.like, PAGE as u32, 70, sync, spare, vec![0x55; 9000]);
        for (number, page) in (1..).zip(self.bytes.chunks(PAGE)).take(pages) {
            guard.add(number, page).unwrap();
            assert!(!is_hot(&self.journal).unwrap() && !is_guard(&self.journal, 70));
        }
        guard
    }

    /// The same, hot.
    fn guard(&self, sync: Synchronous, pages: usize) -> Guard<'_> {
        let mut guard = self.begun(sync, pages);
        guard.commit(self.length()).unwrap();
        assert!(is_hot(&self.journal).unwrap());
        assert!(is_guard(&self.journal, 70) && !is_guard(&self.journal, 71));
        guard
    }

    /// Tears everything that the guard covers, and sees it come back.
    fn takes_back(&self, pages: usize, told: &str) {
        let mut torn = self.bytes.clone();
        let end = torn.len().min(pages.saturating_mul(PAGE));
        torn[24..end].fill(0x77);
        torn.extend_from_slice(&[0x77; 5 * PAGE]);
        std::fs::write(self.database(), &torn).unwrap();
        assert!(self.after_a_look() == self.bytes, "{told}");
        assert!(!self.journal.exists());
    }

    /// Lets plain SQLite look, and gives what the file is then.
    fn after_a_look(&self) -> Vec<u8> {
        let c = rusqlite::Connection::open_with_flags_and_vfs(
            self.database(),
            rusqlite::OpenFlags::default(),
            "unix",
        )
        .unwrap();
        let sound: String = c.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        drop(c);
        std::fs::read(self.database()).unwrap()
    }
}

#[test]
fn sqlite_takes_a_guarded_change_back() {
    for sync in ALL {
        let old = Old::new();
        old.guard(sync, usize::MAX);
        old.takes_back(usize::MAX, &format!("{sync:?}"));
    }
}

#[test]
fn removed_guard_leaves_the_spare() {
    for sync in ALL {
        let old = Old::new();
        old.guard(sync, 3).remove().unwrap();
        assert!(!old.journal.exists() && old.spare().exists(), "{sync:?}");
    }
}

/// As a kill leaves it, and a playback that only empties journals: what is written into the one would be written into the other.
#[test]
fn spare_with_a_second_name_is_not_written() {
    for (first, then) in ALL.into_iter().flat_map(|first| ALL.map(|then| (first, then))) {
        let old = Old::new();
        old.guard(first, 3).remove().unwrap();
        std::fs::hard_link(old.spare(), &old.journal).unwrap();
        std::fs::write(&old.journal, b"").unwrap();
        old.guard(then, 3);
        old.takes_back(3, &format!("{then:?} after {first:?}"));
    }
}

#[test]
fn removed_guard_leaves_the_journals_place_empty() {
    for (in_place, sync) in ALL.into_iter().flat_map(|sync| [(false, sync), (true, sync)]) {
        let old = Old::new();
        for _ in 0..3 {
            if in_place {
                // What another journal mode leaves is not hot.
                std::fs::write(&old.journal, [0; 600]).unwrap();
            }
            let mut guard = old.begun(sync, 3);
            guard.commit(old.length()).unwrap();
            assert_eq!(old.spare().exists(), sync == Synchronous::Off && !in_place, "{sync:?}");
            guard.remove().unwrap();
            assert!(!old.journal.exists() && old.spare().exists(), "{sync:?}");
            assert_eq!(std::fs::metadata(old.spare()).unwrap().nlink(), 1);
        }
    }
}

#[test]
fn spare_that_has_grown_long_is_not_kept() {
    for sync in ALL {
        let old = Old::new();
        std::fs::File::create(old.spare()).unwrap().set_len(SPARE_LIMIT + 1).unwrap();
        old.guard(sync, 3).remove().unwrap();
        assert!(!old.journal.exists() && !old.spare().exists(), "{sync:?}");
    }
}

/// As when it lies on another file system.
#[test]
fn spare_that_cannot_take_the_place_is_copied() {
    for (sync, in_parts) in ALL.into_iter().flat_map(|sync| [(sync, false), (sync, true)]) {
        let old = Old::new();
        let mut guard = old.begun(sync, usize::MAX);
        if in_parts {
            guard.flush().unwrap();
        }
        fault::fail("guard: to the journal's place", 1);
        guard.commit(old.length()).unwrap();
        assert!(is_guard(&old.journal, 70) && !guard.spare_works());
        old.takes_back(usize::MAX, &format!("{sync:?} {in_parts}"));
    }
}

/// The longer one before it must not be played back behind a shorter one, however each of them was written.
#[test]
fn spare_is_used_again_without_what_was_in_it() {
    for (before, sync) in ALL.into_iter().flat_map(|before| ALL.map(|sync| (before, sync))) {
        let old = Old::new();
        old.guard(before, usize::MAX).remove().unwrap();
        // The worst that could be left at the place of a second header.
        let mut left = std::fs::read(old.spare()).unwrap();
        let second = (SECTOR + 2 * (PAGE + 8)).next_multiple_of(SECTOR);
        let header = left[..SECTOR].to_vec();
        left[second..second + SECTOR].copy_from_slice(&header);
        std::fs::write(old.spare(), left).unwrap();
        old.guard(sync, 2);
        old.takes_back(2, &format!("{sync:?} after {before:?}"));
    }
}

/// A power cut before the sync is over: some sectors of the guard, or its end, are missing. The database was
/// not written then, and a playback of what is there changes nothing.
#[test]
fn torn_guard_changes_nothing() {
    let old = Old::new();
    old.guard(Synchronous::Normal, usize::MAX);
    let whole = std::fs::read(&old.journal).unwrap();
    let sectors = whole.len().div_ceil(SECTOR);
    let mut state = 4711_u64;
    for round in 0..sectors * 6 {
        let mut torn = whole.clone();
        let (one, kind) = (round % sectors, round / sectors);
        if kind == 0 {
            torn.truncate(one * SECTOR);
        }
        for (index, sector) in torn.chunks_mut(SECTOR).enumerate() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let lost = match kind {
                0 => false,
                1 => index == one,
                _ => index > 0 && (state >> 40) % 7 < kind as u64,
            };
            if lost {
                sector.fill(0);
            }
        }
        std::fs::write(&old.journal, torn).unwrap();
        assert!(old.after_a_look() == old.bytes, "round {round}");
    }
}

#[test]
fn guard_has_the_mode_of_the_database() {
    for sync in [Synchronous::Off, Synchronous::Normal] {
        let mut old = Old::new();
        std::fs::set_permissions(old.database(), Permissions::from_mode(0o666)).unwrap();
        old.like = std::fs::metadata(old.database()).unwrap();
        old.guard(sync, 1);
        assert_eq!(std::fs::metadata(&old.journal).unwrap().mode() & 0o777, 0o666, "{sync:?}");
    }
}
