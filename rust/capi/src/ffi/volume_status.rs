use std::ffi::c_int;

use super::error::dbrewind_error;
use super::given::entry;
use super::status::{dbrewind_pin_list, dbrewind_status_info, tell};
use super::volume::{dbrewind_volume, volume};

/// As dbrewind_status, of a volume: how far back its history reaches, and how its marks do; the bytes and the limit are those of the store with all that is
/// recorded into it. Without the lock; also when recording has stopped.
///
/// pins: nullable; *pins is to be freed with dbrewind_pin_list_free, and NULL after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_status(
    volume: *const dbrewind_volume,
    status: *mut dbrewind_status_info,
    pins: *mut *mut dbrewind_pin_list,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            tell(status, pins, || {
                let entry = self::volume(volume)?;
                Ok((entry.database, entry.volume.status()?))
            })
        })
    }
}
