//! How far a call has come that may take long, for whoever looks at it. Told on the calling thread, as it asks on the calling thread
//! whether to go on (`interruptible`).

use std::cell::RefCell;
use std::rc::Rc;

type Told = dyn Fn(u32);

thread_local! {
    static TOLD: RefCell<Option<Rc<Told>>> = const { RefCell::new(None) };
}

/// Runs `call`, in which work on many pages tells how much of it is done, of 1000: `told` is called on this thread, often, and must
/// return at once. It may not make calls of this crate. Work that cannot tell does not call it.
///
/// ```
/// let seen = std::rc::Rc::new(std::cell::Cell::new(0));
/// let told = seen.clone();
/// dbrewind_sqlite::telling(move |permille| told.set(permille), || { /* database.clone_to(...) */ });
/// assert_eq!(seen.get(), 0);
/// ```
pub fn telling<T>(told: impl Fn(u32) + 'static, call: impl FnOnce() -> T) -> T {
    /// Puts the outer one back, also when the call panics.
    struct Restore(Option<Rc<Told>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let outer = self.0.take();
            let _ = TOLD.try_with(|told| told.replace(outer));
        }
    }
    let outer = TOLD.try_with(|slot| slot.replace(Some(Rc::new(told)))).ok().flatten();
    let _restore = Restore(outer);
    call()
}

/// Work of so many steps, or a part of it.
pub(crate) struct Steps {
    told: Option<Rc<Told>>,
    done: u64,
    total: u64,
    /// What the part is of the whole, in thousandths.
    part: (u32, u32),
}

impl Steps {
    /// All of the work.
    pub(crate) fn of(total: u64) -> Self {
        Self::between(0, 1000, total)
    }

    /// A part of it, from and to so many thousandths of the whole.
    pub(crate) fn between(from: u32, to: u32, total: u64) -> Self {
        // A thread that ends has none any more.
        let told = TOLD.try_with(|told| told.borrow().clone()).ok().flatten();
        Self { told, done: 0, total: total.max(1), part: (from, to) }
    }

    /// So many more are done.
    pub(crate) fn add(&mut self, steps: u64) {
        let Some(told) = &self.told else { return };
        self.done = self.done.saturating_add(steps).min(self.total);
        let (from, to) = self.part;
        let width = u128::from(to.saturating_sub(from));
        let within = u128::from(self.done) * width / u128::from(self.total);
        told(from + u32::try_from(within).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_nobody_need_listen() {
        let told = Rc::new(RefCell::new(Vec::new()));
        let into = Rc::clone(&told);
        telling(
            move |permille| into.borrow_mut().push(permille),
            || {
                let mut first = Steps::between(0, 500, 4);
                (0..4).for_each(|_| first.add(1));
                let mut second = Steps::between(500, 1000, 0);
                second.add(7);
                telling(|_| {}, || Steps::of(1).add(1));
                Steps::of(u64::MAX).add(u64::MAX / 2 + 1);
            },
        );
        Steps::of(3).add(3);
        assert_eq!(*told.borrow(), [125, 250, 375, 500, 1000, 500]);
    }
}
