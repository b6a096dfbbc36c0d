use std::ffi::{CString, c_char, c_int, c_void};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::dbrewind_volume::{
    AttachOptions, Error, Mark, StoreSettings, Synchronous, Target, Volume, VolumeStore,
};

use super::error::dbrewind_error;
use super::given::{
    CStruct, Place, bytes, entry, entry_to_its_end, not_null, options, path, pointer_place, text,
};
use super::marks::{DBREWIND_PIN, dbrewind_mark_info, dbrewind_mark_list, state_number};
use super::medium::{Functions, GivenMedium, dbrewind_medium, refuse_inside};
use super::moment::{dbrewind_moment, dbrewind_target};
use super::options::{
    DBREWIND_SYNCHRONOUS_NORMAL, DBREWIND_SYNCHRONOUS_OFF, dbrewind_rewind_options, int, only, timeout,
};
use super::rewind::{DBREWIND_NOTHING, DBREWIND_WRITTEN, dbrewind_rewound};
use crate::attached::Attached;
use crate::codes::c_string;
use crate::fault::Fault;
use crate::moment::database_number;
use crate::registry::{VOLUMES, VolumeEntry};

/// The content of an engine that is not SQLite, being recorded. Any thread may use it, until dbrewind_volume_detach; a later use is an error
/// (DBR019).
pub struct dbrewind_volume {
    _number: [u8; 0],
}

/// flags of dbrewind_volume_options: the content is a new one, as of an engine in memory that has just begun; earlier marks are lost.
pub const DBREWIND_VOLUME_ANEW: u32 = 1;

/// How a volume is attached. Zero is the default everywhere.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_volume_options {
    /// sizeof(dbrewind_volume_options)
    pub size: usize,
    /// How long a call waits for a lock that somebody else holds, in ms. 0: 5000. Negative: not at all.
    pub timeout_ms: i64,
    /// Limit of the store in bytes, 1 MiB or more, from now on and for all who record into it. 0: as it is, 16 GiB in a new one.
    pub limit: u64,
    /// How far back the store shall reach, in seconds, from now on and for all. 0: as it is, 72 h in a new one.
    pub window_s: u64,
    /// DBREWIND_SYNCHRONOUS_OFF or DBREWIND_SYNCHRONOUS_NORMAL, the default: a power cut in a rewind leaves the old or the new content, if the
    /// medium has sync.
    pub synchronous: u32,
    /// DBREWIND_VOLUME_ANEW
    pub flags: u32,
}

// SAFETY: numbers, the size first.
unsafe impl CStruct for dbrewind_volume_options {
    const NAME: &'static str = "dbrewind_volume_options";
    const LEAST: usize = size_of::<Self>();
}

impl dbrewind_volume_options {
    fn read(&self) -> Result<(StoreSettings, AttachOptions), Fault> {
        only("flags", self.flags, DBREWIND_VOLUME_ANEW)?;
        let default = AttachOptions::default();
        let attach = AttachOptions {
            timeout: timeout(self.timeout_ms).unwrap_or(default.timeout),
            synchronous: match self.synchronous {
                0 | DBREWIND_SYNCHRONOUS_NORMAL => Synchronous::Normal,
                DBREWIND_SYNCHRONOUS_OFF => Synchronous::Off,
                other => return Err(Fault::invalid(format!("synchronous is {other}; it must be 0 to 2"))),
            },
            anew: self.flags & DBREWIND_VOLUME_ANEW != 0,
        };
        let window = (self.window_s != 0).then(|| Duration::from_secs(self.window_s));
        Ok((StoreSettings { limit: (self.limit != 0).then_some(self.limit), window }, attach))
    }
}

/// What a handle stands for.
pub(super) fn volume(volume: *const dbrewind_volume) -> Result<Arc<VolumeEntry>, Fault> {
    refuse_inside()?;
    VOLUMES.get(volume.addr())
}

impl dbrewind_target {
    /// # Safety
    /// Its text is null or a C string.
    unsafe fn in_volume(&self, entry: &VolumeEntry) -> Result<Target, Fault> {
        // SAFETY: by contract.
        match unsafe { self.read(entry.database, || format!("volume than {:?}", entry.volume.name())) }? {
            Some(target) => Ok(target),
            None => Ok(entry.volume.now()?.into()),
        }
    }
}

/// What attaching does for all kinds of content. `content` looks at the arguments that tell of it, before a store is made; what it answers attaches.
///
/// # Safety
/// As the header says of these pointers.
pub(super) unsafe fn attach_by<A>(
    store: *const c_char,
    name: *const c_char,
    options: *const dbrewind_volume_options,
    volume: *mut *mut dbrewind_volume,
    content: impl FnOnce() -> Result<A, Fault>,
) -> Result<(), Fault>
where
    A: FnOnce(&VolumeStore, &str, &AttachOptions) -> Result<Attached, Fault>,
{
    // SAFETY: by contract.
    unsafe {
        pointer_place(volume, "volume")?;
        let attach = content()?;
        refuse_inside()?;
        let (folder, name) = (path(store, "store")?, text(name, "name")?);
        let (settings, how) = super::given::options(options)?.read()?;
        if folder == Path::new("") {
            return Err(Fault::invalid("store is empty; name a folder"));
        }
        let store = VolumeStore::open(&folder, &settings)?;
        let number = database_number(&store.folder().join("volume").join(name));
        let attached = attach(&store, name, &how)?;
        let handle = VOLUMES.insert(VolumeEntry { volume: attached, database: number })?;
        volume.write(std::ptr::without_provenance_mut(handle));
        Ok(())
    }
}

/// The same for what an engine's functions read and write.
///
/// # Safety
/// As the header says of these pointers.
pub(super) unsafe fn attach<T: GivenMedium>(
    store: *const c_char,
    name: *const c_char,
    medium: *const T,
    options: *const dbrewind_volume_options,
    volume: *mut *mut dbrewind_volume,
    attach: impl FnOnce(&VolumeStore, &str, Functions<T>, &AttachOptions) -> Result<Volume, Error>,
) -> Result<(), Fault> {
    // SAFETY: by contract.
    unsafe {
        attach_by(store, name, options, volume, || {
            not_null(medium, "medium")?;
            let functions = Functions::new(super::given::options(medium)?)?;
            Ok(move |store: &VolumeStore, name: &str, how: &AttachOptions| {
                Ok(Attached::Engine(Box::new(attach(store, name, functions, how)?)))
            })
        })
    }
}

/// Attaches to the volume of a name, with its history in a folder, which is made if there is none. Its content is recorded from now on.
///
/// block_size: a power of two from 16 to 1048576, the same for ever. options: nullable. *volume: the handle; NULL after an error.
/// The lock is taken. DBREWIND_VOLUME_ANEW while others have the volume attached is DBR004; so is a medium whose identity is another than that of the content
/// which others have attached under the name. What a process has left that died within a change or a rewind is settled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_attach(
    store: *const c_char,
    name: *const c_char,
    block_size: u32,
    medium: *const dbrewind_medium,
    options: *const dbrewind_volume_options,
    volume: *mut *mut dbrewind_volume,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            attach(store, name, medium, options, volume, |store, name, functions, how| {
                Volume::attach(store, name, block_size, functions, how)
            })
        })
    }
}

/// Ends recording. Marks stay valid until somebody writes unrecorded. Takes the lock.
///
/// volume: nullable. The handle is detached after an error, too. Calls that run on other threads must have returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_detach(
    volume: *mut dbrewind_volume,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry_to_its_end(error, || {
            refuse_inside()?;
            if volume.is_null() {
                return Ok(());
            }
            let entry = VOLUMES.remove(volume.addr())?;
            entry.volume.let_go();
            Ok(entry.volume.detach()?)
        })
    }
}

/// Lets go of a volume without calling its medium: what is in flight is left as by a process that was killed, and settled by whoever enters it next. For an
/// engine whose content goes away before its volume. Later calls are an error (DBR019), as after dbrewind_volume_detach.
///
/// volume: nullable. Calls that run on other threads must have returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_abandon(
    volume: *mut dbrewind_volume,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry_to_its_end(error, || {
            refuse_inside()?;
            if volume.is_null() {
                return Ok(());
            }
            let entry = VOLUMES.remove(volume.addr())?;
            entry.volume.abandon();
            entry.volume.let_go();
            Ok(())
        })
    }
}

/// Forgets a volume: its marks are dropped, pinned ones too, and its history no longer keeps the store from evicting. Whoever attaches to the name later begins
/// anew.
///
/// DBR004 while somebody has it attached, DBR022 if there is none. store: as in dbrewind_volume_attach.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_forget(
    store: *const c_char,
    name: *const c_char,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            refuse_inside()?;
            let (folder, name) = (path(store, "store")?, text(name, "name")?);
            if !folder.join("control").exists() {
                return Err(Fault::invalid(format!("{folder:?} is no store")));
            }
            Ok(VolumeStore::open(&folder, &StoreSettings::default())?.forget(name)?)
        })
    }
}

/// Begins to use the content, reading included: with the lock held, first thing. Settles what a dead process has left; calls after_rewind if
/// anybody has rewound since. After an error do not read the content.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_enter(
    volume: *const dbrewind_volume,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe { entry(error, || Ok(self::volume(volume)?.volume.engine()?.enter()?)) }
}

/// Says that so many bytes are about to be written, also past the end: with the lock held, before the write.
///
/// After an error recording has stopped, and all marks are lost; the write may go ahead. Unless it is refused for what it is (DBR019,
/// DBR020, DBR022), or enter has failed: then nothing may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_will_write(
    volume: *const dbrewind_volume,
    offset: u64,
    length: u64,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe { entry(error, || Ok(self::volume(volume)?.volume.engine()?.will_write(offset, length)?)) }
}

/// The same from an engine that has the present content at hand: `old` is what stands at `offset` and behind it, as far as the content goes. Blocks that it
/// covers are not read: it is believed.
///
/// old: nullable if old_length is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_will_write_with(
    volume: *const dbrewind_volume,
    offset: u64,
    length: u64,
    old: *const c_void,
    old_length: u64,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            let entry = self::volume(volume)?;
            let old = bytes(old, old_length, "old")?;
            Ok(entry.volume.engine()?.will_write_with(offset, length, old)?)
        })
    }
}

/// Says that the content is about to get this length, in bytes: as dbrewind_volume_will_write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_will_truncate(
    volume: *const dbrewind_volume,
    length: u64,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe { entry(error, || Ok(self::volume(volume)?.volume.engine()?.will_truncate(length)?)) }
}

/// Says that a change is complete: with the lock held, after the last write. now: nullable; the new moment, or the newest one if nothing has changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_commit(
    volume: *const dbrewind_volume,
    now: *mut dbrewind_moment,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            let entry = self::volume(volume)?;
            let lsn = entry.volume.engine()?.commit()?;
            if !now.is_null() {
                now.write(dbrewind_moment::of(entry.database, lsn));
            }
            Ok(())
        })
    }
}

fn info(entry: &VolumeEntry, mark: &Mark, name: *const c_char) -> dbrewind_mark_info {
    dbrewind_mark_info {
        size: 0,
        name,
        moment: dbrewind_moment::of(entry.database, mark.lsn),
        time: mark.time.get(),
        pages: mark.blocks,
        state: state_number(mark.state),
        pinned: int(mark.pinned),
    }
}

/// Names the newest moment. Takes the lock.
///
/// flags: 0 or DBREWIND_PIN. mark: nullable; `pages` are blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_mark(
    volume: *const dbrewind_volume,
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
            let (entry, called) = (self::volume(volume)?, text(name, "name")?);
            let made = match flags {
                DBREWIND_PIN => entry.volume.mark_pinned(called)?,
                _ => entry.volume.mark(called)?,
            };
            if let Some(place) = place {
                place.fill(info(&entry, &made, name));
            }
            Ok(())
        })
    }
}

/// All marks, oldest first; `pages` are blocks. *marks: to be freed with dbrewind_mark_list_free; NULL after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_marks(
    volume: *const dbrewind_volume,
    marks: *mut *mut dbrewind_mark_list,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            pointer_place(marks, "marks")?;
            let entry = self::volume(volume)?;
            let named = |mark: Mark| -> (CString, dbrewind_mark_info) {
                (c_string(&mark.name), info(&entry, &mark, std::ptr::null()))
            };
            marks.write(dbrewind_mark_list::given(entry.volume.marks()?, named));
            Ok(())
        })
    }
}

/// Forgets a mark. The history stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_drop(
    volume: *const dbrewind_volume,
    name: *const c_char,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe { entry(error, || Ok(self::volume(volume)?.volume.drop_mark(text(name, "name")?)?)) }
}

/// Makes the content what it was at a mark or a moment, earlier or later than now, in place. Takes the lock.
///
/// how: nullable. rewound: nullable; `pages` are blocks. Rewinding to rewound->undo takes it back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_rewind(
    volume: *const dbrewind_volume,
    to: dbrewind_target,
    how: *const dbrewind_rewind_options,
    rewound: *mut dbrewind_rewound,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            let place = Place::optional(rewound)?;
            let how = options(how)?.read()?;
            let entry = self::volume(volume)?;
            let target = to.in_volume(&entry)?;
            let done = entry.volume.rewind_with(target, how)?;
            if let Some(place) = place {
                place.fill(dbrewind_rewound {
                    size: 0,
                    to: dbrewind_moment::of(entry.database, done.to),
                    undo: dbrewind_moment::of(entry.database, done.undo),
                    time: done.time.get(),
                    pages: done.blocks,
                    seconds: done.seconds,
                    method: if done.undo == done.to { DBREWIND_NOTHING } else { DBREWIND_WRITTEN },
                    reserved: 0,
                });
            }
            Ok(())
        })
    }
}

/// The newest moment: of the newest commit or rewind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_now(
    volume: *const dbrewind_volume,
    now: *mut dbrewind_moment,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            not_null(now, "now")?;
            let entry = self::volume(volume)?;
            now.write(dbrewind_moment::of(entry.database, entry.volume.now()?));
            Ok(())
        })
    }
}

/// Whether anything was committed since a mark or a moment: *dirty is 1 or 0. Takes the same time for any change.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_volume_dirty_since(
    volume: *const dbrewind_volume,
    to: dbrewind_target,
    dirty: *mut c_int,
    error: *mut *mut dbrewind_error,
) -> c_int {
    // SAFETY: the caller owes what the header says of these pointers.
    unsafe {
        entry(error, || {
            not_null(dirty, "dirty")?;
            let entry = self::volume(volume)?;
            dirty.write(int(entry.volume.dirty_since(to.in_volume(&entry)?)?));
            Ok(())
        })
    }
}
