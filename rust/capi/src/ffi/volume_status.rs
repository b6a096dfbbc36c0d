use std::ffi::c_int;

use dbrewind_sqlite::{MarkCounts, Pin, Status};

use super::error::dbrewind_error;
use super::given::entry;
use super::status::{dbrewind_pin_list, dbrewind_status_info, tell};
use super::volume::{dbrewind_volume, volume};

/// A volume's marks cost what differs: none is hot.
fn status_of(found: ::dbrewind_volume::Status) -> Status {
    let pins = found.pins.into_iter().map(|pin| Pin {
        name: pin.name.to_string(),
        lsn: pin.lsn,
        time: pin.time,
        bytes: pin.bytes,
    });
    let ::dbrewind_volume::MarkCounts { kept, evicted, lost } = found.marks;
    Status {
        state: found.state,
        used: found.used,
        raw: found.raw,
        sealed: found.sealed,
        limit: found.limit,
        target: found.target,
        window: found.window,
        earliest: found.earliest,
        forecast: found.forecast,
        pins: pins.collect(),
        marks: MarkCounts { hot: 0, archived: kept, evicted, lost },
        waits_for: found.waits_for,
    }
}

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
                Ok((entry.database, status_of(entry.volume.status()?)))
            })
        })
    }
}
