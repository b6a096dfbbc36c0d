use std::time::{Duration, Instant};

use crate::error::{OpenError, ReadError};
use crate::format::record::{self, NotARecord, REST};
use crate::format::segment::VERSION;
use crate::format::{Head, Kind, Place};
use crate::ring::{self, Looked, Region};
use crate::seal::Digest;
use crate::segment::Segment;
use crate::store::form::Form;
use crate::store::handle::Inner;
use crate::types::Location;

/// What to do at a record whose writer is alive and not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum InFlight {
    /// Wait a moment for it, then stop before it: what comes after it may come before it in time.
    Stop,
    /// Go on after it.
    Skip,
}

/// How long a walk waits for a record in flight. A writer needs microseconds between reserving and
/// committing; only one that was stopped in between takes longer.
const PATIENCE: Duration = Duration::from_millis(100);

/// Waits shortly, and says whether there is time left.
fn wait(since: &mut Option<Instant>) -> bool {
    let since = *since.get_or_insert_with(Instant::now);
    let waited = since.elapsed();
    match waited.as_micros() {
        0..20 => std::hint::spin_loop(),
        20..200 => std::thread::yield_now(),
        _ => std::thread::sleep(Duration::from_micros(200)),
    }
    waited < PATIENCE
}

/// What a look over the log comes by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seen<'a> {
    /// A record.
    Record(Head, Location),
    /// One that a digest lists, and its body.
    Listed(Head, Location, &'a [u8]),
    /// Of this segment nothing but what its digest lists was visited.
    Digested(u32, &'a Digest),
}

impl Inner {
    /// Visits committed records from a place on, and moves the place past them. Records of dead writers
    /// are given up on the way. Answers whether it came to the end of the log: `false` if it stopped at a record in flight.
    pub(super) fn walk(
        &self,
        from: &mut Location,
        in_flight: InFlight,
        visit: &mut dyn FnMut(Head, Location, u32),
    ) -> Result<bool, ReadError> {
        self.look(from, in_flight, 0, &mut |_, _| {}, visit)
    }

    /// As [`Inner::walk`], but of sealed segments below a number only what their digests list is visited.
    pub(super) fn skim(
        &self,
        from: &mut Location,
        in_flight: InFlight,
        whole_from: u32,
        visit: &mut dyn FnMut(Seen<'_>),
    ) -> Result<bool, ReadError> {
        let visit = std::cell::RefCell::new(visit);
        let mut digested = |id: u32, digest: &Digest| {
            let mut visit = visit.borrow_mut();
            for listed in &digest.records {
                visit(Seen::Listed(listed.head, Location::new(id, listed.offset), digest.body(listed)));
            }
            visit(Seen::Digested(id, digest));
        };
        let mut record = |head: Head, at: Location, _: u32| visit.borrow_mut()(Seen::Record(head, at));
        self.look(from, in_flight, whole_from, &mut digested, &mut record)
    }

    fn look(
        &self,
        from: &mut Location,
        in_flight: InFlight,
        whole_from: u32,
        digested: &mut dyn FnMut(u32, &Digest),
        visit: &mut dyn FnMut(Head, Location, u32),
    ) -> Result<bool, ReadError> {
        let mut waiting_since = None;
        loop {
            let first = self.first();
            if from.segment().get() < u64::from(first) {
                *from = Location::new(first, Segment::FIRST);
            }
            let id = u32::try_from(from.segment().get()).unwrap_or(0).max(1);
            // The next one is there: what is read of this one is all that it will ever have.
            let skipped = id < whole_from && from.offset() <= Segment::FIRST && id < self.control.current();
            let digest = if skipped { self.digest(id) } else { Ok(None) };
            match digest {
                Err(_) if self.is_evicted(id) => continue,
                Err(error) => return Err(error),
                Ok(Some(digest)) => {
                    digested(id, &digest);
                    *from = Location::new(id + 1, Segment::FIRST);
                    continue;
                }
                Ok(None) => {}
            }
            let form = match self.form(id) {
                // Since the look.
                Err(_) if self.is_evicted(id) => continue,
                form => form?,
            };
            let over = match form {
                None => return Ok(true),
                Some(Form::Sealed(sealed)) => {
                    for (head, at, len, behind) in sealed.index().after(from.offset()) {
                        *from = Location::new(id, behind);
                        visit(head, Location::new(id, at), len);
                    }
                    true
                }
                Some(Form::Raw(segment)) => {
                    match self.walk_raw(segment, from, in_flight, &mut waiting_since, visit)? {
                        Stopped::Over => true,
                        Stopped::AtTheEnd => false,
                        Stopped::InFlight => return Ok(false),
                        Stopped::Gone => continue,
                    }
                }
            };
            let Some(next) = id.checked_add(1).filter(|next| over && *next <= self.control.current()) else {
                return Ok(true);
            };
            *from = Location::new(next, Segment::FIRST);
        }
    }

    fn walk_raw(
        &self,
        segment: &Segment,
        from: &mut Location,
        in_flight: InFlight,
        waiting_since: &mut Option<Instant>,
        visit: &mut dyn FnMut(Head, Location, u32),
    ) -> Result<Stopped, ReadError> {
        let id = segment.id();
        let mut at = from.offset().max(Segment::FIRST);
        loop {
            let here = Location::new(id, at);
            *from = here;
            match ring::look(segment, at, &self.control, |_| head_at(segment, at)) {
                Looked::Gone => return Ok(Stopped::Gone),
                Looked::Record { content: head, len, next } => {
                    let head = head.map_err(|e| e.at(here))?;
                    at = next;
                    *waiting_since = None;
                    *from = Location::new(id, at);
                    if head.kind != Kind::End {
                        visit(head, here, len);
                    }
                }
                Looked::Aborted { next } => at = next,
                Looked::Reserved { owner, len, next } => {
                    if self.dead(owner) {
                        // Whoever was faster, a reaper or the writer: look again.
                        ring::abort(segment, Place { segment: id, offset: at }, owner, len);
                    } else if in_flight == InFlight::Skip {
                        at = next;
                    } else if !wait(waiting_since) {
                        return Ok(Stopped::InFlight);
                    }
                }
                Looked::Over => return Ok(Stopped::Over),
                Looked::End => return Ok(Stopped::AtTheEnd),
                Looked::Cut => {
                    let what = format!("the log ends at {here}, though segment {} follows", id + 1);
                    return Err(ReadError::Damaged { what });
                }
                Looked::Damaged => return Err(Bad::Word.at(here)),
            }
        }
    }
}

/// Why a walk through a segment ended.
enum Stopped {
    /// The log goes on in the next one.
    Over,
    /// The log ends here.
    AtTheEnd,
    /// What comes next is in flight.
    InFlight,
    /// The segment was sealed, and the mapping let go of: go on in the sealed file.
    Gone,
}

/// The header of a committed record, without a look at its body.
pub(super) fn head_at(segment: &Segment, at: u32) -> Result<Head, Bad> {
    let mut rest = [0; REST];
    if !segment.read(at + 8, &mut rest) {
        return Err(Bad::Word);
    }
    record::decode(&rest).map_err(Bad::Header)
}

/// What is wrong with a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bad {
    Word,
    Header(NotARecord),
    Hash,
}

impl Bad {
    pub(super) fn at(self, place: Location) -> ReadError {
        match self {
            Self::Header(NotARecord::Kind(kind)) => ReadError::Version { kind, known: VERSION },
            Self::Word => ReadError::Damaged { what: format!("what stands at {place} is not a record") },
            Self::Header(NotARecord::Malformed) => {
                ReadError::Damaged { what: format!("the header of the record at {place} is malformed") }
            }
            Self::Hash => {
                ReadError::Damaged { what: format!("the record at {place} does not match its hash") }
            }
        }
    }
}

impl From<OpenError> for ReadError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Io { action, source, .. } if source.kind() != std::io::ErrorKind::NotFound => {
                Self::Io { action, source }
            }
            other => Self::Damaged { what: other.to_string() },
        }
    }
}
