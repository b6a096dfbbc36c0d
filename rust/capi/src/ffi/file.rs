use std::ffi::{c_char, c_int, c_void};

use ::dbrewind_volume::{AttachOptions, FileVolume, VolumeStore};

use super::error::dbrewind_error;
use super::given::{bytes, bytes_to_fill, entry, not_null, path};
use super::moment::dbrewind_moment;
use super::volume::{attach_by, dbrewind_volume, dbrewind_volume_options, volume};
use crate::attached::{Attached, RecordedFile};

/// Attaches to the volume of a name whose content is a file, which is made if there is none. For programs that need no more than bytes in a file: instead of
/// writing functions for dbrewind_volume_attach they read and write through the handle.
///
/// store, name, block_size, options, *volume: as in dbrewind_volume_attach. The handle goes to all dbrewind_volume functions but those by which an engine
/// tells what it does (enter, will_write, will_truncate, will_change, commit: DBR022).
/// The file is locked (flock) while a change lasts; it may be attached in many processes. Who writes to it in another way writes unrecorded. Another file under
/// the name while others have it attached is DBR004.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_attach_file(
    store: *const c_char,
    name: *const c_char,
    block_size: u32,
    file: *const c_char,
    options: *const dbrewind_volume_options,
    volume: *mut *mut dbrewind_volume,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            attach_by(store, name, options, volume, || {
                let file = path(file, "file")?;
                Ok(move |store: &VolumeStore, name: &str, how: &AttachOptions| {
                    let attached = FileVolume::attach(store, name, block_size, &file, how)?;
                    Ok(Attached::File(RecordedFile::new(attached)))
                })
            })
        })
    }
}

/// Begins a change of the file, or a look at it: locks it, for at most the timeout of the options. Until dbrewind_file_end on the same thread nobody else reads or writes.
///
/// DBR004 when it is not free in time. DBR022 when the thread has begun already. Then nothing has begun. Until the end a mark or a rewind of this thread's is
/// DBR004 at once: its own change is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_file_begin(
    volume: *const dbrewind_volume,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe { entry(error, || self::volume(volume)?.volume.file()?.begin()) }
}

/// Reads at most `length` bytes from an offset. Between begin and end.
///
/// *count: how many there are, fewer at the end of the file; 0 after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_file_read(
    volume: *const dbrewind_volume,
    offset: u64,
    to: *mut c_void,
    length: u64,
    count: *mut u64,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            not_null(count, "count")?;
            count.write(0);
            let to = bytes_to_fill(to, length, "to")?;
            let there = self::volume(volume)?.volume.file()?.within(|change| change.read_at(offset, to))?;
            count.write(there as u64);
            Ok(())
        })
    }
}

/// Writes bytes at an offset; past the end the file grows, with zeros where nothing is written. Between begin and end.
///
/// After DBR025 the file could not be written, perhaps in part. After any other error nothing is written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_file_write(
    volume: *const dbrewind_volume,
    offset: u64,
    from: *const c_void,
    length: u64,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            let from = bytes(from, length, "from")?;
            self::volume(volume)?.volume.file()?.within(|change| change.write_at(offset, from))
        })
    }
}

/// Makes the file so long, in bytes: longer, with zeros, or shorter. Between begin and end. Errors as of dbrewind_file_write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_file_truncate(
    volume: *const dbrewind_volume,
    length: u64,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe { entry(error, || self::volume(volume)?.volume.file()?.within(|change| change.set_len(length))) }
}

/// How long the file is, in bytes. Between begin and end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_file_length(
    volume: *const dbrewind_volume,
    length: *mut u64,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            not_null(length, "length")?;
            length.write(self::volume(volume)?.volume.file()?.within(|change| change.len())?);
            Ok(())
        })
    }
}

/// Ends this thread's change: what it wrote is a moment, and the file is free. Nothing is taken back; a rewind does that. Not synced: dbrewind_volume_detach
/// does, which also ends a change that was left open.
///
/// now: nullable; the new moment, or the newest one if nothing was written. After an error the change is over, too, but for DBR022: none had begun.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_file_end(
    volume: *const dbrewind_volume,
    now: *mut dbrewind_moment,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            let entry = self::volume(volume)?;
            let lsn = entry.volume.file()?.end()?;
            if !now.is_null() {
                now.write(dbrewind_moment::of(entry.database, lsn));
            }
            Ok(())
        })
    }
}
