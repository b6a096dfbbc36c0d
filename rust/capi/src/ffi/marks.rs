use std::ffi::{CString, c_char, c_int};

use dbrewind_sqlite::{Mark, MarkState};

use super::database::dbrewind_db;
use super::error::dbrewind_error;
use super::given::{CStruct, Place, database, entry, pointer_place, text};
use super::moment::dbrewind_moment;
use super::options::{int, only};
use crate::codes::c_string;
use crate::registry::Entry;

/// flags of dbrewind_mark: keep what the mark needs from being evicted, until it is dropped.
pub const DBREWIND_PIN: u32 = 1;

/// state: a rewind to the mark costs the same for any change.
pub const DBREWIND_HOT: u32 = 1;
/// state: it costs what differs.
pub const DBREWIND_ARCHIVED: u32 = 2;
/// state: older than what the store keeps; a rewind is refused (DBR027).
pub const DBREWIND_EVICTED: u32 = 3;
/// state: recording was interrupted after it (DBR011), or has stopped; a rewind is refused.
pub const DBREWIND_LOST: u32 = 4;

/// A named moment.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_mark_info {
    /// sizeof(dbrewind_mark_info)
    pub size: usize,
    /// From a list: until the list is freed. From dbrewind_mark: the pointer that was passed.
    pub name: *const c_char,
    /// The moment that it names.
    pub moment: dbrewind_moment,
    /// When it was made.
    pub time: u64,
    /// Length of the database then, in pages.
    pub pages: u64,
    /// DBREWIND_HOT, ...
    pub state: u32,
    /// Not 0: it keeps what it needs from being evicted.
    pub pinned: c_int,
}

// SAFETY: numbers and pointers, the size first.
unsafe impl CStruct for dbrewind_mark_info {
    const NAME: &'static str = "dbrewind_mark_info";
    const LEAST: usize = size_of::<Self>();
}

/// The number of a state.
pub(super) fn state_number(state: MarkState) -> u32 {
    match state {
        MarkState::Hot => DBREWIND_HOT,
        MarkState::Archived => DBREWIND_ARCHIVED,
        MarkState::Evicted => DBREWIND_EVICTED,
        MarkState::Lost => DBREWIND_LOST,
    }
}

impl dbrewind_mark_info {
    fn new(entry: &Entry, mark: &Mark, name: *const c_char) -> Self {
        Self {
            size: 0,
            name,
            moment: dbrewind_moment::new(entry, mark.lsn),
            time: mark.time.get(),
            pages: mark.pages,
            state: state_number(mark.state),
            pinned: int(mark.pinned),
        }
    }
}

/// Marks, as they were when they were listed. The caller's, to be freed once.
pub struct dbrewind_mark_list {
    /// Each with the name that it points to.
    marks: Vec<(dbrewind_mark_info, CString)>,
}

impl dbrewind_mark_list {
    /// The caller's, from now on. Each `of` makes one of a mark, with its name.
    pub(super) fn given<T>(
        marks: impl IntoIterator<Item = T>,
        of: impl Fn(T) -> (CString, dbrewind_mark_info),
    ) -> *mut Self {
        let marks = marks.into_iter().map(|mark| {
            let (name, mut info) = of(mark);
            // A CString's bytes stay where they are when it moves.
            info.name = name.as_ptr();
            (info, name)
        });
        Box::into_raw(Box::new(Self { marks: marks.collect() }))
    }
}

/// Names the present moment. A rewind never consumes a mark.
///
/// flags: 0 or DBREWIND_PIN. mark: nullable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_mark(
    db: *const dbrewind_db,
    name: *const c_char,
    flags: u32,
    mark: *mut dbrewind_mark_info,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            let place = Place::optional(mark)?;
            only("flags", flags, DBREWIND_PIN)?;
            let (entry, called) = (database(db)?, text(name, "name")?);
            let made = match flags {
                DBREWIND_PIN => entry.handle.mark_pinned(called)?,
                _ => entry.handle.mark(called)?,
            };
            if let Some(place) = place {
                place.fill(dbrewind_mark_info::new(&entry, &made, name));
            }
            Ok(())
        })
    }
}

/// Forgets a mark. The history stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_drop(
    db: *const dbrewind_db,
    name: *const c_char,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe { entry(error, || Ok(database(db)?.handle.drop_mark(text(name, "name")?)?)) }
}

/// All marks, oldest first. *marks: to be freed with dbrewind_mark_list_free; NULL after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_marks(
    db: *const dbrewind_db,
    marks: *mut *mut dbrewind_mark_list,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            pointer_place(marks, "marks")?;
            let entry = database(db)?;
            marks.write(dbrewind_mark_list::given(entry.handle.marks()?, |mark| {
                (c_string(&mark.name), dbrewind_mark_info::new(&entry, &mark, std::ptr::null()))
            }));
            Ok(())
        })
    }
}

/// How many there are; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_mark_list_count(marks: *const dbrewind_mark_list) -> usize {
    // SAFETY: null or a list that was not freed, as its comment asks.
    unsafe { marks.as_ref() }.map_or(0, |list| list.marks.len())
}

/// The one at a place, 0 to count - 1. Answers 0, or DBREWIND_INVALID_ARGUMENT: no such place, or a wrong size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_mark_list_get(
    marks: *const dbrewind_mark_list,
    place: usize,
    mark: *mut dbrewind_mark_info,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(std::ptr::null_mut(), || {
            let to = Place::required(mark)?;
            let found = marks.as_ref().and_then(|list| list.marks.get(place));
            to.fill(found.ok_or_else(|| crate::fault::Fault::invalid("no such place"))?.0);
            Ok(())
        })
    }
}

/// Frees a list. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_mark_list_free(marks: *mut dbrewind_mark_list) {
    if !marks.is_null() {
        // SAFETY: it came from `Box::into_raw`, and is freed once, as its comment asks.
        drop(unsafe { Box::from_raw(marks) });
    }
}
