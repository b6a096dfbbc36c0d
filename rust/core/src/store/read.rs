use crate::error::ReadError;
use crate::format::record::{self, REST};
use crate::format::{HEADER, Kind, Place};
use crate::ring::{self, Region, Step};
use crate::seal;
use crate::segment::Segment;
use crate::store::form::Form;
use crate::store::handle::Inner;
use crate::store::walk::{Bad, InFlight, Seen};
use crate::store::{Cursor, Head, Location, Record, Store};

impl Store {
    /// Reads a record and checks it against its hash.
    ///
    /// # Errors
    /// See [`ReadError`]; [`ReadError::Damaged`] when any bit of it is not as it was written.
    pub fn read(&self, at: Location) -> Result<Record, ReadError> {
        let mut body = Vec::new();
        let head = self.read_into(at, &mut body)?;
        Ok(Record { head, at, body })
    }

    /// Reads a record and checks it, as [`read`](Store::read), into a buffer that is used again.
    ///
    /// The buffer's old content is replaced; after an error its content is anything.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read_into(&self, at: Location, out: &mut Vec<u8>) -> Result<Head, ReadError> {
        let inner = &*self.inner;
        if inner.forked() {
            return Err(ReadError::Forked);
        }
        let none = || ReadError::NoRecord { what: at.to_string() };
        let place = Place { segment: u32::try_from(at.segment().get()).unwrap_or(0), offset: at.offset() };
        loop {
            let form = match inner.form(place.segment) {
                Err(_) if inner.is_evicted(place.segment) => {
                    return Err(ReadError::BeforeWindow { what: at.to_string() });
                }
                form => form?.ok_or_else(none)?,
            };
            let segment = match form {
                Form::Raw(segment) => segment,
                Form::Sealed(sealed) => {
                    return match sealed.read(place.offset, inner, out) {
                        Err(_) if inner.is_evicted(place.segment) => {
                            Err(ReadError::BeforeWindow { what: at.to_string() })
                        }
                        read => read?.ok_or_else(none),
                    };
                }
            };
            let read = ring::unless_gone(&**segment, |segment| Self::read_raw(segment, at, place, out));
            if let Some(read) = read {
                return read;
            }
        }
    }

    fn read_raw(segment: &Segment, at: Location, place: Place, out: &mut Vec<u8>) -> Result<Head, ReadError> {
        let none = || ReadError::NoRecord { what: at.to_string() };
        let len = match ring::step(segment, place.offset) {
            Step::Committed { len, .. } => len,
            Step::Damaged => return Err(Bad::Word.at(at)),
            _ => return Err(none()),
        };
        let mut rest = [0; REST];
        // A buffer of the right length is not cleared first: all of it is written.
        out.resize(len as usize, 0);
        // `step` has made sure that the record lies inside of the segment.
        if !segment.read(place.offset + 8, &mut rest) || !segment.read(place.offset + HEADER, out) {
            return Err(Bad::Word.at(at));
        }
        let head = record::decode(&rest).map_err(|e| Bad::Header(e).at(at))?;
        if head.kind == Kind::End {
            return Err(none());
        }
        if !record::intact(&rest, place, len, out) {
            return Err(Bad::Hash.at(at));
        }
        Ok(head)
    }

    /// Visits every committed record after the cursor in log order, and moves the cursor past them.
    ///
    /// `visit` gets the header, the place and the body's length in bytes; bodies and hashes are not
    /// looked at. At a record that a live writer has not finished the scan waits, 100 ms at most, then ends
    /// there, so that a later call sees that one and nothing is ever seen twice or passed over; a record
    /// whose writer is dead is given up.
    ///
    /// # Errors
    /// See [`ReadError`]. The cursor then stands at the record that is the cause.
    pub fn scan(
        &self,
        from: &mut Cursor,
        visit: &mut dyn FnMut(Head, Location, u32),
    ) -> Result<(), ReadError> {
        self.scan_whole(from, visit).map(|_| ())
    }

    /// As [`scan`](Store::scan), and answers whether every record that was committed before the call has been visited:
    /// `false` when the scan ended at one that a live writer has not finished.
    ///
    /// # Errors
    /// See [`scan`](Store::scan).
    pub fn scan_whole(
        &self,
        from: &mut Cursor,
        visit: &mut dyn FnMut(Head, Location, u32),
    ) -> Result<bool, ReadError> {
        self.look_from(from, |inner, next| inner.walk(next, InFlight::Stop, visit))
    }

    /// As [`scan`](Store::scan), but images are passed over, and of a sealed segment all commits on which nothing else
    /// depends: a small part of it is read then.
    ///
    /// # Errors
    /// See [`scan`](Store::scan).
    pub fn scan_moments(
        &self,
        from: &mut Cursor,
        visit: &mut dyn FnMut(Head, Location),
    ) -> Result<(), ReadError> {
        let skimmed = self.skim(from, u32::MAX, &mut |seen| match seen {
            Seen::Record(head, _) if seal::is_image(head.kind) => {}
            Seen::Record(head, at) | Seen::Listed(head, at, _) => visit(head, at),
            Seen::Digested(..) => {}
        });
        skimmed.map(|_| ())
    }

    /// As [`scan_whole`](Store::scan_whole); of sealed segments below this one only what their digests list is visited.
    pub(crate) fn skim(
        &self,
        from: &mut Cursor,
        whole_from: u32,
        visit: &mut dyn FnMut(Seen<'_>),
    ) -> Result<bool, ReadError> {
        self.look_from(from, |inner, next| inner.skim(next, InFlight::Stop, whole_from, visit))
    }

    /// Looks over the log from a cursor on, which is moved as far as the look came.
    fn look_from(
        &self,
        from: &mut Cursor,
        look: impl FnOnce(&Inner, &mut Location) -> Result<bool, ReadError>,
    ) -> Result<bool, ReadError> {
        if self.inner.forked() {
            return Err(ReadError::Forked);
        }
        self.inner.let_go_of_sealed();
        self.inner.let_go_of_evicted();
        let mut next = from.next();
        let came = look(&self.inner, &mut next);
        *from = Cursor::at(next);
        came
    }

    /// The oldest segment that may not be sealed.
    pub(crate) fn first_unsealed(&self) -> u32 {
        self.inner.control.sealed().saturating_add(1)
    }
}
