//! What was found in the log, held against what was told.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;
use std::time::{Duration, Instant};

use dbrewind_core::{Cursor, Head, Location, Store};

use super::record::{body, head};
use super::writer::told;

/// How long a writer that lives may be kept from going on.
const HIDDEN: Duration = Duration::from_secs(60);

/// A reader that goes through the log once, from its beginning.
#[derive(Default)]
pub(super) struct Ledger {
    cursor: Cursor,
    /// By writer, the newest number found.
    newest: BTreeMap<u32, u64>,
    digest: DefaultHasher,
    pub(super) records: u64,
    pub(super) bytes: u64,
}

impl Ledger {
    /// Reads on, to the end of the log: a writer that lives and gets no processor in the midst of a record hides what is behind it for
    /// as long. Each writer's records are there in order, without a gap or a repetition, and as they were written.
    pub(super) fn read(&mut self, store: &Store) -> Result<(), String> {
        let started = Instant::now();
        while !self.read_on(store)? {
            if started.elapsed() > HIDDEN {
                return Err("a record stays in flight".to_owned());
            }
        }
        Ok(())
    }

    /// Answers whether nothing that was committed before is behind a record in flight.
    fn read_on(&mut self, store: &Store) -> Result<bool, String> {
        let mut found: Vec<(Head, Location)> = Vec::new();
        let scanned = store.scan_whole(&mut self.cursor, &mut |head, at, _| found.push((head, at)));
        let whole = scanned.map_err(|error| format!("the log cannot be read: {error}"))?;
        let mut buffer = Vec::new();
        for (seen, at) in found {
            let read = store.read_into(at, &mut buffer).map_err(|error| format!("{at}: {error}"))?;
            let (writer, number) = (read.object.get(), read.lsn.get());
            if read != seen || read != head(writer, number) || buffer != body(writer, number) {
                return Err(format!("record {number} of writer {writer} at {at} is not what was written"));
            }
            let newest = self.newest.entry(writer).or_default();
            if number != *newest + 1 {
                return Err(format!("writer {writer}: record {number} at {at} comes after {newest}"));
            }
            *newest = number;
            self.records += 1;
            self.bytes += buffer.len() as u64;
            self.digest.write_u64(at.segment().get());
            self.digest.write_u32(at.offset());
        }
        Ok(whole)
    }

    /// Every record that a dead writer told of has been found.
    pub(super) fn compare(&self, folder: &Path, writer: u32) -> Result<(), String> {
        let (told, found) = (told(folder, writer), self.newest.get(&writer).copied().unwrap_or(0));
        if found < told {
            return Err(format!("writer {writer} appended up to {told}; there is up to {found}"));
        }
        Ok(())
    }

    /// Somebody who reads the log anew finds the very same.
    pub(super) fn same(&self, other: &Self) -> Result<(), String> {
        if self.digest.finish() == other.digest.finish() && self.records == other.records {
            return Ok(());
        }
        Err(format!("{} records were there one by one, {} are there now", self.records, other.records))
    }
}
