//! What came of a change whose process died.

use dbrewind_core::{
    Code, CommitBody, Cursor, Extent, Head, KEPT, Key, Kind, Lsn, Need, ObjectId, RewindBody, Store,
};

use super::intent::{self, Intent};
use crate::fault;
use crate::in_flight::InFlight;
use crate::options::Moments;
use crate::registers::Registers;

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
/// came of the change in flight. `None`: the file may hold a change that nobody recorded.
pub(crate) fn outcome(in_flight: Option<InFlight>, known: u32, counter: u32) -> Option<Outcome> {
    match in_flight {
        None => (counter == known).then_some(Outcome::Undone),
        // The guard journal is complete before the first byte changes, and page 1 is in it.
        Some(InFlight::Rewind { .. }) if counter == known => Some(Outcome::Undone),
        Some(InFlight::Rewind { counter: then }) if counter == then => Some(Outcome::Rewind),
        // The old counter does not prove that the transaction was rolled back: without a journal
        // (journal_mode=OFF) pages may have changed before page 1. The next counter proves nothing either:
        // it may be this transaction's, or that of a plain program that rolled this one back and then wrote.
        Some(InFlight::Transaction) if counter == known => Some(Outcome::Commit),
        Some(InFlight::Committed { counter: then }) if counter == then => Some(Outcome::Commit),
        Some(_) => None,
    }
}

/// Records the outcome. The caller holds a lock that keeps writers out, and clears the register. `keep`: nothing was captured
/// above a commit's LSN yet, so that it can be kept, if all are.
pub(crate) fn append(
    store: &Store,
    object: ObjectId,
    outcome: Outcome,
    extent: Extent,
    keep: bool,
) -> Result<(), Code> {
    let lsn = store.last_lsn(object).next().ok_or(Code::Internal)?;
    match outcome {
        Outcome::Undone => Ok(()),
        Outcome::Commit => {
            store.raise_last_lsn(object, lsn);
            // Who made it is not known: its process is dead, or it is what a rollback has left.
            let (head, body) = commit(store, object, lsn, extent, keep, 0);
            // Nothing can be done before it is said, also nothing that makes room.
            store.append_in_need(Need::Keep, head, &[&body]).map_err(|error| error.code())?;
            Ok(())
        }
        Outcome::Rewind => {
            let (lsn, intent) = newest_intent(store, object)?.ok_or(Code::NotAttached)?;
            let counter = intent.counter;
            if Registers::new(store, object).in_flight() != Some(InFlight::Rewind { counter }) {
                // That of another rewind: this one's was lost in a power cut.
                return Err(Code::NotAttached);
            }
            append_rewind(store, object, lsn, &intent)
        }
    }
}

/// Records a commit, whose LSN was announced; `who` made it, as its key says. See [`append`] for `keep`.
pub(super) fn append_commit(
    store: &Store,
    object: ObjectId,
    lsn: Lsn,
    extent: Extent,
    keep: bool,
    who: u64,
) -> Result<(), Code> {
    let (head, body) = commit(store, object, lsn, extent, keep, who);
    store.append(head, &[&body]).map_err(|error| error.code())?;
    Ok(())
}

/// The record of a commit. `who` made it, as its key says. What has to be done before it is appended is done.
fn commit(
    store: &Store,
    object: ObjectId,
    lsn: Lsn,
    extent: Extent,
    keep: bool,
    who: u64,
) -> (Head, Vec<u8>) {
    let registers = Registers::new(store, object);
    let mut head = Head::new(Kind::Commit, object, Key::new(who), lsn);
    if keep && registers.moments() == Moments::Commits {
        // First the boundary, then the record that says so: a kill in between must not leave a promise that nobody keeps.
        registers.set_boundary(lsn, extent.get());
        fault::place("rollback commit: boundary moved");
        head.flags = KEPT;
    }
    let body = CommitBody { time: store.next_time(object), extent };
    (head, body.encode().to_vec())
}

/// Records a rewind that has happened.
pub(crate) fn append_rewind(store: &Store, object: ObjectId, lsn: Lsn, intent: &Intent) -> Result<(), Code> {
    store.raise_last_lsn(object, lsn);
    let body =
        RewindBody { time: intent.time, extent: intent.extent, from: intent.from, note: &intent.encode() };
    let head = Head::new(Kind::Rewind, object, Key::new(intent.target.get()), lsn);
    store.append_in_need(Need::Keep, head, &[&body.encode()]).map_err(|error| error.code())?;
    // Both its ends can be reached from now on.
    Registers::new(store, object).set_boundary(lsn, intent.extent.get());
    Ok(())
}

/// The newest intent in the log, and its LSN.
fn newest_intent(store: &Store, object: ObjectId) -> Result<Option<(Lsn, Intent)>, Code> {
    let mut newest = None;
    store
        .scan_moments(&mut Cursor::default(), &mut |head, at| {
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

    #[test]
    fn nothing_in_flight_must_leave_the_counter_alone() {
        assert_eq!(outcome(None, 5, 5), Some(Outcome::Undone));
        assert_eq!(outcome(None, 5, 6), None);
    }

    #[test]
    fn a_dead_transaction_may_have_written_before_page_one() {
        assert_eq!(outcome(Some(InFlight::Transaction), 5, 5), Some(Outcome::Commit));
    }

    #[test]
    fn the_next_counter_may_be_anybodys() {
        assert_eq!(outcome(Some(InFlight::Transaction), 5, 6), None);
    }

    #[test]
    fn after_the_commit_point_the_counter_proves_it() {
        let committed = Some(InFlight::Committed { counter: 6 });
        assert_eq!(outcome(committed, 5, 6), Some(Outcome::Commit));
        assert_eq!(outcome(committed, 5, 7), None);
    }

    #[test]
    fn a_rewind_happened_or_did_not() {
        let rewind = Some(InFlight::Rewind { counter: 99 });
        assert_eq!(outcome(rewind, 5, 99), Some(Outcome::Rewind));
        assert_eq!(outcome(rewind, 5, 5), Some(Outcome::Undone));
        assert_eq!(outcome(rewind, 5, 6), None);
    }
}
