use std::ffi::{CString, c_char, c_int};

use dbrewind_sqlite::Process;

use super::database::dbrewind_db;
use super::error::dbrewind_error;
use super::given::{CStruct, Place, database, entry, pointer_place};
use super::volume::{dbrewind_volume, volume};
use crate::codes::c_string;
use crate::fault::Fault;

/// Another process that has the store open.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_process_info {
    /// sizeof(dbrewind_process_info)
    pub size: usize,
    /// What the system calls it. Until the list is freed.
    pub name: *const c_char,
    /// Which of the store's locks it holds, in words, with ", " between them; "" for none. Until the list is freed.
    pub holds: *const c_char,
    /// Its number.
    pub pid: u32,
    /// 1: it was stopped (Ctrl-Z, SIGSTOP, a debugger).
    pub stopped: u32,
}

// SAFETY: numbers and pointers, the size first.
unsafe impl CStruct for dbrewind_process_info {
    const NAME: &'static str = "dbrewind_process_info";
    const LEAST: usize = size_of::<Self>();
}

/// Processes, by their numbers. The caller's, to be freed once.
pub struct dbrewind_process_list {
    /// Each with the texts that it points to.
    processes: Vec<(dbrewind_process_info, [CString; 2])>,
}

impl dbrewind_process_list {
    fn new(found: Vec<Process>) -> Self {
        let processes = found.into_iter().map(|process| {
            let texts = [c_string(&process.name), c_string(&process.holds.join(", "))];
            // A CString's bytes stay where they are when it moves.
            let [name, holds] = texts.each_ref().map(|text| text.as_ptr());
            let (pid, stopped) = (process.pid, process.stopped.into());
            (dbrewind_process_info { size: 0, name, holds, pid, stopped }, texts)
        });
        Self { processes: processes.collect() }
    }
}

/// # Safety
/// As the header says of these pointers.
unsafe fn list(
    processes: *mut *mut dbrewind_process_list,
    error: *mut *mut dbrewind_error,
    ask: impl FnOnce() -> Result<Vec<Process>, Fault>,
) -> c_int {
    // SAFETY: by contract.
    unsafe {
        entry(error, || {
            pointer_place(processes, "processes")?;
            processes.write(Box::into_raw(Box::new(dbrewind_process_list::new(ask()?))));
            Ok(())
        })
    }
}

/// The processes that `waits_for` of dbrewind_status_info counts.
///
/// *processes: to be freed with dbrewind_process_list_free; NULL after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_waits_for(
    db: *const dbrewind_db,
    processes: *mut *mut dbrewind_process_list,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe { list(processes, error, || Ok(database(db)?.handle.status()?.waits_for)) }
}

/// As dbrewind_waits_for, of the store that a volume is recorded into.
///
/// *processes: to be freed with dbrewind_process_list_free; NULL after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_waits_for(
    volume: *const dbrewind_volume,
    processes: *mut *mut dbrewind_process_list,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe { list(processes, error, || Ok(self::volume(volume)?.volume.status()?.waits_for)) }
}

/// How many there are; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_process_list_count(processes: *const dbrewind_process_list) -> usize {
    // SAFETY: null or a list that was not freed, as its comment asks.
    unsafe { processes.as_ref() }.map_or(0, |list| list.processes.len())
}

/// The one at a place, 0 to count - 1. Answers 0, or DBREWIND_INVALID_ARGUMENT: no such place, or a wrong size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_process_list_get(
    processes: *const dbrewind_process_list,
    place: usize,
    process: *mut dbrewind_process_info,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(std::ptr::null_mut(), || {
            let to = Place::required(process)?;
            let found = processes.as_ref().and_then(|list| list.processes.get(place));
            to.fill(found.ok_or_else(|| Fault::invalid("no such place"))?.0);
            Ok(())
        })
    }
}

/// Frees a list. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_process_list_free(processes: *mut dbrewind_process_list) {
    if !processes.is_null() {
        // SAFETY: it came from `Box::into_raw`, and is freed once, as its comment asks.
        drop(unsafe { Box::from_raw(processes) });
    }
}
