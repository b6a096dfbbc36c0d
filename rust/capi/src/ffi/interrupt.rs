use std::ffi::{c_int, c_void};
use std::rc::Rc;

use crate::interrupt;

/// Sets what this thread's waits for somebody else ask, about every 50 ms: when the hook answers other than 0, the call ends with
/// DBR026, and nothing has happened. dbrewind_close does not ask.
///
/// hook: nullable, for none. It must return: no exception, no longjmp, no call that waits for the same handle. data: passed to it,
/// nullable; must stay until another hook is set, or the thread makes no more calls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_interrupt_hook(
    hook: Option<unsafe extern "C" fn(data: *mut c_void) -> c_int>,
    data: *mut c_void,
) {
    interrupt::set(hook.map(|hook| -> Rc<dyn Fn() -> bool> {
        // SAFETY: the caller promised that it may be called on this thread, with this argument.
        Rc::new(move || unsafe { hook(data) } != 0)
    }));
}
