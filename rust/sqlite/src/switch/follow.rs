//! From the rollback engine to the WAL engine, once the database is in WAL mode.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dbrewind_core::Engine as EraEngine;

use crate::engine::{Engine, History, SharedHistory, locked};
use crate::error::Error;
use crate::ffi::SqliteApi;
use crate::file::FileId;
use crate::journal_mode::{heal, look};
use crate::naming::name_in;
use crate::objects::lost_marks;
use crate::options::OpenOptions;
use crate::rollback;
use crate::wal::WalEngine;

/// What it takes to open an engine once more.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) api: SqliteApi,
    pub(crate) path: PathBuf,
    pub(crate) options: OpenOptions,
    pub(crate) history: SharedHistory,
}

/// Puts a WAL engine in the place of one whose database is in WAL mode now; nothing happens when it is not
/// after all. With a handover history goes on; without one it begins anew, and earlier marks are lost.
///
/// # Errors
/// The engine is the old one then, and what was certain stays so: the next call tries again.
pub(crate) fn follow(engine: &mut Box<dyn Engine>, context: &Context) -> Result<(), Error> {
    let Context { api, path, options, history } = context;
    let Ok(id) = FileId::of(path) else { return Ok(()) };
    let mut handover = rollback::take_handover(id);
    if handover.is_none() {
        // A process may have died in the middle of the switch.
        heal(*api, path, options)?;
    }
    let header = match look(api, path, options) {
        Ok(Some(header)) if header.versions == [2, 2] => header,
        other => {
            rollback::give_back(id, handover);
            return other.map(|_| ());
        }
    };
    let (known, block) = {
        let mut history = locked(history);
        history.catch_up()?;
        let rollback = history.timeline.era().is_some_and(|era| era.engine == EraEngine::Rollback);
        let stopped = history.store.broken(history.object).is_some();
        (rollback && !stopped, history.block)
    };
    if header.page_size != block {
        // Pages are no blocks any more, and the WAL has pages.
        drop(handover.take());
        another_object(context, header.page_size)?;
    } else if known && let Some(handover) = handover.take() {
        match WalEngine::adopt(*api, path, header.page_size, Arc::clone(history), options, handover) {
            Ok(next) => *engine = Box::new(next),
            Err(failed) => {
                rollback::give_back(id, failed.handover);
                return Err(failed.error);
            }
        }
        return Ok(());
    }
    // With the role in it nobody could hold the WAL.
    drop(handover);
    *engine = Box::new(open(context, header.page_size)?);
    Ok(())
}

/// Another process may be about to take over; it has the holder role then.
fn open(context: &Context, page: u32) -> Result<WalEngine, Error> {
    let Context { api, path, options, history } = context;
    let started = Instant::now();
    loop {
        match WalEngine::open(*api, path, page, Arc::clone(history), options) {
            Err(Error::Busy { .. }) if started.elapsed() < options.timeout => {
                std::thread::sleep(Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

/// From now on the records are those of an object whose keys have this size.
fn another_object(context: &Context, page: u32) -> Result<(), Error> {
    let mut history = locked(&context.history);
    let (store, old) = (history.store.clone(), history.object);
    let object = store.object(&name_in(&store, &context.path)?, page)?;
    lost_marks(&store, old, object)?;
    *history = History::new(store, object, page);
    Ok(())
}
