//! What a disk may hold after the power went: everything that was synced, and any part of the rest.

use std::collections::BTreeMap;

use super::trace::{Entry, Op};
use crate::seed::Rng;

/// Files by name, with their content.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// What becomes of writes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Luck {
    /// All are there.
    All,
    /// None is there.
    None,
    /// Each sector has all of its writes or none.
    Half,
    /// Each sector is at some moment of its own.
    Any,
    /// A few sectors miss.
    Most,
    /// A few sectors made it.
    Few,
}

const LUCK: [Luck; 6] = [Luck::All, Luck::None, Luck::Half, Luck::Any, Luck::Most, Luck::Few];

/// A disk after a cut.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) files: Files,
    /// Times of the database file: modification s, ns, change s, ns.
    pub(super) times: [i64; 4],
    /// For messages.
    pub(super) told: String,
}

/// Everything that was done to the disk, and what was there before.
pub(super) struct Disk {
    pub(super) entries: Vec<Entry>,
    before: Files,
}

impl Disk {
    pub(super) fn new(before: Files, entries: Vec<Entry>) -> Self {
        Self { entries, before }
    }

    /// Where a file that was there before is opened first.
    pub(super) fn opened(&self, name: &str) -> usize {
        let first = |entry: &Entry| entry.op == Op::Known && entry.text() == name;
        self.entries.iter().position(first).expect("a file that was opened")
    }

    /// The power goes before this entry.
    pub(super) fn cut(&self, at: usize, rng: &mut Rng, database: &str) -> Cut {
        let sector = *rng.pick(&[512, 4096]);
        let same = rng.chance(40).then(|| *rng.pick(&LUCK));
        let mut told = format!("cut at {at} of {}, sectors of {sector}:", self.entries.len());
        let mut cut = Cut { files: Files::new(), times: [0; 4], told: String::new() };
        let changed = self.changed_until(at, rng);
        for (name, number) in self.names(at, changed) {
            let luck = same.unwrap_or_else(|| *rng.pick(&LUCK));
            told += &format!(" {name} {luck:?},");
            if name == database {
                let (times, age) = self.times(number, at, luck, rng);
                cut.times = times;
                told += &format!(" (times {age} writes old)");
            }
            let file = File { disk: self, number, at, changed, sector, luck };
            cut.files.insert(name, file.content(rng));
        }
        cut.told = told;
        cut
    }

    /// Until when changes of names and cuts of files are there: they become durable one after the other.
    fn changed_until(&self, at: usize, rng: &mut Rng) -> usize {
        let mut changes = Vec::new();
        let mut floor = 0;
        for (index, entry) in self.entries[..at].iter().enumerate() {
            let own = |change: &usize| {
                let change = &self.entries[*change];
                match entry.op {
                    // A renaming is there when either of its folders is.
                    Op::SyncFolder if change.op != Op::Size => {
                        change.text().split('\n').any(|name| folder(name) == entry.text())
                    }
                    Op::SyncFolder => false,
                    _ => change.op == Op::Size && change.file == entry.file,
                }
            };
            match entry.op {
                Op::Created | Op::Unlink | Op::Rename | Op::Size => changes.push(index),
                Op::Sync | Op::SyncData | Op::SyncRange | Op::SyncFolder => {
                    floor = changes.iter().rposition(own).map_or(floor, |last| floor.max(last + 1));
                }
                _ => {}
            }
        }
        let count = match rng.below(3) {
            0 => floor,
            1 => changes.len(),
            _ => floor + rng.index(changes.len() - floor + 1),
        };
        changes.get(count).map_or(at, |index| *index)
    }

    /// The names there are, and their files.
    fn names(&self, at: usize, changed: usize) -> BTreeMap<String, u32> {
        let mut names = BTreeMap::new();
        for (index, entry) in self.entries[..at].iter().enumerate() {
            match entry.op {
                Op::Known => drop(names.insert(entry.text().to_owned(), entry.file)),
                _ if index >= changed => {}
                Op::Created => drop(names.insert(entry.text().to_owned(), entry.file)),
                Op::Unlink => drop(names.remove(entry.text())),
                Op::Rename => {
                    let (from, to) = entry.text().split_once('\n').expect("two names");
                    let file = names.remove(from).expect("renamed file");
                    names.insert(to.to_owned(), file);
                }
                _ => {}
            }
        }
        names
    }

    /// Times of a file, and how many writes they lag behind. `fdatasync`, which SQLite uses where it can, writes them only with a new length.
    fn times(&self, number: u32, at: usize, luck: Luck, rng: &mut Rng) -> ([i64; 4], usize) {
        let only_data = rng.chance(50);
        let mut times = Vec::new();
        let mut resized = true;
        for entry in self.entries[..at].iter().filter(|entry| entry.file == number && entry.times != [0; 4]) {
            resized |= matches!(entry.op, Op::Size | Op::Grow);
            let synced = matches!(entry.op, Op::Sync | Op::SyncData);
            if synced && (resized || entry.op == Op::Sync && !only_data) {
                times.clear();
                resized = false;
            }
            times.push(entry.times);
        }
        let chosen = match luck {
            Luck::All | Luck::Most => times.len() - 1,
            Luck::None => 0,
            _ => rng.index(times.len()),
        };
        (times[chosen], times.len() - 1 - chosen)
    }
}

fn folder(name: &str) -> &str {
    name.rfind('/').map_or("", |at| &name[..=at])
}

/// One file at the moment of the cut.
struct File<'a> {
    disk: &'a Disk,
    number: u32,
    at: usize,
    /// Until when cuts are there.
    changed: usize,
    sector: u64,
    luck: Luck,
}

impl File<'_> {
    fn entries(&self) -> impl Iterator<Item = (usize, &Entry)> {
        let own = |(_, entry): &(usize, &Entry)| entry.file == self.number;
        self.disk.entries[..self.at].iter().enumerate().filter(own)
    }

    fn content(&self, rng: &mut Rng) -> Vec<u8> {
        let synced = |op: Op| matches!(op, Op::Sync | Op::SyncData);
        let floor = self.entries().filter(|(_, e)| synced(e.op)).last().map_or(0, |(index, _)| index);
        let ranges: Vec<_> = self.entries().filter(|(_, e)| e.op == Op::SyncRange).collect();
        let size_floor = ranges.last().map_or(floor, |(index, _)| floor.max(*index));
        let known = self.entries().find(|(_, e)| e.op == Op::Known);
        let base = known.and_then(|(_, e)| self.disk.before.get(e.text()));
        let mut content = base.cloned().unwrap_or_default();

        let size = self.size(content.len() as u64, size_floor, rng);
        content.resize(usize::try_from(size).expect("in memory"), 0);
        let mut touched: BTreeMap<u64, Vec<(usize, &Entry)>> = BTreeMap::new();
        let longest = self.entries().map(|(_, e)| e.offset + e.length).max().unwrap_or(0).max(size);
        for (index, entry) in self.entries() {
            let range = match entry.op {
                Op::Write | Op::Zero | Op::Page => entry.offset..entry.offset + entry.length,
                Op::Size => entry.length..longest,
                _ => continue,
            };
            for sector in range.start / self.sector..range.end.div_ceil(self.sector) {
                touched.entry(sector).or_default().push((index, entry));
            }
        }
        for (sector, writes) in touched {
            let from = sector * self.sector;
            let covers = |e: &Entry| e.offset / 4096 * 4096 <= from && from < e.offset + e.length;
            let range = ranges.iter().rfind(|(_, e)| covers(e)).map_or(0, |(index, _)| *index);
            let until = self.version(&writes, floor.max(range), rng);
            for (_, entry) in &writes[..until] {
                apply(&mut content, entry, from..from + self.sector);
            }
        }
        content
    }

    /// The length. It grows when the system gets to it, before the content or after it.
    fn size(&self, before: u64, floor: usize, rng: &mut Rng) -> u64 {
        let mut steps = vec![before];
        let mut least = 0;
        for (index, entry) in self.entries() {
            let size = steps[steps.len() - 1];
            let next = match entry.op {
                Op::Size if index >= self.changed => break,
                Op::Size => entry.length,
                Op::Grow => size.max(entry.length),
                Op::Write | Op::Zero => size.max(entry.offset + entry.length),
                _ => continue,
            };
            if next != size || entry.op == Op::Size {
                steps.push(next);
            }
            if entry.op == Op::Size || index < floor {
                least = steps.len() - 1;
            }
        }
        let chosen = match self.luck {
            Luck::All | Luck::Most => steps.len() - 1,
            Luck::None => least,
            _ => least + rng.index(steps.len() - least),
        };
        steps[chosen]
    }

    /// How many of a sector's writes are there: those that were synced at least. What came after a cut of the
    /// file that is not there is not there either; what came before one that is, is gone.
    fn version(&self, writes: &[(usize, &Entry)], floor: usize, rng: &mut Rng) -> usize {
        let cut = |(index, entry): &(usize, &Entry)| entry.op == Op::Size && *index < self.changed;
        let missing = |(index, entry): &(usize, &Entry)| entry.op == Op::Size && *index >= self.changed;
        let most = writes.iter().position(missing).unwrap_or(writes.len());
        let least = writes.partition_point(|(index, _)| *index < floor);
        let least = least.max(writes.iter().rposition(cut).map_or(0, |at| at + 1)).min(most);
        let all = match self.luck {
            Luck::All => true,
            Luck::None => false,
            Luck::Half => rng.chance(50),
            Luck::Any => return least + rng.index(most - least + 1),
            Luck::Most => !rng.chance(5),
            Luck::Few => rng.chance(5),
        };
        if all { most } else { least }
    }
}

/// Does to one sector what an entry does to it.
fn apply(content: &mut [u8], entry: &Entry, sector: std::ops::Range<u64>) {
    let end = match entry.op {
        Op::Size => sector.end,
        _ => entry.offset + entry.length,
    };
    let start = if entry.op == Op::Size { entry.length } else { entry.offset };
    let (from, to) = (start.max(sector.start), end.min(sector.end).min(content.len() as u64));
    if from >= to {
        return;
    }
    let at = |offset: u64| usize::try_from(offset).expect("in memory");
    let target = &mut content[at(from)..at(to)];
    match entry.op {
        Op::Write | Op::Page => target.copy_from_slice(&entry.bytes[at(from - start)..at(to - start)]),
        _ => target.fill(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(op: Op, file: u32, offset: u64, bytes: &[u8]) -> Entry {
        let length = bytes.len() as u64;
        Entry { op, file, offset, length, times: [1; 4], bytes: bytes.to_vec() }
    }

    fn disk(rest: Vec<Entry>) -> Disk {
        let before = Files::from([("a".to_owned(), vec![1; 1024])]);
        let mut entries = vec![entry(Op::Known, 1, 0, b"a")];
        entries.extend(rest);
        Disk::new(before, entries)
    }

    fn all_cuts(disk: &Disk) -> Vec<Files> {
        let mut cuts: Vec<_> =
            (0..400).map(|seed| disk.cut(disk.entries.len(), &mut Rng::new(seed), "a").files).collect();
        cuts.sort();
        cuts.dedup();
        cuts
    }

    #[test]
    fn what_was_not_synced_may_be_there_in_part() {
        let disk = disk(vec![entry(Op::Write, 1, 0, &[2; 1024])]);
        let found: Vec<[u8; 2]> =
            all_cuts(&disk).iter().map(|files| [files["a"][0], files["a"][1023]]).collect();
        assert_eq!(found, [[1, 1], [1, 2], [2, 1], [2, 2]]);
    }

    #[test]
    fn what_was_synced_is_there() {
        let disk = disk(vec![entry(Op::Write, 1, 0, &[2; 1024]), entry(Op::SyncData, 1, 0, &[])]);
        assert_eq!(all_cuts(&disk), [Files::from([("a".to_owned(), vec![2; 1024])])]);
    }

    #[test]
    fn a_new_file_needs_its_folder_synced() {
        let made = vec![entry(Op::Created, 2, 0, b"b"), entry(Op::Sync, 2, 0, &[])];
        assert_eq!(all_cuts(&disk(made.clone())).len(), 2);
        let synced = [made, vec![entry(Op::SyncFolder, 0, 0, b"")]].concat();
        assert!(all_cuts(&disk(synced)).iter().all(|files| files.contains_key("b")));
    }

    #[test]
    fn bytes_after_a_missing_cut_are_missing() {
        let cut = Entry { length: 0, ..entry(Op::Size, 1, 0, &[]) };
        let disk = disk(vec![cut, entry(Op::Write, 1, 0, &[3; 512])]);
        for files in all_cuts(&disk) {
            let file = &files["a"];
            assert!(matches!(file.len(), 0 | 512 | 1024), "{}", file.len());
            assert!(file.len() != 1024 || file[0] == 1);
            assert!(file.len() != 512 || file[0] != 1);
        }
    }
}
