//! The two kinds of content: blocks of one size, and records under keys. What an image of each is, how it is read and written.

use std::fmt;

use dbrewind_core::Extent;

use crate::blocks::{Blocks, LENGTH};
use crate::error::Error;
use crate::medium::{KeyedMedium, Medium, Storage};

/// The longest record under a key, in bytes: 16 MiB.
pub const LONGEST_RECORD: usize = 16 << 20;

/// What the image of a record that is there begins with. The image of none is empty.
const THERE: u8 = 1;

/// The content of a volume, as images under the keys of the store.
pub(crate) enum Content {
    /// Key 1 is the length, the others are blocks.
    Blocks(Blocks, Box<dyn Medium>),
    /// A record's key is the engine's plus 1. All keys are there at any time; what is under them may be nothing.
    Records(Box<dyn KeyedMedium>),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocks(blocks, _) => blocks.fmt(f),
            Self::Records(_) => f.write_str("Records"),
        }
    }
}

/// How many blocks of a size there are at an extent; 0 for records, which have none.
pub(crate) fn blocks_at(block_size: u32, extent: Extent) -> u64 {
    if block_size == 0 { 0 } else { extent.get().saturating_sub(LENGTH) }
}

/// Whether there are only zeros: by words, since a loop over bytes that may end early takes a microsecond for a page.
fn is_zero(image: &[u8]) -> bool {
    let (words, rest) = image.as_chunks::<64>();
    words.iter().all(|word| *word == [0; 64]) && rest.iter().all(|byte| *byte == 0)
}

/// The key in the store of a record.
pub(crate) fn key_of_record(key: u64) -> Result<u64, Error> {
    key.checked_add(1).ok_or_else(|| Error::Invalid { what: format!("{key} cannot be the key of a record") })
}

/// The image of a record; `None`: there is none.
pub(crate) fn image_of_record(record: Option<&[u8]>, into: &mut Vec<u8>) -> Result<(), Error> {
    into.clear();
    let Some(record) = record else { return Ok(()) };
    check_length(record.len())?;
    into.push(THERE);
    into.extend_from_slice(record);
    Ok(())
}

fn check_length(length: usize) -> Result<(), Error> {
    if length <= LONGEST_RECORD {
        return Ok(());
    }
    Err(Error::RecordTooLong { length })
}

impl Content {
    pub(crate) fn storage(&self) -> &dyn Storage {
        match self {
            Self::Blocks(_, medium) => &**medium,
            Self::Records(medium) => &**medium,
        }
    }

    /// The size of a block in bytes; 0 for records.
    pub(crate) fn block_size(&self) -> u32 {
        match self {
            Self::Blocks(blocks, _) => blocks.size(),
            Self::Records(_) => 0,
        }
    }

    /// The blocks and their medium; refuses records.
    pub(crate) fn blocks(&self) -> Result<Blocks, Error> {
        match self {
            Self::Blocks(blocks, _) => Ok(*blocks),
            Self::Records(_) => {
                let what = "this volume has records under keys: say will_change for each".to_owned();
                Err(Error::Invalid { what })
            }
        }
    }

    /// Refuses blocks.
    pub(crate) fn check_records(&self) -> Result<(), Error> {
        match self {
            Self::Records(_) => Ok(()),
            Self::Blocks(..) => {
                let what = "this volume has blocks: say will_write for the bytes".to_owned();
                Err(Error::Invalid { what })
            }
        }
    }

    /// Whether a key is the length's.
    pub(crate) fn is_length(&self, key: u64) -> bool {
        matches!(self, Self::Blocks(..)) && key == LENGTH
    }

    /// The length in bytes. Records have none: 0.
    pub(crate) fn size(&self) -> Result<u64, Error> {
        match self {
            Self::Blocks(_, medium) => medium.size().map_err(Error::medium("tell how long the content is")),
            Self::Records(_) => Ok(0),
        }
    }

    /// How many keys a content of this length has.
    pub(crate) fn extent(&self, size: u64) -> Extent {
        match self {
            Self::Blocks(blocks, _) => blocks.extent(size),
            Self::Records(_) => Extent::new(u64::MAX),
        }
    }

    /// How many blocks there are at an extent; 0 for records, which nobody counts.
    pub(crate) fn blocks_at(&self, extent: Extent) -> u64 {
        blocks_at(self.block_size(), extent)
    }

    /// Reads the image that a key has now. `size`: the length of the content.
    pub(crate) fn read_image(&self, key: u64, size: u64, into: &mut Vec<u8>) -> Result<(), Error> {
        let action = "read the content";
        match self {
            Self::Blocks(blocks, medium) => {
                into.clear();
                into.resize(blocks.size() as usize, 0);
                let (offset, there) = blocks.part_of(key, size);
                let Some(to) = into.get_mut(..there).filter(|to| !to.is_empty()) else { return Ok(()) };
                medium.read(offset, to).map_err(Error::medium(action))
            }
            Self::Records(medium) => {
                into.clear();
                if medium.read(key.saturating_sub(1), into).map_err(Error::medium(action))? {
                    check_length(into.len())?;
                    into.insert(0, THERE);
                } else {
                    into.clear();
                }
                Ok(())
            }
        }
    }

    /// What is recorded of an image: nothing of a block of zeros, as most blocks of a sparse content are.
    pub(crate) fn shortened<'a>(&self, key: u64, image: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Blocks(..) if key != LENGTH && is_zero(image) => &[],
            _ => image,
        }
    }

    /// The image of what is recorded of it.
    pub(crate) fn lengthen(&self, image: &mut Vec<u8>) {
        if image.is_empty() {
            image.resize(self.block_size() as usize, 0);
        }
    }

    /// Whether these bytes can be an image.
    pub(crate) fn check_image(&self, image: &[u8]) -> Result<(), Error> {
        let (right, what) = match self {
            Self::Blocks(blocks, _) => {
                (image.len() == blocks.size() as usize, "an image is not as long as a block")
            }
            Self::Records(_) => {
                let right = image.first().is_none_or(|first| *first == THERE);
                (right && image.len() <= LONGEST_RECORD + 1, "an image is not one of a record")
            }
        };
        if right { Ok(()) } else { Err(Error::Damaged { what }) }
    }

    /// The image of a key that never had a content.
    pub(crate) fn empty_image(&self, into: &mut Vec<u8>) {
        into.clear();
        into.resize(self.block_size() as usize, 0);
    }

    /// Writes an image. `size`: how long the content shall be.
    pub(crate) fn write_image(&self, key: u64, size: u64, image: &[u8]) -> Result<(), Error> {
        let done = match self {
            Self::Blocks(blocks, medium) => {
                let (offset, there) = blocks.part_of(key, size);
                match image.get(..there).unwrap_or_default() {
                    [] => Ok(()),
                    bytes => medium.write(offset, bytes),
                }
            }
            Self::Records(medium) => match image {
                [THERE, record @ ..] => medium.write(key.saturating_sub(1), record),
                _ => medium.remove(key.saturating_sub(1)),
            },
        };
        done.map_err(Error::medium("write the content"))
    }

    /// Makes the content so long. Records have no length.
    pub(crate) fn set_length(&self, to: u64) -> Result<(), Error> {
        match self {
            Self::Blocks(_, medium) => {
                medium.truncate(to).map_err(Error::medium("set the length of the content"))
            }
            Self::Records(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_empty_is_there() {
        let mut image = vec![9];
        image_of_record(None, &mut image).unwrap();
        assert!(image.is_empty());
        image_of_record(Some(b""), &mut image).unwrap();
        assert_eq!(image, [THERE]);
        image_of_record(Some(b"ab"), &mut image).unwrap();
        assert_eq!(image, b"\x01ab");
        assert!(image_of_record(Some(&vec![0; LONGEST_RECORD + 1]), &mut image).is_err());
    }

    #[test]
    fn one_byte_anywhere_makes_a_difference() {
        for len in [16, 64, 100, 4096] {
            let mut image = vec![0; len];
            assert!(is_zero(&image));
            for at in 0..len {
                image[at] = 1;
                assert!(!is_zero(&image), "{at} of {len}");
                image[at] = 0;
            }
        }
    }

    #[test]
    fn every_number_but_one_is_a_key() {
        assert_eq!(key_of_record(0).unwrap(), 1);
        assert_eq!(key_of_record(u64::MAX - 1).unwrap(), u64::MAX);
        assert!(key_of_record(u64::MAX).is_err());
    }
}
