use std::ffi::c_char;

/// The version of this interface. It grows when a program that was compiled against an older header would break.
pub const DBREWIND_ABI_VERSION: u32 = 1;

/// DBREWIND_ABI_VERSION of the library, to be compared with the header's.
#[unsafe(no_mangle)]
pub extern "C" fn dbrewind_abi_version() -> u32 {
    DBREWIND_ABI_VERSION
}

/// The library's version, "0.1.0". For ever.
#[unsafe(no_mangle)]
pub extern "C" fn dbrewind_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
