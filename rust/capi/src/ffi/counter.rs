use std::ffi::{CString, c_char, c_int};

use dbrewind_sqlite::CounterDiff;

use super::difference::{DBREWIND_CHANGED, DBREWIND_CREATED, DBREWIND_DROPPED, dbrewind_difference};
use super::given::{CStruct, Place, entry};
use crate::codes::c_string;
use crate::fault::Fault;

/// One counter that differs.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_counter_change {
    /// sizeof(dbrewind_counter_change)
    pub size: usize,
    /// "sqlite_sequence.users", the highest id that AUTOINCREMENT has given in the table users; "user_version", "application_id".
    pub name: *const c_char,
    /// What it was at the first moment; 0 if it was not there.
    pub before: i64,
    /// What it is at the second one; 0 if it is not there.
    pub after: i64,
    /// DBREWIND_CREATED: there at the second moment only; DBREWIND_DROPPED: at the first; DBREWIND_CHANGED: at both.
    pub how: u32,
    /// 0
    pub reserved: u32,
}

// SAFETY: numbers and pointers, the size first.
unsafe impl CStruct for dbrewind_counter_change {
    const NAME: &'static str = "dbrewind_counter_change";
    const LEAST: usize = size_of::<Self>();
}

/// A counter of a difference, with the name that it points to.
pub(super) struct Counter {
    change: dbrewind_counter_change,
    _name: CString,
}

impl Counter {
    pub(super) fn new((name, found): (String, CounterDiff)) -> Self {
        let name = c_string(&name);
        let how = match (found.before, found.after) {
            (None, _) => DBREWIND_CREATED,
            (_, None) => DBREWIND_DROPPED,
            _ => DBREWIND_CHANGED,
        };
        let change = dbrewind_counter_change {
            size: 0,
            // A CString's bytes stay where they are when it moves.
            name: name.as_ptr(),
            before: found.before.unwrap_or(0),
            after: found.after.unwrap_or(0),
            how,
            reserved: 0,
        };
        Self { change, _name: name }
    }
}

/// How many counters differ.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_difference_counter_count(difference: *const dbrewind_difference) -> usize {
    // SAFETY: null or one that was not freed, as its comment asks.
    unsafe { difference.as_ref() }.map_or(0, |diff| diff.counters().len())
}

/// The one at a place, 0 to count - 1. Answers 0, or DBREWIND_INVALID_ARGUMENT: no such place, or a wrong size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_difference_counter_get(
    difference: *const dbrewind_difference,
    place: usize,
    change: *mut dbrewind_counter_change,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(std::ptr::null_mut(), || {
            let to = Place::required(change)?;
            let found = difference.as_ref().and_then(|diff| diff.counters().get(place));
            to.fill(found.ok_or_else(|| Fault::invalid("no such place"))?.change);
            Ok(())
        })
    }
}
