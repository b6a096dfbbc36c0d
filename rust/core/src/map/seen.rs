//! What tests see of the disk, and tell of it, each on its own thread.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

thread_local! {
    /// Room on disk, instead of what there is.
    pub(crate) static FREE: Cell<Option<u64>> = const { Cell::new(None) };
    /// Up to where a mapping was synced last.
    pub(crate) static SYNCED_UPTO: Cell<u32> = const { Cell::new(0) };
    /// The inodes of what was synced, in this order.
    pub(crate) static SYNCED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn synced(file: &File) -> io::Result<()> {
    let inode = file.metadata()?.ino();
    SYNCED.with_borrow_mut(|synced| synced.push(inode));
    Ok(())
}
