use crate::format::Owner;
use crate::ring::progress::{Progress, Words};
use crate::ring::{Region, Settled, settle};

/// What became of a segment that was to be written to the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Written {
    /// It is there, and *synced* says so.
    Yes,
    /// Not yet: a record is in flight, or `write` said no.
    NotYet,
    /// It was let go of, and so is sealed: look again.
    Gone,
}

/// Has a segment that the log has left written to the disk, from its `first` record on, and then says so. `write` does it, its name too.
pub(crate) fn write_left<R: Region, W: Words, E>(
    region: &R,
    first: u32,
    progress: &Progress<W>,
    dead: impl Fn(Owner) -> bool,
    write: impl FnOnce() -> Result<bool, E>,
) -> Result<Written, E> {
    // Before it is written: what was not settled then is not on disk as it will be.
    if settle(region, first, dead, |_, _| Ok(()))? != Settled::Yes {
        return Ok(if region.gone().is_up() { Written::Gone } else { Written::NotYet });
    }
    if !write()? {
        return Ok(Written::NotYet);
    }
    progress.raise_synced(region.id().saturating_add(1), 0);
    Ok(Written::Yes)
}

/// Has the log written to the disk from a segment on, and says up to where. `settled` answers the place before which nothing will change any
/// more, `write` writes a segment: it hears which, which is
/// the last one, and that place; and `names` makes durable what the segments up to the last one are called.
pub(crate) fn write_all<W: Words, E>(
    progress: &Progress<W>,
    first: u32,
    settled: impl FnOnce() -> Result<(u32, u32), E>,
    mut write: impl FnMut(u32, u32, (u32, u32)) -> Result<(), E>,
    names: impl FnOnce(u32) -> Result<(), E>,
) -> Result<(), E> {
    // Only up to the first record in flight can be called done: it will be written after this.
    let done = settled()?;
    let last = progress.current();
    for id in first..=last {
        write(id, last, done)?;
    }
    names(last)?;
    progress.raise_synced(done.0, done.1);
    Ok(())
}
