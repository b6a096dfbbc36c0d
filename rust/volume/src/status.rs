//! What a user wants to know of a volume's history.

use dbrewind_core::Status;

use crate::error::Error;
use crate::volume::Volume;

impl Volume {
    /// How far back the history reaches, what the store takes, and how the marks do: none is hot. Without the engine's lock; also when recording has
    /// stopped.
    ///
    /// # Errors
    /// As [`marks`](Self::marks).
    pub fn status(&self) -> Result<Status, Error> {
        let marks = self.marks()?;
        let window = self.store.window(self.object, &|_| true)?;
        Ok(Status::new(window, marks.iter().map(|mark| mark.state)))
    }
}
