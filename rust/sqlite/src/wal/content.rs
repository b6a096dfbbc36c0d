//! What the pages hold at a frame, taking into account what commits have cut off.

use std::collections::BTreeMap;

use super::core::Core;
use crate::digest::Digester;
use crate::error::Error;

/// Where a page's content is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum At {
    /// In this frame.
    Frame(u32),
    /// In the database file.
    Below,
    /// It was cut off, and came back without being written.
    Zeros,
}

/// The pages after some frames.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    /// Newest frame of each page that has one.
    pub(crate) frames: BTreeMap<u32, u32>,
    /// No page past this one has kept what it was below.
    pub(crate) kept: u32,
    /// Length of the database, in pages.
    pub(crate) pages: u32,
}

impl Content {
    /// Where a page up to `pages` is.
    pub(crate) fn at(&self, page: u32) -> At {
        match self.frames.get(&page) {
            Some(frame) => At::Frame(*frame),
            None if page <= self.kept => At::Below,
            None => At::Zeros,
        }
    }
}

impl Core {
    /// What frames `first` to `last`, a commit, make of what is below them.
    pub(crate) fn content(&mut self, first: u32, last: u32) -> Result<Content, Error> {
        let mut content = Content { kept: u32::MAX, ..Content::default() };
        let salt = self.runs.salt();
        for number in first..=last {
            let frame = self.wal.frame_header(number)?;
            if frame.salt != salt || frame.page == 0 {
                return Err(Error::WalDamaged { what: format!("frame {number} is not of this generation") });
            }
            content.frames.insert(frame.page, number);
            if frame.commit != 0 {
                content.pages = frame.commit;
                content.kept = content.kept.min(frame.commit);
                content.frames.split_off(&frame.commit.saturating_add(1));
            }
        }
        Ok(content)
    }

    /// The digest of the present content. The object's lock is held, so that no rewind comes between.
    pub(crate) fn digest(&mut self) -> Result<[u8; 16], Error> {
        let mut header = self.header()?;
        if let Some(frame) = self.first_unchained(&header)? {
            header = self.chain(frame, self.timeout)?;
        }
        let content = self.content(1, header.max_frame)?;
        let mut digester = Digester::new(u64::from(content.pages));
        let mut page = vec![0; self.page_size as usize];
        for number in 1..=content.pages {
            self.read_at(&content, number, &mut page)?;
            digester.page(&mut page);
        }
        Ok(digester.finish())
    }

    /// Reads a whole page of a content.
    pub(crate) fn read_at(&mut self, content: &Content, page: u32, out: &mut [u8]) -> Result<(), Error> {
        match content.at(page) {
            At::Frame(frame) => self.wal.read_page(frame, out),
            At::Below => self.read_below(page, out),
            At::Zeros => {
                out.fill(0);
                Ok(())
            }
        }
    }
}
