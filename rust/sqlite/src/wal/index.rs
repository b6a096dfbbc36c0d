//! The wal-index: the header that publishes the WAL's end, the checkpoint block, and which page is in which
//! frame. Layout and rules are SQLite's (`wal.c`); every number read here is somebody else's.

use std::time::Duration;

use crate::checksum::{ByteOrder, Checksum, Salt};
use crate::error::Error;
use crate::fault;
use crate::ffi::{self, HostFile, Region};

/// Frames whose page numbers are in region 0; each later one has 4,096.
const FIRST: u32 = 4_062;
const EACH: u32 = 4_096;
/// Byte offsets in a region.
const HASH: usize = 16_384;
const FIRST_PAGES: usize = 136;
const SLOTS: u32 = 8_192;
/// Byte offsets of the checkpoint block in region 0.
const BACK_FILLED: usize = 96;
const READ_MARKS: usize = 100;
const ATTEMPTED: usize = 128;
/// A read mark that nobody uses.
pub(crate) const UNUSED_MARK: u32 = u32::MAX;

/// Words of one copy of the header.
type Words = [u32; 12];

/// What the wal-index header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct IndexHeader {
    version: u32,
    unused: u32,
    /// Raised by every transaction.
    pub(crate) change: u32,
    /// Byte order of the frame checksums.
    pub(crate) order: ByteOrder,
    /// As SQLite stores it: 1 means 65,536.
    page_size: u16,
    /// The last frame of the newest transaction.
    pub(crate) max_frame: u32,
    /// Length of the database at that frame, in pages.
    pub(crate) pages: u32,
    /// Of that frame.
    pub(crate) checksum: Checksum,
    /// Of the WAL's present generation.
    pub(crate) salt: Salt,
}

impl IndexHeader {
    /// Page size in bytes; 0 while no frame was ever written.
    pub(crate) fn page_size(&self) -> u32 {
        let raw = u32::from(self.page_size);
        (raw & 0xfe00) + ((raw & 1) << 16)
    }

    /// Sets the page size, a power of two from 512 to 65,536.
    pub(crate) fn set_page_size(&mut self, bytes: u32) {
        self.page_size = u16::try_from(bytes).unwrap_or(1);
    }

    fn decode(words: &Words) -> Option<Self> {
        let &[version, unused, change, flags, max_frame, pages, sum_a, sum_b, salt_a, salt_b, a, b] = words;
        let [init, big, size_a, size_b] = flags.to_ne_bytes();
        let ([p, q, r, s], [t, u, v, w]) = (salt_a.to_ne_bytes(), salt_b.to_ne_bytes());
        if init == 0 || Self::sum(words) != Checksum(a, b) {
            return None;
        }
        Some(Self {
            version,
            unused,
            change,
            order: if big == 0 { ByteOrder::Little } else { ByteOrder::Big },
            page_size: u16::from_ne_bytes([size_a, size_b]),
            max_frame,
            pages,
            checksum: Checksum(sum_a, sum_b),
            salt: [p, q, r, s, t, u, v, w],
        })
    }

    fn encode(&self) -> Words {
        let [size_a, size_b] = self.page_size.to_ne_bytes();
        let flags = u32::from_ne_bytes([1, u8::from(self.order == ByteOrder::Big), size_a, size_b]);
        let [p, q, r, s, t, u, v, w] = self.salt;
        let mut words = [
            self.version,
            self.unused,
            self.change,
            flags,
            self.max_frame,
            self.pages,
            self.checksum.0,
            self.checksum.1,
            u32::from_ne_bytes([p, q, r, s]),
            u32::from_ne_bytes([t, u, v, w]),
            0,
            0,
        ];
        let Checksum(a, b) = Self::sum(&words);
        let [.., x, y] = &mut words;
        (*x, *y) = (a, b);
        words
    }

    /// SQLite sums the header in native order, whatever the frames use.
    fn sum(words: &Words) -> Checksum {
        let (mut a, mut b) = (0_u32, 0_u32);
        for &[x, y] in words.as_chunks::<2>().0.iter().take(5) {
            a = a.wrapping_add(x).wrapping_add(b);
            b = b.wrapping_add(y).wrapping_add(a);
        }
        Checksum(a, b)
    }
}

#[cfg(feature = "fuzzing")]
impl IndexHeader {
    /// Reads words as they are, and with a right checksum; what is read must be written as something that reads the same.
    pub(crate) fn fuzz(bytes: &[u8]) {
        let mut words: Words = [0; 12];
        for (word, found) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_ne_bytes(*found);
        }
        for _ in 0..2 {
            if let Some(header) = Self::decode(&words) {
                assert_eq!(Self::decode(&header.encode()), Some(header));
                assert!(header.page_size() <= 65536 + 0xfe00);
            }
            let Checksum(a, b) = Self::sum(&words);
            let [.., x, y] = &mut words;
            (*x, *y) = (a, b);
        }
    }
}

/// Region 0, which can be watched without any lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch(Region);

impl Watch {
    /// The header, if both copies agree and the checksum is right. `None` while somebody publishes one,
    /// or when its writer died.
    pub(crate) fn header(&self) -> Option<IndexHeader> {
        let first = self.copy(0);
        // Pairs with the barrier between the two copies in every publisher, which writes the second first.
        ffi::full_barrier();
        let second = self.copy(48);
        if first != second {
            return None;
        }
        IndexHeader::decode(&first)
    }

    /// As [`Watch::header`], trying again for a publisher's moment.
    pub(crate) fn settled_header(&self) -> Option<IndexHeader> {
        for attempt in 0..200_u32 {
            if let Some(header) = self.header() {
                return Some(header);
            }
            if attempt < 50 {
                std::hint::spin_loop();
            } else {
                std::thread::sleep(Duration::from_micros(20));
            }
        }
        None
    }

    /// Three words that change with every publication: cheap to compare.
    pub(crate) fn pulse(&self) -> [u32; 3] {
        [self.0.load(8), self.0.load(16), self.0.load(40)]
    }

    /// How many frames are in the database file already.
    pub(crate) fn back_filled(&self) -> u32 {
        self.0.load(BACK_FILLED)
    }

    /// The read mark of a slot, 0 to 4.
    pub(crate) fn read_mark(&self, slot: u8) -> u32 {
        self.0.load(READ_MARKS + 4 * usize::from(slot))
    }

    fn copy(&self, offset: usize) -> Words {
        std::array::from_fn(|word| self.0.load(offset + 4 * word))
    }
}

/// All regions that are mapped so far.
#[derive(Debug)]
pub(crate) struct WalIndex {
    watch: Watch,
    regions: Vec<Region>,
}

/// Which region a frame is in, and its entry there, from 1.
fn place(frame: u32) -> (usize, u32) {
    if frame <= FIRST {
        (0, frame)
    } else {
        let past = frame - FIRST - 1;
        ((past / EACH) as usize + 1, past % EACH + 1)
    }
}

/// The last frame before a region's first.
fn before(region: usize) -> u32 {
    match u32::try_from(region).unwrap_or(u32::MAX) {
        0 => 0,
        number => FIRST.saturating_add((number - 1).saturating_mul(EACH)),
    }
}

fn page_offset(region: usize, entry: u32) -> usize {
    let start = if region == 0 { FIRST_PAGES } else { 0 };
    start + 4 * (entry as usize - 1)
}

fn slot_of(page: u32) -> u32 {
    page.wrapping_mul(383) & (SLOTS - 1)
}

fn hash_offset(slot: u32) -> usize {
    HASH + 2 * slot as usize
}

impl WalIndex {
    /// Maps region 0.
    pub(crate) fn map(file: &mut HostFile) -> Result<Self, Error> {
        let region = file.shm_region(0).map_err(Error::vfs("map the wal-index"))?;
        Ok(Self { watch: Watch(region), regions: vec![region] })
    }

    /// The part that needs no lock.
    pub(crate) fn watch(&self) -> Watch {
        self.watch
    }

    /// Maps every region up to the one with this frame.
    pub(crate) fn reach(&mut self, file: &mut HostFile, frame: u32) -> Result<(), Error> {
        let (last, _) = place(frame.max(1));
        while self.regions.len() <= last {
            let next = u32::try_from(self.regions.len()).unwrap_or(u32::MAX);
            self.regions.push(file.shm_region(next).map_err(Error::vfs("map the wal-index"))?);
        }
        Ok(())
    }

    fn region(&self, region: usize) -> Result<&Region, Error> {
        self.regions
            .get(region)
            .ok_or_else(|| Error::internal(format!("wal-index region {region} not mapped")))
    }

    /// The page of a frame. The region must be in [`reach`](Self::reach).
    pub(crate) fn page(&self, frame: u32) -> Result<u32, Error> {
        let (region, entry) = place(frame);
        Ok(self.region(region)?.load(page_offset(region, entry)))
    }

    /// The newest frame of a page among frames 1 to `limit`.
    pub(crate) fn find(&self, page: u32, limit: u32) -> Result<Option<u32>, Error> {
        if limit == 0 {
            return Ok(None);
        }
        let (last, _) = place(limit);
        for number in (0..=last).rev() {
            let region = self.region(number)?;
            let mut found = None;
            let mut slot = slot_of(page);
            // A table is at most half full; a longer walk means that somebody's bytes are wrong.
            for _ in 0..SLOTS {
                let entry = u32::from(region.load_u16(hash_offset(slot)));
                if entry == 0 {
                    break;
                }
                let frame = before(number).saturating_add(entry);
                if entry <= EACH && frame <= limit && region.load(page_offset(number, entry)) == page {
                    found = found.max(Some(frame));
                }
                slot = (slot + 1) & (SLOTS - 1);
            }
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Enters a frame, whose predecessor is the last valid one. What an abandoned transaction left at or past
    /// this frame in its region is cleaned up. Only under WRITE.
    pub(crate) fn enter(&mut self, file: &mut HostFile, frame: u32, page: u32) -> Result<(), Error> {
        self.reach(file, frame)?;
        if fault::failure("wal index: enter").is_err() {
            return Err(Error::internal("a test's failure"));
        }
        let (number, entry) = place(frame);
        let region = *self.region(number)?;
        let offset = page_offset(number, entry);
        let old = region.load(offset);
        if old == page && self.find(page, frame)? == Some(frame) {
            // An abandoned frame of the same page: its chain has only older frames before it.
            return Ok(());
        }
        if entry == 1 {
            let start = if number == 0 { FIRST_PAGES } else { 0 };
            for word in (start..Region::SIZE).step_by(4) {
                region.store(word, 0);
            }
        } else if old != 0 {
            for slot in 0..SLOTS {
                if u32::from(region.load_u16(hash_offset(slot))) >= entry {
                    region.store_u16(hash_offset(slot), 0);
                }
            }
            for word in (offset..HASH).step_by(4) {
                region.store(word, 0);
            }
        }
        let mut slot = slot_of(page);
        for _ in 0..SLOTS {
            if region.load_u16(hash_offset(slot)) == 0 {
                region.store(offset, page);
                region.store_u16(hash_offset(slot), u16::try_from(entry).unwrap_or(0));
                return Ok(());
            }
            slot = (slot + 1) & (SLOTS - 1);
        }
        Err(Error::WalDamaged { what: format!("the hash table of wal-index region {number} is full") })
    }

    /// Makes both copies invalid: whoever comes next waits for us, or recovers from the file if we died.
    /// Only under WRITE.
    pub(crate) fn invalidate(&self, file: &mut HostFile) {
        for offset in [40, 88] {
            let word = self.watch.0.load(offset);
            self.watch.0.store(offset, !word);
        }
        file.shm_barrier();
    }

    /// Publishes a header. Only under WRITE.
    pub(crate) fn publish(&self, file: &mut HostFile, header: &IndexHeader) {
        let words = header.encode();
        // Everything the header stands for is visible before it; SQLite's readers have the same barrier
        // between the copies, and read the first one first.
        file.shm_barrier();
        for (word, value) in words.iter().enumerate() {
            self.watch.0.store(48 + 4 * word, *value);
        }
        file.shm_barrier();
        for (word, value) in words.iter().enumerate() {
            self.watch.0.store(4 * word, *value);
        }
        file.shm_barrier();
    }

    /// Sets how many frames are back-filled. Only under CKPT.
    pub(crate) fn set_back_filled(&self, frames: u32) {
        self.watch.0.store(BACK_FILLED, frames);
    }

    /// Sets how far a back-fill may have come, before its first byte. Only under CKPT.
    pub(crate) fn set_attempted(&self, frames: u32) {
        self.watch.0.store(ATTEMPTED, frames);
    }

    /// How far a back-fill may have come.
    pub(crate) fn attempted(&self) -> u32 {
        self.watch.0.load(ATTEMPTED)
    }

    /// Whether no frame of a new WAL, whose read mark 4 is held at 0, has been brought into the database file. Some
    /// versions of SQLite reset read marks in a recovery even while a reader is on them.
    pub(crate) fn is_untouched(&self) -> bool {
        self.watch.back_filled() == 0 && self.attempted() == 0 && self.watch.read_mark(4) == 0
    }

    /// Sets a slot's read mark. Only under that slot's exclusive lock.
    pub(crate) fn set_read_mark(&self, slot: u8, mark: u32) {
        self.watch.0.store(READ_MARKS + 4 * usize::from(slot), mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_map_to_regions_as_in_sqlite() {
        assert_eq!(place(1), (0, 1));
        assert_eq!(place(4_062), (0, 4_062));
        assert_eq!(place(4_063), (1, 1));
        assert_eq!(place(8_158), (1, 4_096));
        assert_eq!(place(8_159), (2, 1));
        for frame in [1, 4_062, 4_063, 8_158, 8_159, 100_000] {
            let (region, entry) = place(frame);
            assert_eq!(before(region) + entry, frame);
        }
    }

    #[test]
    fn header_round_trips_and_refuses_a_flipped_bit() {
        let mut header = IndexHeader {
            version: 3_007_000,
            unused: 0,
            change: 9,
            order: ByteOrder::Big,
            page_size: 0,
            max_frame: 77,
            pages: 12,
            checksum: Checksum(1, 2),
            salt: *b"abcdefgh",
        };
        for size in [512, 4_096, 65_536] {
            header.set_page_size(size);
            assert_eq!(header.page_size(), size);
        }
        let words = header.encode();
        assert_eq!(IndexHeader::decode(&words), Some(header));
        for at in 0..words.len() {
            let mut bad = words;
            bad[at] ^= 1;
            assert_ne!(IndexHeader::decode(&bad), Some(header), "word {at}");
        }
    }
}
