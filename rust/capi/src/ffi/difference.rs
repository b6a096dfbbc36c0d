use std::ffi::{CString, c_char, c_int, c_void};

use dbrewind_sqlite::{Altered, Diff, Value};

use super::counter::Counter;
use super::database::dbrewind_db;
use super::error::dbrewind_error;
use super::given::{CStruct, Place, database, entry, pointer_place};
use super::moment::{dbrewind_moment, dbrewind_target};
use crate::codes::c_string;
use crate::fault::Fault;
use crate::registry::Entry;

/// how: there at the second moment only.
pub const DBREWIND_CREATED: u32 = 1;
/// how: there at the first moment only.
pub const DBREWIND_DROPPED: u32 = 2;
/// how: there at both, different.
pub const DBREWIND_CHANGED: u32 = 3;

/// type of dbrewind_value: SQL's NULL.
pub const DBREWIND_NULL: u32 = 0;
/// type of dbrewind_value: `integer`.
pub const DBREWIND_INTEGER: u32 = 1;
/// type of dbrewind_value: `real`.
pub const DBREWIND_REAL: u32 = 2;
/// type of dbrewind_value: `length` bytes of UTF-8 at `bytes`, with a NUL behind them.
pub const DBREWIND_TEXT: u32 = 3;
/// type of dbrewind_value: `length` bytes at `bytes`.
pub const DBREWIND_BLOB: u32 = 4;

/// What differs between two moments. The caller's, to be freed once; all that it gives stays until then.
pub struct dbrewind_difference {
    before: dbrewind_moment,
    after: dbrewind_moment,
    pages_read: u64,
    text: CString,
    /// Kind, name, how.
    schema: Vec<(CString, CString, u32)>,
    tables: Vec<Table>,
    counters: Vec<Counter>,
}

struct Table {
    name: CString,
    /// Inserted, deleted, updated.
    rows: [Vec<Row>; 3],
}

struct Row {
    values: Vec<dbrewind_value>,
    /// What the values point to.
    _bytes: Vec<Vec<u8>>,
}

/// One table, index, view or trigger that differs.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_schema_change {
    /// sizeof(dbrewind_schema_change)
    pub size: usize,
    /// "table", "index", "view" or "trigger".
    pub kind: *const c_char,
    /// Its name.
    pub name: *const c_char,
    /// DBREWIND_CREATED, ...
    pub how: u32,
    /// 0
    pub reserved: u32,
}

// SAFETY: numbers and pointers, the size first.
unsafe impl CStruct for dbrewind_schema_change {
    const NAME: &'static str = "dbrewind_schema_change";
    const LEAST: usize = size_of::<Self>();
}

/// One value of a key. It never changes.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_value {
    /// DBREWIND_NULL, ...
    pub kind: u32,
    /// 0
    pub reserved: u32,
    /// Of an integer.
    pub integer: i64,
    /// Of a floating-point number.
    pub real: f64,
    /// Of a text or bytes. Not NULL for them.
    pub bytes: *const c_void,
    /// Of a text or bytes.
    pub length: usize,
}

/// Which rows, parts of the schema and counters differ between two moments. Costs what has changed.
///
/// to: dbrewind_to_now() for the present. *difference: to be freed with dbrewind_difference_free; NULL after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_diff(
    db: *const dbrewind_db,
    from: dbrewind_target,
    to: dbrewind_target,
    difference: *mut *mut dbrewind_difference,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            pointer_place(difference, "difference")?;
            let entry = database(db)?;
            let diff = entry.handle.diff(&from.resolve(&entry)?, to.in_database(&entry)?.as_ref())?;
            difference.write(Box::into_raw(Box::new(dbrewind_difference::new(&entry, diff))));
            Ok(())
        })
    }
}

impl dbrewind_difference {
    fn new(entry: &Entry, diff: Diff) -> Self {
        let schema = diff.schema.iter().map(|change| {
            let how = match change.how {
                Altered::Created => DBREWIND_CREATED,
                Altered::Dropped => DBREWIND_DROPPED,
                Altered::Changed => DBREWIND_CHANGED,
            };
            (c_string(&change.kind), c_string(&change.name), how)
        });
        let (schema, text) = (schema.collect(), c_string(&diff.to_string()));
        let tables = diff.tables.into_iter().map(|(name, table)| Table {
            name: c_string(&name),
            rows: [table.inserted, table.deleted, table.updated]
                .map(|rows| rows.into_iter().map(Row::new).collect()),
        });
        Self {
            before: dbrewind_moment::new(entry, diff.from),
            after: dbrewind_moment::new(entry, diff.to),
            pages_read: diff.pages_read,
            text,
            schema,
            tables: tables.collect(),
            counters: diff.counters.into_iter().map(Counter::new).collect(),
        }
    }

    pub(super) fn counters(&self) -> &[Counter] {
        &self.counters
    }

    fn rows(&self, table: usize, how: u32) -> Option<&Vec<Row>> {
        let place = (how as usize).checked_sub(1)?;
        self.tables.get(table)?.rows.get(place)
    }
}

impl Row {
    fn new(key: Vec<Value>) -> Self {
        let mut kept = Vec::new();
        let mut values = Vec::with_capacity(key.len());
        for value in key {
            let empty = dbrewind_value {
                kind: DBREWIND_NULL,
                reserved: 0,
                integer: 0,
                real: 0.0,
                bytes: std::ptr::null(),
                length: 0,
            };
            let mut keep = |kind, mut bytes: Vec<u8>| {
                let length = bytes.len();
                bytes.push(0);
                // A Vec's bytes stay where they are when it moves.
                let at = bytes.as_ptr().cast();
                kept.push(bytes);
                dbrewind_value { kind, bytes: at, length, ..empty }
            };
            values.push(match value {
                Value::Null => empty,
                Value::Integer(integer) => dbrewind_value { kind: DBREWIND_INTEGER, integer, ..empty },
                Value::Real(real) => dbrewind_value { kind: DBREWIND_REAL, real, ..empty },
                Value::Text(text) => keep(DBREWIND_TEXT, text.into_bytes()),
                Value::Blob(bytes) => keep(DBREWIND_BLOB, bytes),
            });
        }
        Self { values, _bytes: kept }
    }
}

/// The first moment; zeros for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_difference_before(
    difference: *const dbrewind_difference,
) -> dbrewind_moment {
    // SAFETY: null or one that was not freed, as its comment asks.
    unsafe { difference.as_ref() }.map_or(dbrewind_moment { lsn: 0, database: 0 }, |diff| diff.before)
}

/// The second moment; zeros for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_difference_after(
    difference: *const dbrewind_difference,
) -> dbrewind_moment {
    // SAFETY: null or one that was not freed, as its comment asks.
    unsafe { difference.as_ref() }.map_or(dbrewind_moment { lsn: 0, database: 0 }, |diff| diff.after)
}

/// How many pages were read for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_difference_pages_read(difference: *const dbrewind_difference) -> u64 {
    // SAFETY: null or one that was not freed, as its comment asks.
    unsafe { difference.as_ref() }.map_or(0, |diff| diff.pages_read)
}

/// For people, a line for each table: "users: 2 inserted (7, 9), 1 updated (3)". "" for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_difference_text(difference: *const dbrewind_difference) -> *const c_char {
    // SAFETY: null or one that was not freed, as its comment asks.
    unsafe { difference.as_ref() }.map_or(c"".as_ptr(), |diff| diff.text.as_ptr())
}

/// How many tables, indexes, views and triggers differ.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_difference_schema_count(difference: *const dbrewind_difference) -> usize {
    // SAFETY: null or one that was not freed, as its comment asks.
    unsafe { difference.as_ref() }.map_or(0, |diff| diff.schema.len())
}

/// The one at a place, 0 to count - 1. Answers 0, or DBREWIND_INVALID_ARGUMENT: no such place, or a wrong size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_difference_schema_get(
    difference: *const dbrewind_difference,
    place: usize,
    change: *mut dbrewind_schema_change,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(std::ptr::null_mut(), || {
            let to = Place::required(change)?;
            let found = difference.as_ref().and_then(|diff| diff.schema.get(place));
            let (kind, name, how) = found.ok_or_else(|| Fault::invalid("no such place"))?;
            to.fill(dbrewind_schema_change {
                size: 0,
                kind: kind.as_ptr(),
                name: name.as_ptr(),
                how: *how,
                reserved: 0,
            });
            Ok(())
        })
    }
}

/// How many tables have rows that differ.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_difference_table_count(difference: *const dbrewind_difference) -> usize {
    // SAFETY: null or one that was not freed, as its comment asks.
    unsafe { difference.as_ref() }.map_or(0, |diff| diff.tables.len())
}

/// The name of the table at a place, 0 to count - 1; NULL: no such place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_difference_table_name(
    difference: *const dbrewind_difference,
    table: usize,
) -> *const c_char {
    // SAFETY: null or one that was not freed, as its comment asks.
    let found = unsafe { difference.as_ref() }.and_then(|diff| diff.tables.get(table));
    found.map_or(std::ptr::null(), |table| table.name.as_ptr())
}

/// How many of its rows were inserted (how: DBREWIND_CREATED), deleted (DBREWIND_DROPPED) or updated (DBREWIND_CHANGED).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_difference_row_count(
    difference: *const dbrewind_difference,
    table: usize,
    how: u32,
) -> usize {
    // SAFETY: null or one that was not freed, as its comment asks.
    unsafe { difference.as_ref() }.and_then(|diff| diff.rows(table, how)).map_or(0, Vec::len)
}

/// The key of one of these rows: its rowid, or the primary key of a table without one. NULL: no such place.
///
/// *count: nullable; how many values the key has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_difference_row(
    difference: *const dbrewind_difference,
    table: usize,
    how: u32,
    row: usize,
    count: *mut usize,
) -> *const dbrewind_value {
    // SAFETY: null or one that was not freed, as its comment asks.
    let found = unsafe { difference.as_ref() }.and_then(|diff| diff.rows(table, how)?.get(row));
    if !count.is_null() {
        // SAFETY: a place for a number, as the header asks.
        unsafe { count.write(found.map_or(0, |row| row.values.len())) };
    }
    found.map_or(std::ptr::null(), |row| row.values.as_ptr())
}

/// Frees it. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_difference_free(difference: *mut dbrewind_difference) {
    if !difference.is_null() {
        // SAFETY: it came from `Box::into_raw`, and is freed once, as its comment asks.
        drop(unsafe { Box::from_raw(difference) });
    }
}
