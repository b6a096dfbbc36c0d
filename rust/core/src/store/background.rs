//! A thread of the store's own, and how it is told what to do.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::map;

/// A thread that carries out wishes. There is none before somebody starts it.
///
/// In a forked child there is no such thread, and its locks may be held for ever: nothing of this is called there.
#[derive(Debug, Default)]
pub(super) struct Background<W> {
    wishes: Arc<Wishes<W>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread sees of it: the newest wish, and whether to end.
#[derive(Debug, Default)]
pub(super) struct Wishes<W> {
    state: Mutex<State<W>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State<W> {
    wish: W,
    stop: bool,
}

/// The thread shall end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stopped;

impl<W: Send + 'static> Background<W> {
    /// Starts the thread if there is none. No signal of the process is delivered to it.
    ///
    /// # Errors
    /// The system's, when there can be no thread.
    pub(super) fn start(
        &self,
        name: &str,
        work: impl FnOnce(&Wishes<W>) -> Result<(), Stopped> + Send + 'static,
    ) -> io::Result<()> {
        let mut thread = self.thread();
        if thread.is_none() {
            let wishes = Arc::clone(&self.wishes);
            *thread = Some(thread::Builder::new().name(name.to_owned()).spawn(move || {
                map::block_signals();
                let _ = work(&wishes);
            })?);
        }
        Ok(())
    }

    /// Whether it was started.
    pub(super) fn is_started(&self) -> bool {
        self.thread().is_some()
    }

    /// Changes what the thread is to do, at once or when it is started.
    pub(super) fn wish<T>(&self, change: impl FnOnce(&mut W) -> T) -> T {
        let answer = self.wishes.change(change);
        self.wishes.changed.notify_one();
        answer
    }

    /// Changes what the thread is to do, unless it is looking at that now: never waits.
    pub(super) fn try_wish(&self, change: impl FnOnce(&mut W)) {
        if let Ok(mut state) = self.wishes.state.try_lock() {
            change(&mut state.wish);
            drop(state);
            self.wishes.changed.notify_one();
        }
    }

    /// Ends the thread and waits for it, unless it is the thread itself that asks.
    pub(super) fn stop(&self) {
        let Some(thread) = self.thread().take() else { return };
        self.wishes.state().stop = true;
        self.wishes.changed.notify_one();
        if thread.thread().id() != thread::current().id() {
            let _ = thread.join();
        }
    }

    fn thread(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W> Wishes<W> {
    /// Waits until something is found in the wish.
    pub(super) fn next<T>(&self, find: impl FnMut(&mut W) -> Option<T>) -> Result<T, Stopped> {
        let mut found = None;
        let waited = self.changed.wait_while(self.state(), waiting(&mut found, find));
        let stop = waited.unwrap_or_else(PoisonError::into_inner).stop;
        found.filter(|_| !stop).ok_or(Stopped)
    }

    /// As [`next`](Self::next), but only so long: `None` when nothing was found by then.
    pub(super) fn next_within<T>(
        &self,
        time: Duration,
        find: impl FnMut(&mut W) -> Option<T>,
    ) -> Result<Option<T>, Stopped> {
        let mut found = None;
        let waited = self.changed.wait_timeout_while(self.state(), time, waiting(&mut found, find));
        let stop = waited.unwrap_or_else(PoisonError::into_inner).0.stop;
        if stop { Err(Stopped) } else { Ok(found) }
    }

    /// Waits so long, whatever is wished meanwhile.
    pub(super) fn rest(&self, time: Duration) -> Result<(), Stopped> {
        self.next_within(time, |_| None::<()>).map(drop)
    }

    /// Whether to go on.
    pub(super) fn go_on(&self) -> Result<(), Stopped> {
        if self.state().stop { Err(Stopped) } else { Ok(()) }
    }

    /// Looks at the wish, and changes it without another round for it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut W) -> T) -> T {
        change(&mut self.state().wish)
    }

    fn state(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether to go on waiting: nothing is found, and the thread shall not end.
fn waiting<W, T>(
    found: &mut Option<T>,
    mut find: impl FnMut(&mut W) -> Option<T>,
) -> impl FnMut(&mut State<W>) -> bool {
    move |state| {
        *found = find(&mut state.wish);
        !state.stop && found.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// A thread that says what it was asked for, one at a time.
    fn echo(said: Sender<u32>) -> Background<Option<u32>> {
        let background = Background::<Option<u32>>::default();
        let work = move |wishes: &Wishes<Option<u32>>| {
            loop {
                let _ = said.send(wishes.next(Option::take)?);
            }
        };
        background.start("echo", work).unwrap();
        background
    }

    #[test]
    fn what_is_wished_is_done_once() {
        let (said, heard) = channel();
        let background = echo(said);
        for wish in [7, 8] {
            background.wish(|newest| *newest = Some(wish));
            assert_eq!(heard.recv(), Ok(wish));
        }
        background.stop();
        // The thread has ended, and has said nothing else.
        assert!(heard.recv().is_err());
    }

    #[test]
    fn what_was_wished_before_the_start_is_done() {
        let background = Background::<Option<u32>>::default();
        background.wish(|newest| *newest = Some(1));
        assert!(!background.is_started());
        let (said, heard) = channel();
        let work = move |wishes: &Wishes<Option<u32>>| {
            let _ = said.send(wishes.next(Option::take)?);
            Ok(())
        };
        background.start("once", work).unwrap();
        assert_eq!(heard.recv(), Ok(1));
    }

    #[test]
    fn there_is_one_thread() {
        let (said, heard) = channel();
        let background = echo(said);
        background.start("second", |_| panic!("a second thread")).unwrap();
        background.wish(|newest| *newest = Some(3));
        assert_eq!(heard.recv(), Ok(3));
        background.stop();
    }

    #[test]
    fn a_stop_ends_every_wait() {
        const LONG: Duration = Duration::from_secs(3600);
        type Wait = fn(&Wishes<()>) -> Result<(), Stopped>;
        let waits: [Wait; 3] = [
            |wishes| wishes.next(|()| None),
            |wishes| wishes.next_within(LONG, |()| None::<()>).map(drop),
            |wishes| wishes.rest(LONG),
        ];
        for wait in waits {
            let background = Background::<()>::default();
            let (said, heard) = channel();
            let work = move |wishes: &Wishes<()>| {
                let _ = said.send(wishes.go_on());
                let ended = wait(wishes);
                let _ = said.send(ended);
                let _ = said.send(wishes.go_on());
                ended
            };
            background.start("waits", work).unwrap();
            assert_eq!(heard.recv(), Ok(Ok(())));
            background.stop();
            assert_eq!(heard.iter().collect::<Vec<_>>(), [Err(Stopped), Err(Stopped)]);
        }
    }

    #[test]
    fn a_wait_that_is_over_finds_nothing() {
        let wishes = Wishes::<Option<u32>>::default();
        assert_eq!(wishes.next_within(Duration::ZERO, Option::take), Ok(None));
        wishes.change(|newest| *newest = Some(4));
        assert_eq!(wishes.rest(Duration::ZERO), Ok(()));
        assert_eq!(wishes.next_within(Duration::ZERO, Option::take), Ok(Some(4)));
    }

    #[test]
    fn the_thread_itself_may_stop_it() {
        let background = Arc::new(Background::<()>::default());
        let (said, heard) = channel();
        let own = Arc::clone(&background);
        let work = move |wishes: &Wishes<()>| {
            own.stop();
            let _ = said.send(wishes.go_on());
            Ok(())
        };
        background.start("itself", work).unwrap();
        assert_eq!(heard.recv(), Ok(Err(Stopped)));
    }
}
