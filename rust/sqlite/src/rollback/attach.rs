//! The first look at a database: is the history kept or lost (`recovery.md`).

use std::path::Path;

use dbrewind_core::{Code, Engine as EraEngine, Lsn};

use super::buffers::Buffers;
use super::engine::Rollback;
use super::present::Present;
use super::recorder::Recorder;
use super::registry;
use super::spare::Turns;
use super::two_copies;
use crate::engine::{SharedHistory, locked};
use crate::error::Error;
use crate::ffi::{HostFile, LockLevel, SqliteApi, WriteBack, shim};
use crate::file::{self, FileId};
use crate::handover::Hook;
use crate::notes::{Fields, RollbackAnchor, tag};
use crate::options::OpenOptions;

impl Rollback {
    /// Begins to record the database at `path`, an absolute path without links, into an object whose key
    /// size is `block`.
    ///
    /// # Errors
    /// `DBR017` two copies of SQLite have the file open, `DBR013` not a database, `DBR004` somebody held it
    /// exclusively all the time. Nothing is recorded then.
    pub(crate) fn open(
        api: SqliteApi,
        path: &Path,
        history: SharedHistory,
        block: u32,
        options: &OpenOptions,
        hook: Hook,
    ) -> Result<Self, Error> {
        // The library that `run` loads is no copy of SQLite, but what it opened is not accounted for here.
        refuse_to_record_twice(api, path)?;
        refuse_two_copies(api, path)?;
        let mut engine = make(api, path, history, block, options, None)?;
        let lock = engine.store.lock_object(engine.object, options.timeout)?;
        engine.under_shared(options.timeout, |engine, present| {
            engine.check_journal_mode(&present)?;
            match keep_or_begin(engine, &present) {
                // What was recorded is lost; marks can be listed, and dropped, which may make room.
                Err(error) if error.code() == Code::StoreFull && engine.has_marks() => {
                    engine.store.set_broken(engine.object, Code::StoreFull);
                }
                kept => kept?,
            }
            // Still under the lock: no write falls between the look and the recording.
            engine.record(hook)
        })?;
        drop(lock);
        Ok(engine)
    }

    /// Goes on with a history that comes from WAL mode. `file` has EXCLUSIVE on the database, which is in a
    /// rollback mode by now and holds the newest recorded moment; it is given back. The object's lock is held.
    ///
    /// # Errors
    /// The next attach finds the history interrupted.
    pub(crate) fn adopt(
        api: SqliteApi,
        path: &Path,
        history: SharedHistory,
        block: u32,
        options: &OpenOptions,
        hook: Hook,
        file: HostFile,
    ) -> Result<Self, Error> {
        refuse_to_record_twice(api, path)?;
        let mut engine = make(api, path, history, block, options, Some(file))?;
        let present = engine.present()?;
        engine.check_journal_mode(&present)?;
        let era = engine.begin_era(&present, false)?;
        engine.save_free(era)?;
        engine.record(hook)?;
        let _ = engine.file.unlock(LockLevel::None);
        Ok(engine)
    }
}

/// Refuses when two copies of SQLite in this process may have the file open.
pub(crate) fn refuse_two_copies(api: SqliteApi, path: &Path) -> Result<(), Error> {
    let id = identify(path)?;
    let Some(copies) = two_copies::found(id, registry::handles(id), api.identity()) else { return Ok(()) };
    let copies: Vec<String> = copies.iter().map(|copy| copy.display().to_string()).collect();
    Err(Error::TwoSqlites { copies: copies.join(", ") })
}

fn identify(path: &Path) -> Result<FileId, Error> {
    FileId::of(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::FileMissing { path: path.to_owned() },
        _ => Error::Io { action: "look at", path: path.to_owned(), source },
    })
}

/// An engine that has looked at nothing and records nothing yet. `file`: our handle, if there is one.
fn make(
    api: SqliteApi,
    path: &Path,
    history: SharedHistory,
    block: u32,
    options: &OpenOptions,
    file: Option<HostFile>,
) -> Result<Rollback, Error> {
    let installed = shim::install(&api, options.default_vfs).map_err(Error::vfs("register the VFS"))?;
    let id = identify(path)?;
    let file = match file {
        Some(file) => file,
        None => HostFile::open(installed.real, path).map_err(Error::vfs("open the database"))?,
    };
    let (store, object) = {
        let history = locked(&history);
        (history.store.clone(), history.object)
    };
    Ok(Rollback {
        api,
        vfs: installed.real,
        path: path.to_owned(),
        file,
        id,
        history,
        store,
        object,
        block,
        timeout: options.timeout,
        synchronous: options.synchronous,
        attachment: None,
        buffers: Buffers::default(),
        spares: Turns::default(),
        write_back: WriteBack::default(),
    })
}

/// Refuses where `dbrewind run` has this process record what it writes to this database.
fn refuse_to_record_twice(api: SqliteApi, path: &Path) -> Result<(), Error> {
    let named =
        std::env::var_os("DBREWIND_RUN_DATABASE").and_then(|named| FileId::of(Path::new(&named)).ok());
    match named.is_some_and(|named| FileId::of(path).is_ok_and(|file| file == named)) {
        true if shim::is_another_there(&api) => Err(Error::RecordedTwice { path: path.to_owned() }),
        _ => Ok(()),
    }
}

impl Rollback {
    fn has_marks(&self) -> bool {
        locked(&self.history).timeline.marks().next().is_some()
    }

    /// Has the shim record from now on. Under a lock that keeps writers out.
    fn record(&mut self, hook: Hook) -> Result<(), Error> {
        let (store, object, block) = (self.store.clone(), self.object, self.block);
        let prepare = Some(hook.prepare);
        let attached =
            registry::attach(self.id, &self.store, hook, || Recorder::new(store, object, block, prepare));
        self.attachment = Some(attached.map_err(|_| Error::Invalid {
            what: "this process records the database already, into another store (or into one that was removed \
                   meanwhile); close that recording first, or use its store"
                .to_owned(),
        })?);
        Ok(())
    }
}

fn keep_or_begin(engine: &mut Rollback, present: &Present) -> Result<(), Error> {
    let known = {
        let mut history = locked(&engine.history);
        history.catch_up_whole(engine.timeout)?;
        let timeline = &history.timeline;
        let Some(era) = timeline.era() else {
            drop(history);
            engine.begin_era(present, false)?;
            engine.store.confirm_boot(engine.object);
            return Ok(());
        };
        let newest = timeline.marks().filter(|mark| !mark.lost).map(|mark| mark.lsn).max();
        let rewind = timeline.rewinds().last().map(|rewind| rewind.lsn);
        let boundary = newest.max(rewind).unwrap_or(era.first).max(timeline.newest_kept());
        let anchor = timeline.notes(tag::ANCHOR).last();
        Known {
            rollback: era.engine == EraEngine::Rollback,
            last: timeline.last(),
            boundary,
            extent: timeline.extent_at(boundary).unwrap_or_default().get(),
            anchor: anchor.and_then(|note| Some((note.lsn, RollbackAnchor::decode(&note.body)?))),
            same_counter: timeline
                .notes(tag::SAME_COUNTER)
                .last()
                .filter(|note| anchor.is_none_or(|anchor| anchor.at < note.at))
                .and_then(|note| Fields(&note.body).u32()),
        }
    };
    if is_kept(engine, present, &known)? {
        if engine.registers().boundary().0 < known.boundary {
            engine.registers().set_boundary(known.boundary, known.extent);
        }
    } else {
        engine.begin_era(present, true)?;
    }
    engine.store.confirm_boot(engine.object);
    Ok(())
}

/// What the log says.
struct Known {
    rollback: bool,
    last: Lsn,
    boundary: Lsn,
    extent: u64,
    anchor: Option<(Lsn, RollbackAnchor)>,
    /// Of commits after the anchor that the counter does not tell apart.
    same_counter: Option<u32>,
}

fn is_kept(engine: &mut Rollback, present: &Present, known: &Known) -> Result<bool, Error> {
    let Some((at, anchor)) = &known.anchor else { return Ok(false) };
    // The number of a deleted file is soon given to the next one; a birth of 0 is unknown.
    let births = (anchor.born, file::born(&engine.path));
    let same_file = anchor.file == engine.id && (births.0 == births.1 || births.0 == 0 || births.1 == 0);
    if !known.rollback || !same_file || engine.store.broken(engine.object).is_some() {
        return Ok(false);
    }
    // A power cut takes the newest records; a number above them says that there were some.
    if engine.store.boot_changed(engine.object) && engine.store.last_lsn(engine.object) > known.last {
        return Ok(false);
    }
    if engine.store.boot_changed(engine.object) && known.same_counter == Some(present.counter()) {
        return Ok(false);
    }
    let registers = engine.registers();
    let unknown = registers.counter() == 0 && registers.in_flight().is_none();
    // Nor can registers be trusted that a power cut has left older than the newest moment: the journal of that one's
    // transaction may have come back with them, and undone it.
    if engine.store.registers_behind(engine.object) || unknown {
        if *at != known.last {
            return Ok(false);
        }
        // Nothing has happened since the anchor.
        registers.set_in_flight(None);
        registers.begin(anchor.counter, registers.cookie());
    }
    Ok(engine.settle(present)?.is_some())
}
