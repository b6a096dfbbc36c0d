use std::time::Duration;

/// How a volume is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachOptions {
    /// How long a call waits for a lock that somebody else holds. Default 5 s.
    pub timeout: Duration,
    /// What of a rewind waits for the disk.
    pub synchronous: Synchronous,
    /// The content is a new one, which has nothing to do with what was recorded: earlier marks are lost.
    pub anew: bool,
}

impl Default for AttachOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), synchronous: Synchronous::default(), anew: false }
    }
}

impl AttachOptions {
    /// The default for content that begins with this process: an engine in memory.
    #[must_use]
    pub fn anew() -> Self {
        Self { anew: true, ..Self::default() }
    }
}

/// What of a rewind waits for the disk. Nothing does for a medium that does not [sync](crate::Storage::syncs).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Synchronous {
    /// Nothing: a power cut in a rewind may leave a part of it.
    Off,
    /// A power cut in a rewind leaves the old or the new state, once somebody has attached again.
    #[default]
    Normal,
}
