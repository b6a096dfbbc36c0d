//! Our own descriptor on the `-wal` file. SQLite keeps no lock on that file, so that opening and closing it
//! takes nothing away from anybody; the database and its `-shm` are never opened like this.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::header::{FrameHeader, WalHeader};
use crate::checksum::Salt;
use crate::error::Error;
use crate::fault;

/// The `-wal` file of a database.
#[derive(Debug)]
pub(crate) struct WalFile {
    file: File,
    path: PathBuf,
    page_size: u32,
}

impl WalFile {
    /// Where the WAL of a database is.
    pub(crate) fn path_of(database: &Path) -> PathBuf {
        let mut name = database.as_os_str().to_owned();
        name.push("-wal");
        name.into()
    }

    /// Opens the existing WAL.
    pub(crate) fn open(database: &Path, page_size: u32) -> Result<Self, Error> {
        let path = Self::path_of(database);
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(|source| Error::Io { action: "open", path: path.clone(), source })?;
        Ok(Self { file, path, page_size })
    }

    /// Whether the descriptor is still of the file at the path.
    pub(crate) fn is_current(&self) -> bool {
        match (self.file.metadata(), std::fs::metadata(&self.path)) {
            (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }

    /// Bytes of a frame.
    pub(crate) fn frame_len(&self) -> usize {
        FrameHeader::LEN + self.page_size as usize
    }

    /// Where a frame begins; frame 0 is where the first one would end before.
    fn offset(&self, frame: u32) -> u64 {
        WalHeader::LEN as u64 + u64::from(frame.saturating_sub(1)) * self.frame_len() as u64
    }

    fn error(&self, action: &'static str) -> impl FnOnce(io::Error) -> Error + '_ {
        move |source| Error::Io { action, path: self.path.clone(), source }
    }

    /// Reads the header's bytes.
    pub(crate) fn read_header(&self) -> Result<[u8; WalHeader::LEN], Error> {
        let mut bytes = [0; WalHeader::LEN];
        self.file.read_exact_at(&mut bytes, 0).map_err(self.error("read"))?;
        Ok(bytes)
    }

    /// Reads frames from `first` on into the buffer, as many whole ones as fit.
    pub(crate) fn read_frames(&self, first: u32, buffer: &mut [u8]) -> Result<(), Error> {
        self.file.read_exact_at(buffer, self.offset(first)).map_err(self.error("read"))
    }

    /// Reads from frame `first` on what there is, at most as much as the buffer holds. Answers how much.
    pub(crate) fn read_some(&self, first: u32, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, self.offset(first) + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error("read")(error)),
            }
        }
        Ok(read)
    }

    /// Reads one frame's header.
    pub(crate) fn frame_header(&self, frame: u32) -> Result<FrameHeader, Error> {
        let mut bytes = [0; FrameHeader::LEN];
        self.read_frames(frame, &mut bytes)?;
        FrameHeader::decode(&bytes).ok_or_else(|| Error::internal("a frame header has 24 bytes"))
    }

    /// Reads one frame's page into the buffer, which has the length of a page.
    pub(crate) fn read_page(&self, frame: u32, page: &mut [u8]) -> Result<(), Error> {
        let offset = self.offset(frame) + FrameHeader::LEN as u64;
        self.file.read_exact_at(page, offset).map_err(self.error("read"))
    }

    /// Writes whole frames from `first` on. Only under WRITE, and never over a published frame that somebody
    /// may read.
    pub(crate) fn write_frames(&self, first: u32, frames: &[u8]) -> Result<(), Error> {
        if cfg!(feature = "fault") {
            // As a kill in the midst of the write leaves it.
            let half = frames.get(..frames.len() / 2).unwrap_or_default();
            self.file.write_all_at(half, self.offset(first)).map_err(self.error("write"))?;
            fault::place("wal: half of the frames");
        }
        let written = self.file.write_all_at(frames, self.offset(first));
        written.and_then(|()| fault::failure("wal: write")).map_err(self.error("write"))
    }

    /// Makes sure that no frame after this one counts, also when the wal-index is recovered from the file: the next one gets
    /// salts of no generation, or is cut off. Only under WRITE, when nothing after the frame is published.
    pub(crate) fn end_after(&self, frame: u32) -> Result<(), Error> {
        let end = self.offset(frame + 1);
        let cut = match self.file.metadata().map(|file| file.len() > end) {
            Ok(false) => Ok(()),
            _ => self.file.write_all_at(&[0; FrameHeader::LEN], end),
        };
        cut.or_else(|_| self.file.set_len(end)).map_err(self.error("end"))
    }

    /// Writes the header. Only under WRITE with everything back-filled and no reader.
    pub(crate) fn write_header(&self, header: &[u8; WalHeader::LEN]) -> Result<(), Error> {
        let written = self.file.write_all_at(header, 0);
        written.and_then(|()| fault::failure("wal: header")).map_err(self.error("write"))
    }

    /// Empties the file and removes it. Only under EXCLUSIVE on the database, with everything back-filled. Emptied first:
    /// frames that came back after a power cut would hide what is written to the database file from now on.
    pub(crate) fn remove(&self, durable: bool) -> Result<(), Error> {
        self.file.set_len(0).map_err(self.error("empty"))?;
        if durable {
            self.file.sync_all().map_err(self.error("sync"))?;
        }
        std::fs::remove_file(&self.path).map_err(self.error("remove"))
    }

    /// Leaves nothing but what the header says, without its checksum. Only under EXCLUSIVE on the database, with everything
    /// back-filled.
    pub(crate) fn cut_frames(&self) -> Result<(), Error> {
        self.file.set_len(WalHeader::SAYS as u64).map_err(self.error("cut"))
    }

    /// The salts, if that is all there is.
    pub(crate) fn bare_salt(&self) -> Option<Salt> {
        let length = self.file.metadata().ok()?.len();
        let mut bytes = [0; WalHeader::SAYS];
        self.file.read_exact_at(&mut bytes, 0).ok().filter(|()| length == bytes.len() as u64)?;
        WalHeader::salt_of(&bytes)
    }

    /// Makes the content durable.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        fault::failure("wal: sync").and_then(|()| self.file.sync_data()).map_err(self.error("sync"))
    }
}
