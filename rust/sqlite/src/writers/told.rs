//! Who committed what, as the records say it.

use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;

use dbrewind_core::{Cursor, Kind, Location, Lsn, ObjectId, ReadError, Store};

use crate::notes::{WriterNote, of_key, tag};

/// Stretches of commits by one thread that are remembered at most.
const STRETCHES: usize = 1 << 16;
/// Processes whose notes are remembered at most.
const PROCESSES: usize = 1 << 12;

/// What was read of the log so far.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// From which moment on everything was read; `None`: nothing was.
    from: Option<Lsn>,
    cursor: Cursor,
    /// Who has which number, at the cursor.
    notes: HashMap<u32, Known>,
    /// The era there.
    era: Lsn,
    /// In the order of their LSNs.
    stretches: VecDeque<Stretch>,
}

/// Who has a number.
#[derive(Debug)]
struct Known {
    /// `None`: several processes have it, each in its own container, and a commit does not tell which one it is of.
    note: Option<Arc<WriterNote>>,
    /// When that was told. Whoever commits in an era tells it again.
    era: Lsn,
}

/// Commits of one thread that follow each other.
#[derive(Debug)]
struct Stretch {
    first: Lsn,
    last: Lsn,
    key: u64,
    note: Option<Arc<WriterNote>>,
}

/// Commits of one thread.
#[derive(Clone, Debug)]
pub(crate) struct Committed {
    pub(crate) pid: u32,
    pub(crate) thread: u32,
    /// Who has that number; `None`: not told.
    pub(crate) note: Option<Arc<WriterNote>>,
    /// The newest of them.
    pub(crate) last: Lsn,
    /// How many.
    pub(crate) commits: u64,
}

impl Told {
    /// Reads what was appended since the last call; at the first one, from the beginning of this era on, if nothing older is asked
    /// for: notes are not older than the era of those whose commits they are about.
    ///
    /// # Errors
    /// When the log cannot be read. The next call reads it from the beginning again.
    pub(crate) fn catch_up(
        &mut self,
        store: &Store,
        object: ObjectId,
        since: Lsn,
        era: Option<(Lsn, Location)>,
    ) -> Result<(), ReadError> {
        if self.from.is_none_or(|from| since < from) {
            *self = match era {
                Some((first, at)) if first <= since => {
                    Self { from: Some(first), cursor: Cursor::at(at), ..Self::default() }
                }
                _ => Self { from: Some(Lsn::ORIGIN), ..Self::default() },
            };
        }
        let mut cursor = self.cursor;
        let read = self.read(store, object, &mut cursor);
        match read {
            Ok(()) => self.cursor = cursor,
            // What was read of it would be passed over the next time, or counted in with half of what is about it.
            Err(_) => *self = Self::default(),
        }
        read
    }

    fn read(&mut self, store: &Store, object: ObjectId, cursor: &mut Cursor) -> Result<(), ReadError> {
        let mut found = Vec::new();
        store.scan(cursor, &mut |head, at, _| {
            let is_note = head.kind == Kind::Note && head.key.get() == tag::WRITER;
            if head.object == object && (is_note || matches!(head.kind, Kind::Commit | Kind::Era)) {
                found.push((head, at));
            }
        })?;
        for (head, at) in found {
            if head.kind == Kind::Commit {
                self.commit(head.lsn, head.key.get());
                continue;
            }
            if head.kind == Kind::Era {
                self.era = self.era.max(head.lsn);
                continue;
            }
            match store.read(at) {
                Ok(record) => self.note(&record.body),
                // What it is about is gone, too.
                Err(ReadError::BeforeWindow { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn note(&mut self, body: &[u8]) {
        // One that does not decode is about nobody.
        let Some(note) = WriterNote::decode(body) else { return };
        if self.notes.len() >= PROCESSES {
            self.notes.clear();
        }
        let pid = note.process.pid;
        let known = self.notes.get(&pid).filter(|known| known.era == self.era);
        let is_another = |known: &WriterNote| known.boot == note.boot && known.namespace != note.namespace;
        let ambiguous = known.is_some_and(|known| known.note.as_deref().is_none_or(is_another));
        let note = (!ambiguous).then(|| Arc::new(note));
        self.notes.insert(pid, Known { note, era: self.era });
    }

    fn commit(&mut self, lsn: Lsn, key: u64) {
        let note = of_key(key).and_then(|(pid, _)| self.notes.get(&pid)?.note.as_ref());
        if let Some(newest) = self.stretches.back_mut() {
            if lsn <= newest.last {
                // A second time: the first one counts.
                return;
            }
            if newest.key == key && newest.note.as_ref() == note && newest.last.next() == Some(lsn) {
                newest.last = lsn;
                return;
            }
        }
        self.stretches.push_back(Stretch { first: lsn, last: lsn, key, note: note.map(Arc::clone) });
        if self.stretches.len() > STRETCHES {
            self.stretches.pop_front();
        }
    }

    /// Whose commits these are, as far as it was told; who committed last comes first.
    pub(crate) fn of(&self, commits: &[RangeInclusive<Lsn>]) -> Vec<Committed> {
        let mut found: Vec<Committed> = Vec::new();
        for stretch in self.stretches.iter().rev() {
            let Some((pid, thread)) = of_key(stretch.key) else { continue };
            for lsns in commits {
                let (first, last) = (stretch.first.max(*lsns.start()), stretch.last.min(*lsns.end()));
                let Some(more) = last.get().checked_sub(first.get()) else { continue };
                let same =
                    |one: &&mut Committed| (one.pid, one.thread, &one.note) == (pid, thread, &stretch.note);
                match found.iter_mut().find(same) {
                    Some(known) => known.commits += more + 1,
                    None => {
                        let note = stretch.note.as_ref().map(Arc::clone);
                        found.push(Committed { pid, thread, note, last, commits: more + 1 });
                    }
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use dbrewind_core::{CommitBody, Engine, EraBody, Extent, Head, Key, StoreOptions, Timestamp};

    use super::*;
    use crate::writers::Process;

    struct Log {
        folder: tempfile::TempDir,
        store: Store,
        object: ObjectId,
        era: (Lsn, Location),
    }

    impl Log {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path(), &StoreOptions::default()).unwrap();
            let object = store.object("a", 4096).unwrap();
            let body = EraBody { time: Timestamp::default(), extent: Extent::new(1), broken: true };
            let head = Head::new(Kind::Era, object, Engine::Rollback.key(), Lsn::new(1));
            let at = store.append(head, &[&body.encode()]).unwrap();
            Self { folder, store, object, era: (Lsn::new(1), at) }
        }

        fn commit(&self, lsn: u64, pid: u64, thread: u64) {
            let body = CommitBody { time: Timestamp::default(), extent: Extent::new(1) };
            let key = Key::new(pid << 32 | thread);
            let head = Head::new(Kind::Commit, self.object, key, Lsn::new(lsn));
            self.store.append(head, &[&body.encode()]).unwrap();
        }

        fn note(&self, pid: u32, began: u64, program: &str) {
            self.note_in(1, pid, began, program);
        }

        fn note_in(&self, namespace: u64, pid: u32, began: u64, program: &str) {
            let process = Process { pid, began };
            let note = WriterNote { process, namespace, boot: [2; 16], program: program.to_owned() };
            self.note_of(&note.encode());
        }

        fn era(&mut self, lsn: u64) {
            let body = EraBody { time: Timestamp::default(), extent: Extent::new(1), broken: false };
            let head = Head::new(Kind::Era, self.object, Engine::Rollback.key(), Lsn::new(lsn));
            self.era = (Lsn::new(lsn), self.store.append(head, &[&body.encode()]).unwrap());
        }

        fn note_of(&self, body: &[u8]) {
            let head = Head::new(Kind::Note, self.object, Key::new(tag::WRITER), Lsn::new(1));
            self.store.append(head, &[body]).unwrap();
        }

        fn told(&self, told: &mut Told, since: u64, lsns: &[(u64, u64)]) -> Vec<(u32, u32, String, u64)> {
            told.catch_up(&self.store, self.object, Lsn::new(since), Some(self.era)).unwrap();
            let ways: Vec<_> = lsns.iter().map(|(a, b)| Lsn::new(*a)..=Lsn::new(*b)).collect();
            let name =
                |note: Option<Arc<WriterNote>>| note.map_or_else(String::new, |note| note.program.clone());
            let found = told.of(&ways).into_iter();
            found.map(|one| (one.pid, one.thread, name(one.note), one.commits)).collect()
        }
    }

    #[test]
    fn each_commit_is_of_who_had_its_number_then() {
        let log = Log::new();
        let mut told = Told::default();
        log.note(70, 1, "first");
        log.commit(2, 70, 70);
        log.commit(3, 70, 70);
        log.commit(4, 70, 71);
        assert_eq!(
            log.told(&mut told, 1, &[(2, 4)]),
            [(70, 71, "first".to_owned(), 1), (70, 70, "first".to_owned(), 2)]
        );
        // The number is given again.
        log.note(70, 9, "second");
        log.commit(5, 70, 70);
        assert_eq!(log.told(&mut told, 1, &[(5, 5)]), [(70, 70, "second".to_owned(), 1)]);
        assert_eq!(log.told(&mut told, 1, &[(3, 3)]), [(70, 70, "first".to_owned(), 1)]);
        assert_eq!(
            log.told(&mut told, 1, &[(3, 3), (5, 5)]),
            [(70, 70, "second".to_owned(), 1), (70, 70, "first".to_owned(), 1)]
        );
        // And again, with nothing in between.
        log.note(70, 12, "third");
        log.commit(6, 70, 70);
        assert_eq!(log.told(&mut told, 1, &[(6, 6)]), [(70, 70, "third".to_owned(), 1)]);
    }

    #[test]
    fn hazard_two_containers_have_a_process_of_one_number() {
        let mut log = Log::new();
        let mut told = Told::default();
        log.note_in(1, 7, 1, "first");
        log.commit(2, 7, 7);
        log.note_in(2, 7, 2, "second");
        log.commit(3, 7, 7);
        log.note_in(2, 7, 3, "third");
        log.commit(4, 7, 7);
        assert_eq!(
            log.told(&mut told, 1, &[(2, 4)]),
            [(7, 7, String::new(), 2), (7, 7, "first".to_owned(), 1)]
        );
        // Who has not told it again does not commit.
        log.era(5);
        log.note_in(2, 7, 2, "second");
        log.commit(6, 7, 7);
        assert_eq!(log.told(&mut told, 1, &[(6, 6)]), [(7, 7, "second".to_owned(), 1)]);
    }

    #[test]
    fn what_was_not_told_is_nobodys() {
        let log = Log::new();
        let mut told = Told::default();
        log.commit(2, 0, 0);
        log.commit(3, 70, 70);
        log.note_of(b"not a note");
        log.commit(4, 70, 70);
        // Again, by who does not know.
        log.commit(4, 0, 0);
        assert_eq!(log.told(&mut told, 1, &[(1, 9)]), [(70, 70, String::new(), 2)]);
        assert_eq!(log.told(&mut told, 1, &[(2, 2)]), []);
    }

    #[test]
    fn hazard_a_note_cannot_be_read_when_the_log_is() {
        let log = Log::new();
        let mut told = Told::default();
        log.commit(2, 69, 69);
        log.note(70, 1, "unreadable");
        log.commit(3, 70, 70);
        let turn_a_bit = || {
            let files = std::fs::read_dir(log.folder.path()).unwrap();
            for path in files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(9).position(|part| part.eq_ignore_ascii_case(b"readable\0"));
                let Some(at) = found else { continue };
                let file = std::fs::File::options().write(true).open(&path).unwrap();
                file.write_all_at(&[bytes[at] ^ 0x20], at as u64).unwrap();
                return;
            }
            panic!("it is in no file");
        };
        turn_a_bit();
        told.catch_up(&log.store, log.object, Lsn::new(1), Some(log.era)).unwrap_err();
        turn_a_bit();
        assert_eq!(
            log.told(&mut told, 1, &[(2, 3)]),
            [(70, 70, "unreadable".to_owned(), 1), (69, 69, String::new(), 1)]
        );
    }

    #[test]
    fn something_older_is_read_from_the_beginning() {
        let mut log = Log::new();
        log.note(70, 1, "old");
        log.commit(2, 70, 70);
        log.era(3);
        log.note(70, 1, "new");
        log.commit(4, 70, 70);
        let mut told = Told::default();
        assert_eq!(log.told(&mut told, 3, &[(4, 4)]), [(70, 70, "new".to_owned(), 1)]);
        assert_eq!(log.told(&mut told, 3, &[(2, 2)]), [], "not read");
        assert_eq!(log.told(&mut told, 1, &[(2, 2)]), [(70, 70, "old".to_owned(), 1)]);
        assert_eq!(log.told(&mut told, 3, &[(4, 4)]), [(70, 70, "new".to_owned(), 1)]);
    }
}
