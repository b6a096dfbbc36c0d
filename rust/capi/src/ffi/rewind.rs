use std::ffi::c_int;

use dbrewind_sqlite::Method;

use super::database::dbrewind_db;
use super::error::dbrewind_error;
use super::given::{CStruct, Place, database, entry, options};
use super::moment::{dbrewind_moment, dbrewind_target};
use super::options::dbrewind_rewind_options;

/// method: the end of the WAL was moved, whatever differed.
pub const DBREWIND_MOVED: u32 = 1;
/// method: the pages that differ were written.
pub const DBREWIND_WRITTEN: u32 = 2;
/// method: the database was in that state already.
pub const DBREWIND_NOTHING: u32 = 3;

/// What a rewind did.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct dbrewind_rewound {
    /// sizeof(dbrewind_rewound)
    pub size: usize,
    /// The moment whose state the database has now.
    pub to: dbrewind_moment,
    /// The moment just before: rewind to it to take the rewind back.
    pub undo: dbrewind_moment,
    /// When `to` was the newest moment for the first time.
    pub time: u64,
    /// Pages that were written.
    pub pages: u64,
    /// How long it took, waiting included.
    pub seconds: f64,
    /// DBREWIND_MOVED, ...
    pub method: u32,
    /// 0
    pub reserved: u32,
}

// SAFETY: numbers, the size first.
unsafe impl CStruct for dbrewind_rewound {
    const NAME: &'static str = "dbrewind_rewound";
    const LEAST: usize = size_of::<Self>();
}

/// Makes the database what it was at a moment, earlier or later than now, in place. Every connection, in any process, stays open.
///
/// how: nullable. rewound: nullable. The rewind is recorded, too; rewinding to rewound->undo takes it back. Waits for open
/// write transactions, and in the rollback modes for readers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dbrewind_rewind(
    db: *const dbrewind_db,
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
            let entry = database(db)?;
            let done = entry.handle.rewind(&to.resolve(&entry)?, how)?;
            if let Some(place) = place {
                place.fill(dbrewind_rewound {
                    size: 0,
                    to: dbrewind_moment::new(&entry, done.to),
                    undo: dbrewind_moment::new(&entry, done.undo),
                    time: done.time.get(),
                    pages: done.pages,
                    seconds: done.seconds,
                    method: match done.method {
                        Method::Moved => DBREWIND_MOVED,
                        Method::Written => DBREWIND_WRITTEN,
                        Method::Nothing => DBREWIND_NOTHING,
                    },
                    reserved: 0,
                });
            }
            Ok(())
        })
    }
}
