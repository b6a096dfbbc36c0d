//! What every entry does: catches panics, turns what fails into a code and an object, and looks at pointers before it uses them.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use super::database::dbrewind_db;
use super::error::dbrewind_error;
use crate::fault::Fault;
use crate::interrupt;
use crate::registry::{Entry, HANDLES};

/// A larger size is taken for garbage.
const LARGEST: usize = 4096;

/// A plain C struct: its first field is its size, and all zeros are a value of it.
///
/// # Safety
/// It is `repr(C)`, begins with a `usize`, has no padding that matters, and any bytes are a value.
pub(super) unsafe trait CStruct: Copy {
    /// What it is called in errors.
    const NAME: &'static str;
    /// Its size in the first version of the interface.
    const LEAST: usize;
}

/// Runs one entry, waits of which ask the thread's hook.
///
/// # Safety
/// `error` is null or may be written to.
pub(super) unsafe fn entry(
    error: *mut *mut dbrewind_error,
    run: impl FnOnce() -> Result<(), Fault>,
) -> c_int {
    // SAFETY: by contract.
    unsafe { entry_to_its_end(error, || interrupt::run(run)) }
}

/// Runs one entry that no hook may end.
///
/// # Safety
/// `error` is null or may be written to.
pub(super) unsafe fn entry_to_its_end(
    error: *mut *mut dbrewind_error,
    run: impl FnOnce() -> Result<(), Fault>,
) -> c_int {
    // What a panic leaves half done is the engine's, which takes care of it: its locks are released, and poisoned ones are taken as they are.
    let result = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(Fault::of_panic(&*panic)));
    let (code, object) = match result {
        Ok(()) => (0, std::ptr::null_mut()),
        Err(fault) if error.is_null() => (c_int::from(fault.code.number()), std::ptr::null_mut()),
        Err(fault) => (c_int::from(fault.code.number()), Box::into_raw(dbrewind_error::of(&fault))),
    };
    if !error.is_null() {
        // SAFETY: by contract.
        unsafe { error.write(object) };
    }
    code
}

/// What a handle stands for.
pub(super) fn database(db: *const dbrewind_db) -> Result<Arc<Entry>, Fault> {
    HANDLES.get(db.addr())
}

/// Refuses a null pointer where something is required.
pub(super) fn not_null<T>(given: *const T, name: &str) -> Result<(), Fault> {
    if given.is_null() { Err(Fault::invalid(format!("{name} is NULL"))) } else { Ok(()) }
}

/// A required C string.
///
/// # Safety
/// `given` is null or a C string that stays as long as the answer is used.
unsafe fn c_str<'a>(given: *const c_char, name: &str) -> Result<&'a CStr, Fault> {
    not_null(given, name)?;
    // SAFETY: by contract.
    Ok(unsafe { CStr::from_ptr(given) })
}

/// A required text.
///
/// # Safety
/// As for [`c_str`].
pub(super) unsafe fn text<'a>(given: *const c_char, name: &str) -> Result<&'a str, Fault> {
    // SAFETY: by contract.
    let text = unsafe { c_str(given, name) }?;
    text.to_str().map_err(|_| Fault::invalid(format!("{name} is not UTF-8: {text:?}")))
}

/// A required path.
///
/// # Safety
/// As for [`c_str`].
pub(super) unsafe fn path(given: *const c_char, name: &str) -> Result<PathBuf, Fault> {
    // SAFETY: by contract.
    let path = unsafe { c_str(given, name) }?;
    Ok(OsStr::from_bytes(path.to_bytes()).into())
}

/// A path that may be null.
///
/// # Safety
/// As for [`c_str`].
pub(super) unsafe fn optional_path(given: *const c_char, name: &str) -> Result<Option<PathBuf>, Fault> {
    // SAFETY: by contract.
    if given.is_null() { Ok(None) } else { unsafe { path(given, name) }.map(Some) }
}

/// Bytes of the caller's; null if there are none.
///
/// # Safety
/// `given` is null or points to so many bytes, which stay as long as the answer is used.
pub(super) unsafe fn bytes<'a>(given: *const c_void, length: u64, name: &str) -> Result<&'a [u8], Fault> {
    if length == 0 {
        return Ok(&[]);
    }
    let length = length_of(given, length, name)?;
    // SAFETY: by contract; not null, and no longer than a slice can be.
    Ok(unsafe { std::slice::from_raw_parts(given.cast(), length) })
}

/// Room of the caller's for bytes; null if there is none.
///
/// # Safety
/// `given` is null or points to so many bytes, which nobody else uses as long as the answer is used.
pub(super) unsafe fn bytes_to_fill<'a>(
    given: *mut c_void,
    length: u64,
    name: &str,
) -> Result<&'a mut [u8], Fault> {
    if length == 0 {
        return Ok(&mut []);
    }
    let length = length_of(given, length, name)?;
    // SAFETY: by contract; not null, and no longer than a slice can be.
    Ok(unsafe { std::slice::from_raw_parts_mut(given.cast(), length) })
}

fn length_of(given: *const c_void, length: u64, name: &str) -> Result<usize, Fault> {
    not_null(given, name)?;
    let length = usize::try_from(length).ok().filter(|length| isize::try_from(*length).is_ok());
    length.ok_or_else(|| Fault::invalid(format!("{name} is longer than the memory")))
}

/// The size that a struct of the caller's says it has.
///
/// # Safety
/// `given` points to a struct whose first field is its size.
unsafe fn size_of_given<T: CStruct>(given: *const T) -> Result<usize, Fault> {
    if !given.is_aligned() {
        return Err(Fault::invalid(format!("the {} is not aligned", T::NAME)));
    }
    // SAFETY: by contract, and aligned.
    let size = unsafe { given.cast::<usize>().read() };
    if size < T::LEAST || size > LARGEST {
        let name = T::NAME;
        let text =
            format!("{name}.size is {size}; set it to sizeof({name}), {} in this version", size_of::<T>());
        return Err(Fault::invalid(text));
    }
    Ok(size)
}

/// Copies a struct of options; null and what the caller's version does not have are zeros.
///
/// # Safety
/// `given` is null or points to as many bytes as its first field says, if that is a size that this accepts.
pub(super) unsafe fn options<T: CStruct>(given: *const T) -> Result<T, Fault> {
    let mut copy = MaybeUninit::<T>::zeroed();
    if !given.is_null() {
        // SAFETY: by contract.
        let size = unsafe { size_of_given(given) }?;
        let bytes: *const u8 = given.cast();
        for at in size_of::<T>()..size {
            // SAFETY: within the size.
            if unsafe { bytes.add(at).read() } != 0 {
                let text = format!("{} has a field that this version of the library does not know", T::NAME);
                return Err(Fault::invalid(text));
            }
        }
        // SAFETY: both have that many bytes, and do not overlap: one is ours.
        unsafe { bytes.copy_to_nonoverlapping(copy.as_mut_ptr().cast(), size.min(size_of::<T>())) };
    }
    // SAFETY: any bytes are a value of it.
    Ok(unsafe { copy.assume_init() })
}

/// A place for a struct, looked at before anything happens.
pub(super) struct Place<T> {
    at: *mut T,
    size: usize,
}

impl<T: CStruct> Place<T> {
    /// # Safety
    /// `at` is null or points to as many bytes as its first field says, if that is a size that this accepts; they stay
    /// until [`fill`](Self::fill).
    pub(super) unsafe fn required(at: *mut T) -> Result<Self, Fault> {
        if at.is_null() {
            return Err(Fault::invalid(format!("the {} is NULL", T::NAME)));
        }
        // SAFETY: by contract.
        let size = unsafe { size_of_given(at) }?;
        Ok(Self { at, size })
    }

    /// # Safety
    /// As for [`required`](Self::required).
    pub(super) unsafe fn optional(at: *mut T) -> Result<Option<Self>, Fault> {
        // SAFETY: by contract.
        if at.is_null() { Ok(None) } else { unsafe { Self::required(at) }.map(Some) }
    }

    /// Writes what the caller's version has of it, and zeros where it has more. The size stays what it was.
    pub(super) fn fill(self, value: T) {
        let known = self.size.min(size_of::<T>());
        let from: *const u8 = (&raw const value).cast();
        let to: *mut u8 = self.at.cast();
        const AFTER_SIZE: usize = size_of::<usize>();
        // SAFETY: the place has `size` bytes, of which `known` are the value's; it begins with the size.
        unsafe {
            from.add(AFTER_SIZE).copy_to_nonoverlapping(to.add(AFTER_SIZE), known - AFTER_SIZE);
            to.add(known).write_bytes(0, self.size - known);
        }
    }
}

/// A place for the pointer to a result. Holds null at once.
///
/// # Safety
/// `at` is null or may be written to.
pub(super) unsafe fn pointer_place<T>(at: *mut *mut T, name: &str) -> Result<(), Fault> {
    not_null(at, name)?;
    // SAFETY: by contract, and not null.
    unsafe { at.write(std::ptr::null_mut()) };
    Ok(())
}

/// The address of a function, as the loader gives it.
pub(super) fn address(function: Option<unsafe extern "C" fn()>) -> Option<*mut c_void> {
    function.map(|function| (function as *const ()).cast_mut().cast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(C)]
    struct Second {
        size: usize,
        first: u64,
        added: u64,
    }

    // SAFETY: three numbers, the size first.
    unsafe impl CStruct for Second {
        const NAME: &'static str = "second";
        const LEAST: usize = 16;
    }

    #[test]
    fn an_older_struct_is_read_and_filled() {
        let old: [usize; 3] = [16, 7, 99];
        // SAFETY: it has the bytes that it says.
        let read = unsafe { options(old.as_ptr().cast::<Second>()) }.unwrap();
        assert_eq!(read, Second { size: 16, first: 7, added: 0 });
        let mut old: [usize; 3] = [16, 7, 99];
        // SAFETY: it has the bytes that it says.
        let place = unsafe { Place::required(old.as_mut_ptr().cast::<Second>()) }.unwrap();
        place.fill(Second { size: 0, first: 8, added: 9 });
        assert_eq!(old, [16, 8, 99], "what is behind it is not ours");
    }

    #[test]
    fn a_newer_struct_is_read_if_nothing_is_in_what_is_new() {
        let mut new: [usize; 4] = [32, 7, 8, 0];
        // SAFETY: it has the bytes that it says.
        let read = unsafe { options(new.as_ptr().cast::<Second>()) }.unwrap();
        assert_eq!(read, Second { size: 32, first: 7, added: 8 });
        new[3] = 1 << 63;
        // SAFETY: it has the bytes that it says.
        assert!(unsafe { options(new.as_ptr().cast::<Second>()) }.is_err());
        // SAFETY: it has the bytes that it says.
        let place = unsafe { Place::required(new.as_mut_ptr().cast::<Second>()) }.unwrap();
        place.fill(Second { size: 0, first: 5, added: 6 });
        assert_eq!(new, [32, 5, 6, 0]);
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        for size in [0, 8, 15, LARGEST + 1, usize::MAX] {
            let wrong: [usize; 3] = [size, 0, 0];
            // SAFETY: only the size is read.
            let fault = unsafe { options(wrong.as_ptr().cast::<Second>()) }.unwrap_err();
            assert!(fault.text.contains("sizeof(second), 24"), "{fault:?}");
        }
    }

    #[test]
    fn a_panic_ends_at_the_boundary() {
        let mut error = std::ptr::null_mut();
        // SAFETY: a place of ours.
        let code = unsafe { entry(&raw mut error, || panic!("on purpose")) };
        assert_eq!((code, error.is_null()), (99, false));
        // SAFETY: a place of ours; null.
        let codes = unsafe {
            super::super::error::dbrewind_error_free(error);
            (entry(&raw mut error, || Ok(())), entry(std::ptr::null_mut(), || Err(Fault::invalid("x"))))
        };
        assert_eq!((codes, error.is_null()), ((0, 22), true));
    }
}
