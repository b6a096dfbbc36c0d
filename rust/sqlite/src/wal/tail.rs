//! The thread that follows the WAL. It looks at the published header, which is memory, and takes no lock
//! while nothing happens.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dbrewind_core::Lsn;

use super::core::{Core, locked_core};
use super::index::Watch;
use crate::engine::locked;
use crate::error::Error;
use crate::ffi::ask_for_short_turns;
use crate::writers::Connected;

/// Pause while there is more to do.
const BRIEF: Duration = Duration::from_micros(20);
/// Pause while commits come in.
const ACTIVE: Duration = Duration::from_micros(50);
/// Longest pause while none come, but came lately: what a rewind has to copy itself is what was committed in it.
const LATELY: Duration = Duration::from_micros(500);
/// Longest pause while none come.
const IDLE: Duration = Duration::from_millis(5);
/// How long it takes after the last commit to be called idle.
const QUIET: Duration = Duration::from_millis(100);
/// Frames that are copied before other calls get a turn.
const AT_ONCE: u32 = 256;
/// An idle WAL with fewer frames than this is left alone.
const WORTH_A_CHECKPOINT: u32 = 1000;

/// How often to look whether a full store has room again.
const BETWEEN_LOOKS_FOR_ROOM: Duration = Duration::from_secs(1);

/// Bytes of the WAL below a hot mark that are brought into the database file at a time: what a rewind may have to wait for.
const PIECE: usize = 4 << 20;

/// How long writers are waited for when an era is due.
const FOR_AN_ERA: Duration = Duration::from_millis(50);

/// How often at most to look who has the database open.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// The running thread.
#[derive(Debug)]
pub(crate) struct Tail {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
    process: u32,
}

impl Tail {
    /// Starts following.
    pub(crate) fn start(core: Arc<Mutex<Core>>, watch: Watch) -> Result<Self, Error> {
        let (stop, stopped) = mpsc::channel();
        let run = move || {
            ask_for_short_turns();
            let mut state = Following::new(watch, &core);
            while stopped.recv_timeout(state.pause) == Err(RecvTimeoutError::Timeout) {
                state.look(&core);
            }
        };
        let thread = std::thread::Builder::new().name("dbrewind-tail".to_owned()).spawn(run);
        let thread =
            thread.map_err(|source| Error::Io { action: "start a thread for", path: "".into(), source })?;
        Ok(Self { stop, thread: Some(thread), process: std::process::id() })
    }

    /// Stops it and waits for its end.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.send(());
        // In a forked child the thread does not exist; waiting for it would never end.
        if let Some(thread) = self.thread.take()
            && self.process == std::process::id()
        {
            let _ = thread.join();
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The tail's time with what it shares with calls.
struct Turn<'a>(MutexGuard<'a, Core>);

impl<'a> Turn<'a> {
    fn of(core: &'a Mutex<Core>) -> Self {
        let mut core = locked_core(core);
        core.by_tail = true;
        Self(core)
    }
}

impl Deref for Turn<'_> {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.0
    }
}

impl DerefMut for Turn<'_> {
    fn deref_mut(&mut self) -> &mut Core {
        &mut self.0
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.by_tail = false;
    }
}

struct Following {
    watch: Watch,
    pulse: [u32; 3],
    pause: Duration,
    last_commit: Instant,
    next_checkpoint: Instant,
    /// A checkpoint goes on that is made in pieces.
    in_pieces: bool,
    /// Whom others were seen to be, if somebody wants to know, and the database.
    connected: Arc<Connected>,
    path: PathBuf,
    /// Up to where commits were copied since the last look at who is connected.
    unseen: Option<Lsn>,
    next_look: Instant,
}

impl Following {
    fn new(watch: Watch, core: &Mutex<Core>) -> Self {
        let now = Instant::now();
        let core = locked_core(core);
        Self {
            watch,
            pulse: [0; 3],
            pause: ACTIVE,
            last_commit: now,
            next_checkpoint: now,
            in_pieces: false,
            connected: Arc::clone(&locked(&core.history).connected),
            path: core.path.clone(),
            unseen: None,
            next_look: now,
        }
    }

    fn look(&mut self, core: &Mutex<Core>) {
        let pulse = self.watch.pulse();
        let now = Instant::now();
        let longest = if now.duration_since(self.last_commit) > QUIET { IDLE } else { LATELY };
        // A writer that died between the two copies of the header left no other trace. Nobody can recover it while we
        // hold CKPT.
        if pulse == self.pulse && self.watch.header().is_some() {
            self.pause = match self.copy_ahead(core) {
                Some(true) => BRIEF,
                Some(false) => ACTIVE,
                None => (self.pause * 2).min(longest),
            };
        } else {
            self.pause = ACTIVE;
            self.last_commit = now;
            match self.drain(core) {
                Some(true) => self.pulse = pulse,
                Some(false) => {}
                None => self.pause = LATELY,
            }
        }
        if let Some(copied) = self.unseen.filter(|_| now >= self.next_look) {
            self.unseen = None;
            self.connected.look(&self.path, copied);
            self.next_look = Instant::now() + BETWEEN_LOOKS;
        }
        let idle = self.last_commit.elapsed() > QUIET;
        if now >= self.next_checkpoint {
            // Nobody waits for this; what fails now is tried again, and calls report it.
            let mut core = Turn::of(core);
            let started = Instant::now();
            self.in_pieces = core.maintain(idle, self.in_pieces).unwrap_or(false);
            core.let_go_if_adrift();
            drop(core);
            // Whoever waited has as long for himself as this took.
            let done = Instant::now();
            let pause = if self.in_pieces { QUIET.min(done - started) } else { QUIET };
            self.next_checkpoint = done + pause;
        }
    }

    /// Copies what a running transaction has written so far. Answers whether there is more, or `None` if none runs.
    fn copy_ahead(&mut self, core: &Mutex<Core>) -> Option<bool> {
        let mut core = Turn::of(core);
        let header = core.index.watch().header()?;
        if core.holder.is_none() || !core.something_ahead(&header) {
            return None;
        }
        let Ok(_object) = core.lock_object(Duration::from_millis(1)) else { return Some(false) };
        let header = core.index.watch().header()?;
        core.refresh_runs().ok()?;
        if core.lsn_now(&header).ok()? != core.tailed {
            return Some(false);
        }
        // Nobody waits for it; a failure shows when the transaction has committed.
        Some(core.copy_ahead(&header).unwrap_or(false))
    }

    /// Copies what is new; answers whether it reached the end, or `None` if it could not.
    fn drain(&mut self, core: &Mutex<Core>) -> Option<bool> {
        let mut core = Turn::of(core);
        if core.holder.is_none() {
            // The holder copies; somebody who wants to know asks the store.
            return Some(true);
        }
        let Ok(_object) = core.lock_object(Duration::from_millis(1)) else { return Some(false) };
        let header = core.header().ok()?;
        core.refresh_runs().ok()?;
        let whole = core.drain_to(&header, AT_ONCE).ok()?;
        if self.connected.is_on() {
            self.unseen = Some(core.tailed);
        }
        // A rewind finds it read then.
        let _ = locked(&core.history).catch_up();
        Some(whole)
    }
}

impl Core {
    /// What should be done now and then: taking over from a holder that is gone, settling the anchor, and our
    /// checkpoint. Answers whether there is another piece of that to be made; `in_pieces`: what the last call answered.
    fn maintain(&mut self, idle: bool, in_pieces: bool) -> Result<bool, Error> {
        if self.holder.is_none() {
            return if self.may_attach() { self.attach().map(|()| false) } else { Ok(false) };
        }
        self.settle_anchor()?;
        let Some(frozen) = self.frozen else { return Ok(false) };
        let Some(header) = self.index.watch().header() else { return Ok(false) };
        let used = u64::from(header.max_frame) * self.wal.frame_len() as u64;
        // An era can begin only when the database file holds everything.
        let due = self.store.era_is_due(self.object) && self.era_leaves_room_to_end();
        // A rewind begins it where few frames are above the file: below the mark that it goes to.
        let left = due && self.leaves_era_to_rewind();
        let due = due && !left;
        let over = due || used > self.wal_limit;
        let goal = if over { header.max_frame } else { self.oldest_hot_mark(header.max_frame)? };
        let behind = goal.saturating_sub(frozen.back_filled);
        let more_than = |frames| behind > if in_pieces { 0 } else { frames };
        let worth =
            over || (idle && more_than(WORTH_A_CHECKPOINT)) || (left && more_than(Self::frames_for_an_era()));
        if left && !worth {
            return Ok(false);
        }
        if !worth && (frozen.back_filled < header.max_frame || header.max_frame <= 1) {
            return Ok(false);
        }
        let _object = self.lock_object(Duration::from_millis(1))?;
        self.refresh_runs()?;
        let header = self.header()?;
        self.drain_to(&header, u32::MAX)?;
        if !over {
            let piece = self.piece_of_checkpoint(frozen.back_filled, goal)?;
            if piece < goal {
                self.back_fill(piece)?;
                return Ok(self.frozen.is_some_and(|frozen| frozen.back_filled >= piece));
            }
        }
        let whole = self.back_fill(goal)?;
        // Where commits follow each other closely, what has come since then is taken while nobody can commit.
        let close = due && self.frozen.is_some_and(|frozen| frozen.back_filled >= goal);
        let patience = if close { FOR_AN_ERA } else { Duration::ZERO };
        if (whole || close) && self.restart(patience)? {
            self.anchor_pending = true;
        }
        Ok(false)
    }

    /// How far a checkpoint goes that leaves the rest to the next one: to the last commit of the next [`PIECE`], or of a longer transaction.
    fn piece_of_checkpoint(&self, from: u32, goal: u32) -> Result<u32, Error> {
        let frames = u32::try_from(PIECE / self.wal.frame_len()).unwrap_or(u32::MAX);
        let most = from.saturating_add(frames);
        if most >= goal {
            return Ok(goal);
        }
        for frame in (from + 1..=most).rev().chain(most + 1..goal) {
            if self.wal.frame_header(frame)?.commit != 0 {
                return Ok(frame);
            }
        }
        Ok(goal)
    }

    /// Whether it is worth while to try. Where there was no room: now and then, when there may be some.
    fn may_attach(&mut self) -> bool {
        match &mut self.without_room {
            None => true,
            Some(looked) if looked.elapsed() < BETWEEN_LOOKS_FOR_ROOM => false,
            Some(looked) => {
                *looked = Instant::now();
                self.has_room_to_begin()
            }
        }
    }

    /// Begins an era, if one is due, as [`maintain`](Self::maintain) does.
    pub(super) fn make_way(&mut self) -> Result<(), Error> {
        if self.holder.is_none() || !self.store.era_is_due(self.object) {
            return Ok(());
        }
        let _object = self.lock_object(FOR_AN_ERA)?;
        self.refresh_runs()?;
        let header = self.header()?;
        self.drain_to(&header, u32::MAX)?;
        self.in_need = true;
        let begun = self.back_fill(header.max_frame).and_then(|whole| Ok(whole && self.restart(FOR_AN_ERA)?));
        self.in_need = false;
        self.anchor_pending |= begun?;
        Ok(())
    }

    /// How far a back-fill leaves every hot mark hot.
    fn oldest_hot_mark(&self, max_frame: u32) -> Result<u32, Error> {
        let mut history = locked(&self.history);
        history.catch_up()?;
        let marks: Vec<_> = history
            .timeline
            .marks()
            .filter(|mark| !mark.lost && !mark.evicted)
            .map(|mark| history.timeline.reached_by(mark.lsn))
            .collect();
        drop(history);
        let frames = marks.into_iter().filter_map(|lsn| self.hot_frame(lsn, max_frame));
        Ok(frames.min().unwrap_or(max_frame))
    }
}
