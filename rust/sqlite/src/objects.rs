//! The objects under which one database is in the store: one for each size of key.

use std::collections::BTreeMap;

use dbrewind_core::{Cursor, Head, Key, Kind, MarkBody, ObjectId, ReadError, Store, Timeline};

use crate::engine::next_lsn;
use crate::error::Error;

/// The key size under which the database of this name was recorded last. Reads the heads of all records, as
/// the timeline does.
pub(crate) fn latest_block(store: &Store, name: &str) -> Result<Option<u32>, Error> {
    loop {
        let first = store.first_segment();
        match latest_block_from(store, name) {
            // A registration was evicted between the scan and the look; before that it was appended once more.
            Err(ReadError::BeforeWindow { .. }) if store.first_segment() != first => {}
            found => return Ok(found?),
        }
    }
}

fn latest_block_from(store: &Store, name: &str) -> Result<Option<u32>, ReadError> {
    // The newest name of each counts.
    let mut registered = BTreeMap::new();
    let mut begun = BTreeMap::new();
    let mut order = 0_u64;
    store.scan(&mut Cursor::default(), &mut |head, at, _| match head.kind {
        Kind::Object => {
            registered.insert(head.object, at);
        }
        Kind::Era => {
            order += 1;
            begun.insert(head.object, order);
        }
        _ => {}
    })?;
    let mut latest = None;
    for (object, at) in registered {
        let body = store.read(at)?.body;
        if body.get(8..) != Some(name.as_bytes()) {
            continue;
        }
        let size = body.first_chunk::<4>().map(|size| u32::from_le_bytes(*size));
        // A size that no page has ever had would be another adapter's.
        if let Some(size) = size.filter(|size| size.is_power_of_two() && (512..=65536).contains(size)) {
            let age = begun.get(&object).copied().unwrap_or_default();
            latest = latest.max(Some((age, at, size)));
        }
    }
    Ok(latest.map(|(_, _, size)| size))
}

/// Lists the marks of one object in another, which is about to begin a broken era: they are lost, and must
/// not be gone without a word.
pub(crate) fn lost_marks(store: &Store, from: ObjectId, to: ObjectId) -> Result<(), Error> {
    let (mut old, mut new) = (Timeline::new(from), Timeline::new(to));
    old.catch_up(store)?;
    new.catch_up(store)?;
    // No LSN means one thing before and another thing after.
    store.raise_last_lsn(to, old.highest().max(store.last_lsn(from)));
    // Above whatever the object knows, and below the era that begins now.
    let lsn = next_lsn(new.highest())?;
    for mark in old.marks() {
        if new.mark(mark.name.as_str()).is_some() {
            continue;
        }
        let body = MarkBody { time: mark.time, extent: mark.extent, name: mark.name.clone(), note: &[] };
        let lsn = mark.lsn.max(lsn);
        let head = Head::new(Kind::Mark, to, Key::new(0), lsn);
        store.append(head, &[&body.encode()])?;
    }
    Ok(())
}
