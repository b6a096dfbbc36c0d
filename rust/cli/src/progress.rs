//! On a terminal: that work goes on which takes longer than a second, and how much of it is done where that is known.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dbrewind_sqlite::telling;

use crate::show;

/// From when on it is shown.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is written anew.
const EVERY: Duration = Duration::from_millis(200);
/// Cells of the bar.
const WIDTH: u32 = 20;

/// A line on standard error that is gone when this is dropped. Nothing unless that is a terminal.
pub(crate) struct Progress {
    permille: Arc<AtomicU32>,
    shown: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// `what`: of the work, such as `cloning app.db`.
    pub(crate) fn begin(what: &str) -> Self {
        let permille = Arc::new(AtomicU32::new(0));
        if !std::io::stderr().is_terminal() {
            return Self { permille, shown: None };
        }
        let (end, ended) = channel::<()>();
        let (what, done) = (show::plain(what), Arc::clone(&permille));
        let begun = Instant::now();
        let thread = std::thread::spawn(move || {
            let mut wait = PATIENCE;
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(wait) {
                wait = EVERY;
                // Relaxed: a number to look at.
                let line = line(&what, done.load(Ordering::Relaxed), begun.elapsed());
                // Nobody is left to tell when it cannot be written.
                let _ = write!(std::io::stderr(), "\r\u{1b}[K{line}");
            }
            if begun.elapsed() >= PATIENCE {
                let _ = write!(std::io::stderr(), "\r\u{1b}[K");
            }
        });
        Self { permille, shown: Some((end, thread)) }
    }

    /// Runs work whose calls of the engine tell how much of them is done.
    pub(crate) fn of<T>(&self, work: impl FnOnce() -> T) -> T {
        let permille = Arc::clone(&self.permille);
        // Relaxed: as above.
        telling(move |done| permille.store(done.min(1000), Ordering::Relaxed), work)
    }

    /// So much is done, of 1000.
    pub(crate) fn at(&self, permille: u32) {
        // Relaxed: as above.
        self.permille.store(permille.min(1000), Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.shown.take() {
            drop(end);
            // It cannot panic; if it did, there would be nothing to erase.
            let _ = thread.join();
        }
    }
}

/// `cloning app.db [#####               ] 25 %, 3 s`; where nothing is known of how much is done, without the bar.
fn line(what: &str, permille: u32, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if permille == 0 {
        return format!("{what}, {seconds} s");
    }
    let full = permille * WIDTH / 1000;
    let bar: String = (0..WIDTH).map(|cell| if cell < full { '#' } else { ' ' }).collect();
    format!("{what} [{bar}] {} %, {seconds} s", permille / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        assert_eq!(line("cloning a.db", 0, Duration::from_millis(2_900)), "cloning a.db, 2 s");
        let bar = line("bench", 255, Duration::from_secs(61));
        assert_eq!(bar, format!("bench [{}{}] 25 %, 61 s", "#".repeat(5), " ".repeat(15)));
    }
}
