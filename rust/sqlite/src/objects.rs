//! The objects under which one database is in the store: one for each size of key.

use std::collections::BTreeMap;

use dbrewind_core::{Cursor, Head, Key, Kind, MarkBody, ObjectId, Store, Timeline};

use crate::engine::next_lsn;
use crate::error::Error;

/// The key size under which the database of this name was recorded last.
pub(crate) fn latest_block(store: &Store, name: &str) -> Result<Option<u32>, Error> {
    let mut named = store.objects_named(name)?;
    // A size that no page has ever had would be another adapter's.
    named.retain(|(_, size)| size.is_power_of_two() && (512..=65536).contains(size));
    if named.len() < 2 {
        return Ok(named.first().map(|(_, size)| *size));
    }
    let mut begun = BTreeMap::new();
    store.scan_moments(&mut Cursor::default(), &mut |head, at| {
        if head.kind == Kind::Era {
            begun.insert(head.object, at);
        }
    })?;
    // Without an era: the one that was registered last.
    Ok(named
        .into_iter()
        .max_by_key(|(object, _)| (begun.get(object).copied(), *object))
        .map(|(_, size)| size))
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
