use std::ffi::{CString, c_char, c_int};
use std::mem::offset_of;

use dbrewind_sqlite::{Lsn, Pin, Process, Status, Timestamp, WindowState};

use super::database::dbrewind_db;
use super::error::dbrewind_error;
use super::given::{CStruct, Place, database, entry, pointer_place};
use super::moment::dbrewind_moment;
use crate::codes::c_string;
use crate::fault::Fault;

/// state of dbrewind_status_info: as it should be.
pub const DBREWIND_WINDOW_OK: u32 = 1;
/// state of dbrewind_status_info: something younger than the target was evicted, since there was no room.
pub const DBREWIND_WINDOW_ALERT: u32 = 2;
/// state of dbrewind_status_info: no room for more, and nothing that may be evicted.
pub const DBREWIND_WINDOW_FULL: u32 = 3;
/// state of dbrewind_status_info: nothing is recorded any more.
pub const DBREWIND_WINDOW_STOPPED: u32 = 4;

/// How far back the history reaches, what the store takes, and how its marks do.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_status_info {
    /// sizeof(dbrewind_status_info)
    pub size: usize,
    /// Bytes of the store.
    pub used: u64,
    /// Of them, bytes of segments that are not sealed, among them room for what comes next.
    pub raw: u64,
    /// Of them, bytes of sealed segments.
    pub sealed: u64,
    /// Most bytes that the store may have.
    pub limit: u64,
    /// How far back it shall reach, in seconds.
    pub target_s: f64,
    /// How far back it does reach, in seconds.
    pub window_s: f64,
    /// How long a window the limit holds at the present rate, in seconds. Negative: too little was recorded to tell.
    pub forecast_s: f64,
    /// The oldest moment that can be reached. lsn 0: none.
    pub earliest: dbrewind_moment,
    /// Its time. 0: none.
    pub earliest_time: u64,
    /// How many marks are hot.
    pub hot: u64,
    /// How many are archived.
    pub archived: u64,
    /// How many are evicted.
    pub evicted: u64,
    /// How many are lost.
    pub lost: u64,
    /// DBREWIND_WINDOW_...
    pub state: u32,
    /// 0
    pub reserved: u32,
    /// How many other processes have the store open and were stopped (Ctrl-Z, SIGSTOP, a debugger): until they go on or end, what is old may be
    /// neither sealed nor evicted, and a rewind may have to wait. Those of this user, unless he may see others'.
    pub waits_for: u32,
    /// The number of one of them, one that holds a lock of the store if there is such a one. 0: none.
    pub waits_for_pid: u32,
}

// SAFETY: numbers, the size first.
unsafe impl CStruct for dbrewind_status_info {
    const NAME: &'static str = "dbrewind_status_info";
    // Without what came later.
    const LEAST: usize = offset_of!(Self, waits_for);
}

/// A mark that keeps what it needs from being evicted.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_pin_info {
    /// sizeof(dbrewind_pin_info)
    pub size: usize,
    /// Its name. Until the list is freed.
    pub name: *const c_char,
    /// The moment that it names.
    pub moment: dbrewind_moment,
    /// When it was made.
    pub time: u64,
    /// Bytes of the store that it holds.
    pub bytes: u64,
}

// SAFETY: numbers and pointers, the size first.
unsafe impl CStruct for dbrewind_pin_info {
    const NAME: &'static str = "dbrewind_pin_info";
    const LEAST: usize = size_of::<Self>();
}

/// Pinned marks, oldest first. The caller's, to be freed once.
pub struct dbrewind_pin_list {
    /// Each with the name that it points to.
    pins: Vec<(dbrewind_pin_info, CString)>,
}

impl dbrewind_pin_list {
    fn new(database: u64, pins: Vec<Pin>) -> Self {
        let pins = pins.into_iter().map(|pin| {
            let name = c_string(pin.name.as_str());
            let info = dbrewind_pin_info {
                size: 0,
                // A CString's bytes stay where they are when it moves.
                name: name.as_ptr(),
                moment: dbrewind_moment::of(database, pin.lsn),
                time: pin.time.get(),
                bytes: pin.bytes,
            };
            (info, name)
        });
        Self { pins: pins.collect() }
    }
}

impl dbrewind_status_info {
    fn new(database: u64, found: &Status) -> Self {
        let (lsn, time) = found.earliest.unwrap_or((Lsn::ORIGIN, Timestamp::default()));
        let holds = |process: &&Process| !process.holds.is_empty();
        let first = found.waits_for.iter().find(holds).or(found.waits_for.first());
        Self {
            size: 0,
            used: found.used,
            raw: found.raw,
            sealed: found.sealed,
            limit: found.limit,
            target_s: found.target.as_secs_f64(),
            window_s: found.window.as_secs_f64(),
            forecast_s: found.forecast.map_or(-1.0, |forecast| forecast.as_secs_f64()),
            earliest: dbrewind_moment::of(database, lsn),
            earliest_time: time.get(),
            hot: found.marks.hot,
            archived: found.marks.archived,
            evicted: found.marks.evicted,
            lost: found.marks.lost,
            state: match found.state {
                WindowState::Ok => DBREWIND_WINDOW_OK,
                WindowState::Alert => DBREWIND_WINDOW_ALERT,
                WindowState::Full => DBREWIND_WINDOW_FULL,
                WindowState::Stopped => DBREWIND_WINDOW_STOPPED,
            },
            reserved: 0,
            waits_for: u32::try_from(found.waits_for.len()).unwrap_or(u32::MAX),
            waits_for_pid: first.map_or(0, |process| process.pid),
        }
    }
}

/// Tells a status: `ask` answers it, and which object its moments belong to.
///
/// # Safety
/// As the header says of these pointers.
pub(super) unsafe fn tell(
    status: *mut dbrewind_status_info,
    pins: *mut *mut dbrewind_pin_list,
    ask: impl FnOnce() -> Result<(u64, Status), Fault>,
) -> Result<(), Fault> {
    // SAFETY: by contract.
    unsafe {
        if !pins.is_null() {
            pointer_place(pins, "pins")?;
        }
        let place = Place::required(status)?;
        let (database, found) = ask()?;
        place.fill(dbrewind_status_info::new(database, &found));
        if !pins.is_null() {
            pins.write(Box::into_raw(Box::new(dbrewind_pin_list::new(database, found.pins))));
        }
        Ok(())
    }
}

/// How far back the history reaches, what the store takes, and how its marks do.
///
/// pins: nullable; *pins is to be freed with dbrewind_pin_list_free, and NULL after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_status(
    db: *const dbrewind_db,
    status: *mut dbrewind_status_info,
    pins: *mut *mut dbrewind_pin_list,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            tell(status, pins, || {
                let entry = database(db)?;
                Ok((entry.database, entry.handle.status()?))
            })
        })
    }
}

/// How many there are; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_pin_list_count(pins: *const dbrewind_pin_list) -> usize {
    // SAFETY: null or a list that was not freed, as its comment asks.
    unsafe { pins.as_ref() }.map_or(0, |list| list.pins.len())
}

/// The one at a place, 0 to count - 1. Answers 0, or DBREWIND_INVALID_ARGUMENT: no such place, or a wrong size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_pin_list_get(
    pins: *const dbrewind_pin_list,
    place: usize,
    pin: *mut dbrewind_pin_info,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(std::ptr::null_mut(), || {
            let to = Place::required(pin)?;
            let found = pins.as_ref().and_then(|list| list.pins.get(place));
            to.fill(found.ok_or_else(|| Fault::invalid("no such place"))?.0);
            Ok(())
        })
    }
}

/// Frees a list. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_pin_list_free(pins: *mut dbrewind_pin_list) {
    if !pins.is_null() {
        // SAFETY: it came from `Box::into_raw`, and is freed once, as its comment asks.
        drop(unsafe { Box::from_raw(pins) });
    }
}
