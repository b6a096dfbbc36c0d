use crate::ring::{Appended, Region};

/// What a writer does after an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Nothing: its record counts, at this offset.
    Done(u32),
    /// The segment was let go of. The record counts if the sealed segment has it at this offset; else it is lost, and goes where the log
    /// goes on.
    Ask(u32),
    /// Append it where the log goes on.
    Roll,
    /// It was given up: append it once more.
    Again,
    /// Give up: what stands at this offset is not a record.
    Damaged(u32),
}

/// What follows from the outcome of an attempt to append to this segment.
#[inline]
pub(crate) fn verdict<R: Region>(region: &R, outcome: Appended) -> Verdict {
    match outcome {
        Appended::At(at) if region.gone().is_up() => Verdict::Ask(at),
        Appended::At(at) => Verdict::Done(at),
        Appended::Full => Verdict::Roll,
        Appended::Aborted => Verdict::Again,
        Appended::Damaged(_) if region.gone().is_up() => Verdict::Roll,
        Appended::Damaged(at) => Verdict::Damaged(at),
    }
}
