//! The hook by which a thread ends its own waits.

use std::cell::RefCell;
use std::rc::Rc;

use dbrewind_keeper::interruptible;

type Hook = Rc<dyn Fn() -> bool>;

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
}

/// What this thread's waits ask from now on.
pub(crate) fn set(hook: Option<Hook>) {
    // A thread that ends makes no calls any more.
    let _ = HOOK.try_with(|place| place.replace(hook));
}

/// Runs a call whose waits ask this thread's hook, if it has one.
pub(crate) fn run<T>(call: impl FnOnce() -> T) -> T {
    match HOOK.try_with(|place| place.borrow().clone()).ok().flatten() {
        Some(hook) => interruptible(move || hook(), call),
        None => call(),
    }
}
