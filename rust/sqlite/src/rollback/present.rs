use crate::file::Header;

/// The database file under a lock: nobody writes, and no hot journal is waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present {
    /// What page 1 says; `None`: the file is empty.
    pub(crate) header: Option<Header>,
    /// Size in bytes.
    pub(crate) size: u64,
}

impl Present {
    /// The change counter, 0 in an empty file.
    pub(crate) fn counter(&self) -> u32 {
        self.header.map_or(0, |header| header.counter)
    }

    /// The schema cookie, 0 in an empty file.
    pub(crate) fn cookie(&self) -> u32 {
        self.header.map_or(0, |header| header.cookie)
    }
}
