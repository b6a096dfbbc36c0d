//! Who wrote since a moment.

use std::time::Duration;

use dbrewind_core::{Target, Timestamp};

use super::Database;
use crate::engine::{History, locked};
use crate::error::Error;
use crate::resolve::resolve;
use crate::writers::Writer;

impl Database {
    /// Who has written what is there now and was not at the target, as far as that is known; what was rewound since is left out.
    ///
    /// In the rollback modes the threads that have committed, who did last first: each process that records says it. In WAL
    /// mode, where nothing does, the other processes that were seen to have the database open right after such a commit,
    /// if [`remember_connected`](Self::remember_connected) was called before. Commits of which nothing is known are nobody's.
    ///
    /// # Errors
    /// `DBR003` no such target, `DBR027` a time before everything that can be reached; and as [`drain`](Self::drain).
    pub fn writers(&self, since: &Target) -> Result<Vec<Writer>, Error> {
        self.with(|engine| {
            let shared = self.history_in_place(engine)?;
            engine.drain(self.timeout)?;
            let now = engine.now()?;
            let found = resolve(&shared, engine, since, self.timeout)?;
            let mut history = locked(&shared);
            history.know(found.lsn)?;
            let History { store, object, timeline, connected, told, .. } = &mut *history;
            let way = timeline.way(found.lsn, now);
            if way.is_empty() {
                return Ok(Vec::new());
            }
            let era = timeline.era().map(|era| era.first).zip(timeline.era_at());
            told.catch_up(store, *object, found.lsn, era)?;
            let committed = told.of(&way);
            let clock = store.clock().now();
            let age = |at: Option<Timestamp>| {
                Duration::from_nanos(at.map_or(0, |at| clock.get().saturating_sub(at.get())))
            };
            let recorded =
                committed.iter().map(|one| Writer::of_record(one, age(timeline.time_of(one.last))));
            let mut writers: Vec<_> = recorded.collect();
            if connected.is_on() {
                // Those that came after the newest look are named as connected by whoever asks who is.
                writers.extend(connected.at(&way).iter().map(|seen| Writer::of_look(seen)));
            }
            Ok(writers)
        })
    }

    /// From now on, in WAL mode, this handle takes a look at who has the database open when it has copied commits, at most once in
    /// 2 ms, and remembers whom it saw for [`writers`](Self::writers): a process may have ended when somebody asks. `false`: no longer,
    /// and what was remembered is forgotten. Of several handles of a database only the one that copies looks.
    ///
    /// # Errors
    /// `DBR019` when the handle is closed.
    pub fn remember_connected(&self, on: bool) -> Result<(), Error> {
        self.check_process()?;
        locked(&self.history()?).connected.set(on);
        Ok(())
    }
}
