use std::fs::File;

use crate::types::ObjectId;

/// The right to change an object's history beyond appending to it: a rewind, a drain, a checkpoint.
///
/// One at a time in all threads and processes. Dropping it, or the end of the process, releases it.
#[derive(Debug)]
#[must_use = "dropping the lock releases it"]
pub struct ObjectLock {
    pub(crate) object: ObjectId,
    pub(crate) _file: File,
}

impl ObjectLock {
    /// Whose lock it is.
    #[must_use]
    pub fn object(&self) -> ObjectId {
        self.object
    }
}

/// The holder role of an object. Dropping it, or the end of the process, releases it.
#[derive(Debug)]
#[must_use = "dropping the lock gives the role up"]
pub struct HolderLock {
    pub(crate) object: ObjectId,
    pub(crate) _file: File,
}

impl HolderLock {
    /// Whose holder this is.
    #[must_use]
    pub fn object(&self) -> ObjectId {
        self.object
    }
}
