//! Which blocks a rewind writes, and what it writes there.

use dbrewind_core::{Kind, Location, Lsn, Plan, Source, fault};

use crate::blocks::LENGTH;
use crate::content::Content;
use crate::error::Error;
use crate::volume::Volume;

/// A block that differs.
#[derive(Clone, Copy, Debug)]
struct Differing {
    key: u64,
    /// Its content at the target; `None`: zeros.
    then: Option<Location>,
    /// What a rewind has saved of it; `None`: it was not there.
    now: Option<Location>,
}

/// What leads from the present content to the target.
#[derive(Debug)]
pub(crate) struct Differences {
    /// Ascending.
    blocks: Vec<Differing>,
    /// Blocks that go away, and what was saved of them.
    cut: Vec<(u64, Location)>,
    /// The length before and after, in bytes.
    size: (u64, u64),
}

impl Volume {
    /// Compares the blocks of a plan with the content, which is `size` bytes long; saves those that differ under the rewind's LSN, if
    /// there is one.
    pub(crate) fn compare(&self, plan: &Plan, size: u64, own: Option<Lsn>) -> Result<Differences, Error> {
        let then = self.length_at(plan, size)?;
        if self.extent(then) != plan.extent {
            return Err(Error::Damaged { what: "the length at the target is not that of its blocks" });
        }
        let extent = self.extent(size).get();
        let mut found = Differences { blocks: Vec::new(), cut: Vec::new(), size: (size, then) };
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for (key, source) in &plan.items {
            let key = key.get();
            if self.content.is_length(key) || (key <= extent && *source == Source::Current) {
                continue;
            }
            let then = self.image(*source, &mut there)?;
            self.content.check_image(&there)?;
            let mut now = None;
            if key <= extent && self.is_readable(key, size, &mut here, own)? {
                if here == there {
                    continue;
                }
                now = self.save_own(key, &here, own)?;
            }
            found.blocks.push(Differing { key, then, now });
        }
        if own.is_some() {
            // Not `+ 1`: records have the highest extent that there is.
            for key in (plan.extent.get()..extent).map(|before| before + 1) {
                self.content.read_image(key, size, &mut here)?;
                if let Some(at) = self.save_own(key, &here, own)? {
                    found.cut.push((key, at));
                }
            }
            if size != then {
                self.save_own(LENGTH, &size.to_le_bytes(), own)?;
            }
        }
        Ok(found)
    }

    /// Reads what a key has now. `false`: whoever died within a write of it has left what the engine cannot read, and it is written
    /// anew. That is so at the end of a rewind only, when all was saved long ago.
    fn is_readable(&self, key: u64, size: u64, here: &mut Vec<u8>, own: Option<Lsn>) -> Result<bool, Error> {
        match (self.content.read_image(key, size, here), &self.content, own) {
            (Ok(()), _, _) => Ok(true),
            (Err(_), Content::Records(_), None) => Ok(false),
            (Err(error), _, _) => Err(error),
        }
    }

    fn save_own(&self, key: u64, image: &[u8], own: Option<Lsn>) -> Result<Option<Location>, Error> {
        let Some(own) = own else { return Ok(None) };
        let at =
            self.store.append(self.head(Kind::Before, key, own), &[self.content.shortened(key, image)])?;
        fault::place("volume rewind: one saved");
        Ok(Some(at))
    }

    /// The length at the target.
    fn length_at(&self, plan: &Plan, size: u64) -> Result<u64, Error> {
        let what = "the length at the target";
        match plan.items.first().filter(|(key, _)| self.content.is_length(key.get())) {
            None | Some((_, Source::Current)) => Ok(size),
            Some((_, Source::Record(at))) => {
                let body = self.store.read(*at)?.body;
                body.try_into().map(u64::from_le_bytes).map_err(|_| Error::Damaged { what })
            }
            Some(_) => Err(Error::Damaged { what }),
        }
    }

    /// Reads an image; answers where it is.
    fn image(&self, source: Source, into: &mut Vec<u8>) -> Result<Option<Location>, Error> {
        match source {
            Source::Record(at) => {
                self.store.read_into(at, into)?;
                self.content.lengthen(into);
                Ok(Some(at))
            }
            // Past the end now, and never saved: nothing was ever there.
            Source::Zero | Source::Current => {
                self.content.empty_image(into);
                Ok(None)
            }
            Source::Base => Err(Error::Damaged { what: "its eras are not all of before-images" }),
        }
    }

    fn write_image(
        &self,
        key: u64,
        at: Option<Location>,
        size: u64,
        image: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.image(at.map_or(Source::Zero, Source::Record), image)?;
        self.content.write_image(key, size, image)
    }
}

impl Differences {
    /// How many blocks are written or cut off.
    pub(crate) fn len(&self) -> u64 {
        (self.blocks.len() + self.cut.len()) as u64
    }

    /// Whether the content is the target's.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0 && self.size.0 == self.size.1
    }

    /// Makes the content the target's.
    pub(crate) fn write(&self, volume: &Volume) -> Result<(), Error> {
        let (before, after) = self.size;
        let mut image = Vec::new();
        if after > before {
            volume.content.set_length(after)?;
        }
        for block in &self.blocks {
            volume.write_image(block.key, block.then, after, &mut image)?;
            fault::place("volume rewind: one written");
        }
        if after < before {
            volume.content.set_length(after)?;
        }
        Ok(())
    }

    /// Makes the content what it was, however much was written. All that differs was saved.
    pub(crate) fn take_back(&self, volume: &Volume) -> Result<(), Error> {
        let before = self.size.0;
        let mut image = Vec::new();
        if volume.size()? != before {
            volume.content.set_length(before)?;
        }
        let blocks = self.blocks.iter().filter_map(|block| Some((block.key, block.now?)));
        for (key, at) in blocks.chain(self.cut.iter().copied()) {
            volume.write_image(key, Some(at), before, &mut image)?;
        }
        Ok(())
    }
}
