//! What came of a change whose process died.

use dbrewind_core::{
    Code, CommitBody, Cursor, Extent, Head, Key, Kind, Lsn, ObjectId, RewindBody, Store, Timestamp,
};

use super::in_flight::InFlight;
use super::intent::{self, Intent};

/// What must be recorded of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Nothing: the file is as it was before.
    Undone,
    /// The file has changed, or may have: the present state becomes a moment of its own.
    Commit,
    /// The rewind happened.
    Rewind,
}

/// Tells from the change counter in the file, read while nobody writes and no hot journal is there, what
/// came of the change in flight. `None`: somebody wrote whom we do not know.
pub(crate) fn outcome(in_flight: Option<InFlight>, known: u32, counter: u32) -> Option<Outcome> {
    match in_flight {
        None => (counter == known).then_some(Outcome::Undone),
        // The guard journal is complete before the first byte changes, and page 1 is in it.
        Some(InFlight { rewind: true, .. }) if counter == known => Some(Outcome::Undone),
        Some(InFlight { rewind: true, counter: then }) if then == Some(counter) => Some(Outcome::Rewind),
        // The old counter does not prove that the transaction was rolled back: without a journal
        // (journal_mode=OFF) pages may have changed before page 1.
        Some(InFlight { rewind: false, .. }) if counter == known => Some(Outcome::Commit),
        // The counter that it announced proves nothing: a program without the recording that rolls it back and
        // commits counts on to the same number.
        Some(_) => None,
    }
}

/// Records the outcome. The caller holds a lock that keeps writers out, and clears the register.
pub(crate) fn append(store: &Store, object: ObjectId, outcome: Outcome, extent: Extent) -> Result<(), Code> {
    let lsn = store.last_lsn(object).next().ok_or(Code::Internal)?;
    let head = |kind, key, lsn| Head { kind, flags: 0, object, key: Key::new(key), lsn };
    match outcome {
        Outcome::Undone => Ok(()),
        Outcome::Commit => {
            store.raise_last_lsn(object, lsn);
            let body = CommitBody { time: Timestamp::now(), extent };
            store.append(head(Kind::Commit, 0, lsn), &[&body.encode()]).map_err(|error| error.code())?;
            Ok(())
        }
        Outcome::Rewind => {
            let (lsn, intent) = newest_intent(store, object)?.ok_or(Code::NotAttached)?;
            append_rewind(store, object, lsn, &intent)
        }
    }
}

/// Records a rewind that has happened.
pub(crate) fn append_rewind(store: &Store, object: ObjectId, lsn: Lsn, intent: &Intent) -> Result<(), Code> {
    store.raise_last_lsn(object, lsn);
    let body =
        RewindBody { time: intent.time, extent: intent.extent, from: intent.from, note: &intent.encode() };
    let head = Head { kind: Kind::Rewind, flags: 0, object, key: Key::new(intent.target.get()), lsn };
    store.append(head, &[&body.encode()]).map_err(|error| error.code())?;
    Ok(())
}

/// The newest intent in the log, and its LSN. Reads the heads of all records.
fn newest_intent(store: &Store, object: ObjectId) -> Result<Option<(Lsn, Intent)>, Code> {
    let mut newest = None;
    store
        .scan(&mut Cursor::default(), &mut |head, at, _| {
            if head.kind == Kind::Note && head.object == object && head.key.get() == intent::TAG {
                newest = Some((head.lsn, at));
            }
        })
        .map_err(|error| error.code())?;
    let Some((lsn, at)) = newest else { return Ok(None) };
    let body = store.read(at).map_err(|error| error.code())?.body;
    Ok(Intent::decode(&body).map(|intent| (lsn, intent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight(rewind: bool, counter: u32) -> Option<InFlight> {
        Some(InFlight { rewind, counter: Some(counter) })
    }

    #[test]
    fn nothing_in_flight_must_leave_the_counter_alone() {
        assert_eq!(outcome(None, 5, 5), Some(Outcome::Undone));
        assert_eq!(outcome(None, 5, 6), None);
    }

    #[test]
    fn a_foreign_commit_shows_in_the_counter() {
        assert_eq!(outcome(flight(false, 6), 5, 7), None);
    }

    #[test]
    fn a_foreign_commit_may_have_the_counter_of_a_dead_one() {
        assert_eq!(outcome(flight(false, 6), 5, 6), None);
    }

    #[test]
    fn a_dead_transaction_may_have_written_before_page_one() {
        assert_eq!(outcome(flight(false, 6), 5, 5), Some(Outcome::Commit));
        let early = Some(InFlight { rewind: false, counter: None });
        assert_eq!(outcome(early, 5, 5), Some(Outcome::Commit));
        assert_eq!(outcome(early, 5, 6), None);
    }

    #[test]
    fn a_rewind_happened_or_did_not() {
        assert_eq!(outcome(flight(true, 99), 5, 99), Some(Outcome::Rewind));
        assert_eq!(outcome(flight(true, 99), 5, 5), Some(Outcome::Undone));
        assert_eq!(outcome(flight(true, 99), 5, 6), None);
    }
}
