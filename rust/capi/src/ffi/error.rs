use std::ffi::{CStr, CString, c_char, c_int};

use crate::codes::c_string;
use crate::fault::Fault;

/// Why a call failed. The caller's, to be freed once. Does not refer to any handle.
pub struct dbrewind_error {
    code: c_int,
    text: CString,
    fields: Vec<(CString, CString)>,
}

impl dbrewind_error {
    pub(super) fn of(fault: &Fault) -> Box<Self> {
        let fields = fault.fields.iter().map(|(name, value)| (c_string(name), c_string(value)));
        Box::new(Self {
            code: c_int::from(fault.code.number()),
            text: c_string(&format!("[{}] {}", fault.code, fault.text)),
            fields: fields.collect(),
        })
    }
}

/// The number of its DBR code; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_error_code(error: *const dbrewind_error) -> c_int {
    // SAFETY: null or an error that was not freed, as its comment asks.
    unsafe { error.as_ref() }.map_or(0, |error| error.code)
}

/// What happened, why, and what helps, behind the code in brackets. Until the error is freed. "" for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_error_text(error: *const dbrewind_error) -> *const c_char {
    // SAFETY: null or an error that was not freed, as its comment asks.
    unsafe { error.as_ref() }.map_or(c"".as_ptr(), |error| error.text.as_ptr())
}

/// A detail by its name: "name" and "nearest" of DBR003, "name" of DBR023, "holder" and "waited" (seconds) of DBR004,
/// "earliest" (nanoseconds since 1970) of DBR027. NULL if there is none. Until the error is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_error_detail(
    error: *const dbrewind_error,
    name: *const c_char,
) -> *const c_char {
    if name.is_null() {
        return std::ptr::null();
    }
    // SAFETY: a C string, and null or an error that was not freed, as the header asks.
    let (error, name) = unsafe { (error.as_ref(), CStr::from_ptr(name)) };
    let found = error.and_then(|error| error.fields.iter().find(|(known, _)| known.as_c_str() == name));
    found.map_or(std::ptr::null(), |(_, value)| value.as_ptr())
}

/// Frees an error. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_error_free(error: *mut dbrewind_error) {
    if !error.is_null() {
        // SAFETY: it came from `Box::into_raw`, and is freed once, as its comment asks.
        drop(unsafe { Box::from_raw(error) });
    }
}
