//! Ctrl-C: ends a wait for somebody else at once, so that nothing was changed. The second one ends the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
