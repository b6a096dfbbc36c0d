use std::ffi::{c_char, c_int, c_void};
use std::io;
use std::mem::offset_of;

use ::dbrewind_volume::{KeyedMedium, LONGEST_RECORD, Volume};

use super::error::dbrewind_error;
use super::given::{CStruct, bytes, entry};
use super::medium::{Functions, GivenMedium, StorageFunctions, call};
use super::volume::{attach, dbrewind_volume, dbrewind_volume_options, volume};

/// The length of a record that is not there.
pub const DBREWIND_ABSENT: u64 = u64::MAX;

/// Content that is records of any length, 16 MiB at most, each under a number: rows, entries, buckets. As dbrewind_medium in all that both have; the
/// functions get a key, any number but UINT64_MAX.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_keyed_medium {
    /// sizeof(dbrewind_keyed_medium)
    pub size: usize,
    /// Passed to each function. Nullable.
    pub user: *mut c_void,
    /// Puts the record at `to`, or as much of it as `room` bytes hold, and its whole length in *length, or DBREWIND_ABSENT if there is none. It is called
    /// again with more room if that was too little.
    pub read: Option<
        unsafe extern "C" fn(
            user: *mut c_void,
            key: u64,
            to: *mut c_void,
            room: usize,
            length: *mut u64,
        ) -> c_int,
    >,
    /// Makes these bytes the record, whether there is one or not. Only a rewind does.
    pub write: Option<
        unsafe extern "C" fn(user: *mut c_void, key: u64, from: *const c_void, length: usize) -> c_int,
    >,
    /// Removes the record, if there is one. Only a rewind does.
    pub remove: Option<unsafe extern "C" fn(user: *mut c_void, key: u64) -> c_int>,
    /// As in dbrewind_medium.
    pub lock: Option<unsafe extern "C" fn(user: *mut c_void, timeout_ms: u64) -> c_int>,
    /// As in dbrewind_medium.
    pub unlock: Option<unsafe extern "C" fn(user: *mut c_void)>,
    /// As in dbrewind_medium.
    pub sync: Option<unsafe extern "C" fn(user: *mut c_void) -> c_int>,
    /// As in dbrewind_medium.
    pub stamp: Option<
        unsafe extern "C" fn(user: *mut c_void, to: *mut u8, room: usize, length: *mut usize) -> c_int,
    >,
    /// As in dbrewind_medium.
    pub after_rewind: Option<unsafe extern "C" fn(user: *mut c_void, lsn: u64)>,
    /// As in dbrewind_medium.
    pub identity: Option<
        unsafe extern "C" fn(user: *mut c_void, to: *mut u8, room: usize, length: *mut usize) -> c_int,
    >,
}

// SAFETY: numbers and pointers to data and functions, which may all be null, the size first.
unsafe impl CStruct for dbrewind_keyed_medium {
    const NAME: &'static str = "dbrewind_keyed_medium";
    const LEAST: usize = offset_of!(Self, identity);
}

impl GivenMedium for dbrewind_keyed_medium {
    fn required(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("read", self.read.is_some()),
            ("write", self.write.is_some()),
            ("remove", self.remove.is_some()),
        ]
    }

    fn storage(&self) -> StorageFunctions {
        let Self { user, lock, unlock, sync, stamp, after_rewind, identity, .. } = *self;
        StorageFunctions { user, lock, unlock, sync, stamp, after_rewind, identity }
    }
}

/// What a record is first read into, in bytes.
const ROOM: usize = 1024;
/// What a function leaves that says no length.
const UNSAID: u64 = DBREWIND_ABSENT - 1;

impl KeyedMedium for Functions<dbrewind_keyed_medium> {
    fn read(&self, key: u64, into: &mut Vec<u8>) -> io::Result<bool> {
        let Self { given, .. } = self;
        let mut room = into.capacity().clamp(ROOM, LONGEST_RECORD);
        loop {
            into.resize(room, 0);
            let mut length = UNSAID;
            // SAFETY: the caller's function, its argument, room for as many bytes as it is told, and a place for their number.
            call(given.read, |read| unsafe {
                read(given.user, key, into.as_mut_ptr().cast(), room, &raw mut length)
            })?;
            match length {
                DBREWIND_ABSENT => {
                    into.clear();
                    return Ok(false);
                }
                UNSAID => return Err(io::Error::other("read has not said how long the record is")),
                _ => {}
            }
            // One that is too long is refused for its length.
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(LONGEST_RECORD + 1);
            if length <= room || length > LONGEST_RECORD {
                into.resize(length, 0);
                return Ok(true);
            }
            room = length;
        }
    }

    fn write(&self, key: u64, record: &[u8]) -> io::Result<()> {
        let Self { given, .. } = self;
        // SAFETY: the caller's function, its argument, and so many bytes.
        call(given.write, |write| unsafe { write(given.user, key, record.as_ptr().cast(), record.len()) })
    }

    fn remove(&self, key: u64) -> io::Result<()> {
        let Self { given, .. } = self;
        // SAFETY: the caller's function and its argument.
        call(given.remove, |remove| unsafe { remove(given.user, key) })
    }
}

/// Attaches to the volume of a name, the content of which is records under keys; as dbrewind_volume_attach in all else. One with blocks and the same name
/// is another volume.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_attach_keyed(
    store: *const c_char,
    name: *const c_char,
    medium: *const dbrewind_keyed_medium,
    options: *const dbrewind_volume_options,
    volume: *mut *mut dbrewind_volume,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            attach(store, name, medium, options, volume, |store, name, functions, how| {
                Volume::attach_keyed(store, name, functions, how)
            })
        })
    }
}

/// Says that the record under a key is about to be inserted, changed or removed: with the lock held, before it is. Errors as those of
/// dbrewind_volume_will_write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_will_change(
    volume: *const dbrewind_volume,
    key: u64,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe { entry(error, || Ok(self::volume(volume)?.volume.engine()?.will_change(key)?)) }
}

/// The same from an engine that has the present record at hand, which is not read then: it is believed.
///
/// old_length: DBREWIND_ABSENT if there is none. old: nullable if there are no bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_will_change_with(
    volume: *const dbrewind_volume,
    key: u64,
    old: *const c_void,
    old_length: u64,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            let entry = self::volume(volume)?;
            let old = match old_length {
                DBREWIND_ABSENT => None,
                _ => Some(bytes(old, old_length, "old")?),
            };
            Ok(entry.volume.engine()?.will_change_with(key, old)?)
        })
    }
}
