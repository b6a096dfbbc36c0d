//! The end of WAL mode, under EXCLUSIVE on the database file: nobody else is in it.

use super::core::Core;
use crate::error::Error;
use crate::fault;
use crate::file::{self, PageOne};
use crate::options::Synchronous;

impl Core {
    /// Brings everything into the database file, removes the WAL and its index, and has page 1 say so. The
    /// object's lock and EXCLUSIVE on the database are held.
    pub(crate) fn end_wal(&mut self) -> Result<(), Error> {
        self.check_recording()?;
        self.refresh_runs()?;
        let header = self.header()?;
        self.drain_to(&header, u32::MAX)?;
        if !self.back_fill(header.max_frame)? {
            return Err(Error::Busy {
                what: "the WAL cannot be brought into the database file".to_owned(),
                holder: None,
                waited: self.timeout,
            });
        }
        let durable = self.synchronous != Synchronous::Off;
        self.wal.remove(durable)?;
        fault::place("wal end: wal removed");
        let mut start = [0; PageOne::LEN];
        self.read_below(1, &mut start)?;
        let one = PageOne::read(&start).ok_or_else(|| Error::internal("page 1 has 100 bytes"))?;
        let counter = self.counter_above(&[one.counter]);
        file::move_forward(&mut start, [1, 1], counter, one.cookie, header.pages);
        self.file.write(&start, 0).map_err(Error::vfs("write page 1"))?;
        if durable {
            self.file.sync().map_err(Error::vfs("sync the database"))?;
        }
        fault::place("wal end: page 1 written");
        self.thaw();
        self.file.shm_remove().map_err(Error::vfs("remove the wal-index"))
    }
}
