//! What a call took, told apart: work and waiting of its own, and waiting for a processor.

use std::time::{Duration, Instant};

/// A wait this long means that something waits for the dead. No measure of speed.
pub(super) const HELD_UP: Duration = Duration::from_secs(5);

/// What one call took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    /// By the clock.
    pub(super) wall: Duration,
    /// The same without the time in which the thread could have gone on, but had no processor: at most this long.
    pub(super) own: Duration,
    /// How often it slept: for a lock, or for the disk.
    pub(super) sleeps: u64,
}

/// Calls, and says what that took.
pub(super) fn taken<T>(call: impl FnOnce() -> T) -> (T, Taken) {
    let sleeps = sleeps();
    let around = Instant::now();
    let queued = queued();
    let start = Instant::now();
    let answer = call();
    let wall = start.elapsed();
    // What is taken off belongs to the time from `around` on, so that too little may be taken off, never too much.
    let queued = self::queued().saturating_sub(queued);
    let own = wall.min(around.elapsed().saturating_sub(queued));
    (answer, Taken { wall, own, sleeps: self::sleeps().saturating_sub(sleeps) })
}

/// How long this thread has waited for a processor.
fn queued() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(told.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0))
}

/// How often this thread has given its processor up by itself.
fn sleeps() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|word| word.trim().parse().ok()).unwrap_or(0)
}

/// Calls of one kind.
#[derive(Debug, Default, Clone)]
pub struct Series {
    calls: Vec<Taken>,
}

/// How long calls took, in microseconds.
#[derive(Debug, Default, Clone, Copy)]
pub struct Waits {
    /// How many.
    pub calls: usize,
    /// By the clock: median, 99 of 100, longest.
    pub wall: [f64; 3],
    /// Without the time in which the caller could have gone on, but had no processor.
    pub own: [f64; 3],
    /// How many of these took more than a millisecond.
    pub over_a_millisecond: usize,
    /// How many slept, be it for a lock.
    pub slept: usize,
}

impl Series {
    /// One more.
    pub(super) fn add(&mut self, taken: Taken) -> Result<(), String> {
        if taken.wall > HELD_UP {
            return Err(format!("a call took {:?}", taken.wall));
        }
        self.calls.push(taken);
        Ok(())
    }

    /// All of them.
    #[must_use]
    pub fn waits(&self) -> Waits {
        let own = self.sorted(|taken| taken.own);
        Waits {
            calls: self.calls.len(),
            wall: quantiles(&self.sorted(|taken| taken.wall)),
            own: quantiles(&own),
            over_a_millisecond: own.iter().filter(|took| **took > 1000.0).count(),
            slept: self.calls.iter().filter(|taken| taken.sleeps > 0).count(),
        }
    }

    /// Each of them, in microseconds without waiting for a processor, in the order in which they were made.
    pub fn own(&self) -> impl Iterator<Item = f64> {
        self.calls.iter().map(|taken| micros(taken.own))
    }

    fn sorted(&self, part: impl Fn(&Taken) -> Duration) -> Vec<f64> {
        let mut values: Vec<f64> = self.calls.iter().map(|taken| micros(part(taken))).collect();
        values.sort_by(f64::total_cmp);
        values
    }
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}

/// Median, 99 of 100, largest.
fn quantiles(sorted: &[f64]) -> [f64; 3] {
    let at = |share: f64| {
        let index = (sorted.len() as f64 * share) as usize;
        sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
    };
    [at(0.5), at(0.99), at(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_sleeps_is_told_from_one_that_works() {
        let (_, slept) = taken(|| std::thread::sleep(Duration::from_millis(3)));
        assert!(slept.own >= Duration::from_millis(3) && slept.sleeps > 0, "{slept:?}");
        let (sum, worked) = taken(|| (0..1000_u64).map(std::hint::black_box).sum::<u64>());
        assert_eq!((sum, worked.sleeps), (499_500, 0));
        assert!(worked.own <= worked.wall);
    }

    #[test]
    fn quantiles_of_few() {
        assert_eq!(quantiles(&[]), [0.0; 3]);
        assert_eq!(quantiles(&[1.0, 2.0, 3.0]), [2.0, 3.0, 3.0]);
    }
}
