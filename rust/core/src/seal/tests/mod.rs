//! Files made and read in memory of a test; what the store does with them is in `tests/sealing.rs`.

mod damage;
mod lean;
mod order;
mod outside;
mod round_trip;

use std::fs::File;
use std::path::Path;

use super::recent::Frames;
use super::{Found, Origin, Others, Sealed, digest, write};
use crate::error::{OpenError, ReadError};
use crate::format::{Head, Kind};
use crate::segment::sealed_name;
use crate::types::{Key, Lsn, ObjectId};

pub(super) const STORE: [u8; 16] = [7; 16];
pub(super) const ID: u32 = 3;

/// A record and its body.
pub(super) type Whole = (Found, Vec<u8>);

/// Records one after the other, as a log has them.
pub(super) fn log(records: impl IntoIterator<Item = (Head, Vec<u8>)>) -> Vec<Whole> {
    let mut offset = 64;
    let place = |(head, body): (Head, Vec<u8>)| {
        let len = body.len() as u32;
        let found = Found { head, offset, len };
        offset += crate::format::span(len) as u32;
        (found, body)
    };
    records.into_iter().map(place).collect()
}

pub(super) fn head(kind: Kind, object: u32, key: u64, lsn: u64) -> Head {
    Head { kind, flags: 0, object: ObjectId::new(object), key: Key::new(key), lsn: Lsn::new(lsn) }
}

/// A history that has everything: objects, moments, images that differ little and much, cuts, empty bodies.
pub(super) fn sample(rounds: u64) -> Vec<Whole> {
    let mut records = Vec::new();
    let mut pages = vec![vec![0_u8; 1024]; 40];
    records.push((head(Kind::Object, 0, 0, 0), b"\0\x04\0\0\0\0\0\0.".to_vec()));
    records.push((Head { flags: 5, ..head(Kind::Era, 0, 1, 1) }, vec![3; 24]));
    for round in 0..rounds {
        for touched in 0..7 {
            let page = (round * 5 + touched * touched) % 40;
            let image = &mut pages[page as usize];
            for at in 0..8 + (round + touched) % 90 {
                image[((at * 37 + round * 11) % 1024) as usize] = (round * touched + at) as u8;
            }
            let kind = if touched == 0 { Kind::Base } else { Kind::After };
            records.push((head(kind, 0, page + 1, round * 8 + touched + 2), image.clone()));
        }
        let time = (1_700_000_000_000_000_000 + round * 1_234_567).to_le_bytes();
        records.push((head(Kind::Commit, 0, 0, round * 8 + 8), [time, 40_u64.to_le_bytes()].concat()));
        if round % 9 == 0 {
            records.push((head(Kind::Cut, 0, 30, round * 8 + 9), Vec::new()));
            records.push((head(Kind::Before, 2, round, 1), vec![round as u8; (round % 300) as usize]));
        }
    }
    log(records)
}

/// Writes them to a folder; answers the file's length.
pub(super) fn seal(dir: &Path, records: &[Whole]) -> u64 {
    seal_as(dir, ID, records, None)
}

/// Likewise, as any segment; what it leans on is in the same folder.
pub(super) fn seal_as(dir: &Path, id: u32, records: &[Whole], reach: Option<u32>) -> u64 {
    let file = File::create_new(dir.join(sealed_name(id))).unwrap();
    let origin = Origin { store: STORE, id, size: 1 << 28 };
    let bodies: std::collections::HashMap<u32, &Vec<u8>> =
        records.iter().map(|(found, body)| (found.offset, body)).collect();
    let found = records.iter().map(|(found, _)| *found).collect();
    let mut body = |found: &Found, out: &mut Vec<u8>| {
        out.clone_from(bodies[&found.offset]);
        Ok(())
    };
    let folder = lean::Folder::of(dir);
    let mut oldest = |found: &Found, out: &mut Vec<u8>| {
        let key = (found.head.object.get(), found.head.key.get());
        Ok((id + 1..=reach.unwrap_or(0)).any(|id| folder.oldest(id, key, out).unwrap()))
    };
    let behind = reach.map(|reach| super::Behind { reach, oldest: &mut oldest });
    write(&file, origin, found, &mut body, behind, &mut || true).unwrap()
}

/// A file that leans on no other.
#[derive(Default)]
pub(super) struct Alone(Frames);

impl Others for Alone {
    fn frames(&self) -> &Frames {
        &self.0
    }

    fn oldest(&self, id: u32, _: (u32, u64), _: &mut Vec<u8>) -> Result<bool, ReadError> {
        panic!("it leans on {id}")
    }
}

/// Why a file could not be read.
#[derive(Debug)]
#[expect(dead_code, reason = "for the message of a test that fails")]
pub(super) enum Refused {
    Open(OpenError),
    Read(ReadError),
    Gone(u32),
}

/// Everything in a sealed file, in log order.
pub(super) fn unseal(dir: &Path) -> Result<Vec<(Head, u32, Vec<u8>)>, Refused> {
    unseal_with(dir, &Alone::default())
}

/// Likewise, with what it leans on.
pub(super) fn unseal_with(dir: &Path, others: &dyn Others) -> Result<Vec<(Head, u32, Vec<u8>)>, Refused> {
    digest(dir, ID, &STORE).map_err(Refused::Open)?.expect("it has a digest");
    let sealed = Sealed::open(dir, ID, &STORE).map_err(Refused::Open)?;
    let mut all = Vec::new();
    for (head, offset, len, _) in sealed.index().after(0) {
        let mut body = Vec::new();
        match sealed.read(offset, others, &mut body).map_err(Refused::Read)? {
            Some(read) if read == head && body.len() == len as usize => all.push((head, offset, body)),
            _ => return Err(Refused::Gone(offset)),
        }
    }
    Ok(all)
}

pub(super) fn as_unsealed(records: &[Whole]) -> Vec<(Head, u32, Vec<u8>)> {
    records.iter().map(|(found, body)| (found.head, found.offset, body.clone())).collect()
}
