//! Ctrl-C: ends a wait for somebody else at once, so that nothing was changed. The second one ends the process. `run` passes on
//! to its program what is asked of itself.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether somebody wants this process to end.
#[derive(Clone, Debug)]
pub(crate) struct Ending(Arc<AtomicBool>);

impl Ending {
    /// From now on the first signal is only noted.
    pub(crate) fn watch() -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: the signal that raises the flag does not find it raised.
            flag::register_conditional_default(signal, Arc::clone(&asked))?;
            flag::register(signal, Arc::clone(&asked))?;
        }
        Ok(Self(asked))
    }

    pub(crate) fn is_asked_for(&self) -> bool {
        // Relaxed: a flag that nothing else depends on.
        self.0.load(Ordering::Relaxed)
    }
}

/// The signal that is to be passed on to a program.
#[derive(Clone, Debug)]
pub(crate) struct PassedOn(Arc<AtomicUsize>);

impl PassedOn {
    /// From now on signals are only noted.
    pub(crate) fn watch() -> io::Result<Self> {
        let newest = Arc::new(AtomicUsize::new(0));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            flag::register_usize(signal, Arc::clone(&newest), usize::try_from(signal).unwrap_or(0))?;
        }
        Ok(Self(newest))
    }

    /// Whether there was one that no program has got.
    pub(crate) fn is_asked_for(&self) -> bool {
        // Relaxed: a number that nothing else depends on.
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Sends it to the program, if there was one. Ctrl-C at a terminal has reached the program already.
    pub(crate) fn pass_on(&self, pid: u32) {
        // Relaxed: as above.
        let signal = match i32::try_from(self.0.swap(0, Ordering::Relaxed)) {
            Ok(SIGINT) if io::stdin().is_terminal() => return,
            Ok(SIGINT) => Signal::INT,
            Ok(SIGTERM) => Signal::TERM,
            Ok(SIGHUP) => Signal::HUP,
            _ => return,
        };
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            // One that has just ended needs none.
            let _ = kill_process(pid, signal);
        }
    }
}
