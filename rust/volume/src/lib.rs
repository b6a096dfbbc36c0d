//! The storage of engines that are not SQLite, recorded block by block and rewound in place.
//!
//! An engine gives a [`Medium`], through which its content is read and written, says [`will_write`](Volume::will_write) before
//! it overwrites anything, and [`commit`](Volume::commit) after. In return any [mark](Volume::mark) can be
//! [gone back to](Volume::rewind), and forth again. `rust/docs/volumes.md` is the page behind it.
//!
//! ```
//! use dbrewind_volume::{AttachOptions, Memory, Volume, VolumeStore};
//!
//! # let folder = tempfile::tempdir()?;
//! let store = VolumeStore::open(&folder.path().join("history"), &Default::default())?;
//! let memory = Memory::new(&[0; 8192]);
//! let volume = Volume::attach(&store, "table", 4096, memory.clone(), &AttachOptions::anew())?;
//! volume.mark("empty")?;
//!
//! let mut memory_lock = memory.locked(); // the engine's own lock
//! volume.enter()?;
//! volume.will_write(5000, 3)?;
//! memory_lock.edit(|bytes| bytes[5000..5003].copy_from_slice(b"abc"));
//! volume.commit()?;
//! drop(memory_lock);
//!
//! let rewound = volume.rewind("empty")?;
//! assert_eq!(memory.locked().content()[5000], 0);
//! volume.rewind(rewound.undo)?;
//! assert_eq!(memory.locked().content()[5000], b'a');
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attach;
mod blocks;
mod catalog;
mod content;
mod differences;
mod error;
mod file;
mod forget;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod intent;
mod marks;
mod medium;
mod memory;
mod options;
mod recorder;
mod registers;
mod resolve;
mod rewind;
mod settle;
mod status;
mod store;
mod turn;
mod volume;

pub use catalog::Listed;
pub use content::LONGEST_RECORD;
pub use dbrewind_core::{
    Code, Lsn, MarkCounts, MarkName, MarkState, Pin, RewindOptions, Status, Target, TargetError, Timestamp,
    WindowState, interruptible,
};
pub use error::Error;
pub use file::{FileChange, FileVolume};
pub use marks::Mark;
pub use medium::{KeyedMedium, Medium, Storage};
pub use memory::{Memory, MemoryGuard};
pub use options::{AttachOptions, Synchronous};
pub use rewind::Rewound;
pub use store::{StoreSettings, VolumeStore};
pub use volume::Volume;
