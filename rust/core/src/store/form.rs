use std::io;
use std::sync::Arc;

use crate::error::{OpenError, ReadError};
use crate::seal::{self, Digest, Found, Sealed};
use crate::segment::{self, Segment, sealed_name};
use crate::store::handle::Inner;
use crate::sync::Ordering;

/// What a segment is at present. Both say the same.
pub(super) enum Form<'a> {
    /// Mapped, as it was written. Whoever reads in it asks [`Segment::is_gone`] afterwards, and if so reads again.
    Raw(&'a Arc<Segment>),
    /// Sealed.
    Sealed(Arc<Sealed>),
}

impl Inner {
    /// A segment, opened now if it was not yet. `None` when nobody has announced it.
    pub(super) fn form(&self, id: u32) -> Result<Option<Form<'_>>, OpenError> {
        let mapped = self.segments.get(id);
        if let Some(segment) = mapped.filter(|segment| !segment.is_gone()) {
            return Ok(Some(Form::Raw(segment)));
        }
        if id == 0 || id > self.control.current() {
            return Ok(None);
        }
        if let Some(sealed) = self.recent.get(id) {
            return Ok(Some(Form::Sealed(sealed)));
        }
        let sealed = || Sealed::open(&self.dir, id, &self.id);
        let keep = |sealed| Some(Form::Sealed(self.recent.put(sealed)));
        match sealed() {
            Err(error) if mapped.is_none() && is_missing(&error) => {}
            opened => return opened.map(keep),
        }
        match segment::open(&self.dir, id, &self.id) {
            // Sealed between the two looks, or evicted.
            Err(error) if is_missing(&error) => {
                sealed().map(keep).map_err(|again| match is_missing(&again) {
                    true => error,
                    false => again,
                })
            }
            opened => self.map(opened?, id).map(|segment| Some(Form::Raw(segment))),
        }
    }

    /// The digest of a sealed segment; `None` if it has none, or is not sealed. One that is damaged is made anew.
    pub(super) fn digest(&self, id: u32) -> Result<Option<Arc<Digest>>, ReadError> {
        if id > self.control.sealed() {
            return Ok(None);
        }
        if let Some(digest) = self.recent.digest(id) {
            return Ok(Some(digest));
        }
        match seal::digest(&self.dir, id, &self.id) {
            Ok(digest) => Ok(digest.map(|digest| self.recent.put_digest(id, digest))),
            // The word may be wrong, the name is not.
            Err(error) if is_missing(&error) => Ok(None),
            Err(OpenError::Damaged { .. }) => {
                self.digest_anew(id).map(|digest| Some(self.recent.put_digest(id, digest)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What a sealed segment's digest has to say, told by the segment itself.
    fn digest_anew(&self, id: u32) -> Result<Digest, ReadError> {
        let sealed = self.sealed_file(id)?;
        let found = |(head, offset, len, _)| Found { head, offset, len };
        let records: Vec<Found> = sealed.index().after(0).map(found).collect();
        let mut bad = None;
        let digest = Digest::new(&records, &mut |found, out| {
            sealed.read(found.offset, self, out).map(drop).map_err(|error| {
                bad = Some(error);
                io::ErrorKind::InvalidData.into()
            })
        });
        digest.map_err(|source| bad.unwrap_or(ReadError::Io { action: "read a sealed segment", source }))
    }

    /// Lets go of the mappings of sealed segments, so that their room on disk comes back.
    pub(super) fn let_go_of_sealed(&self) {
        // Relaxed: words by themselves, and a segment that is passed over comes next time.
        let current = self.current.load(Ordering::Relaxed);
        let upto = self.control.sealed().min(current.saturating_sub(1));
        let from = self.let_go.load(Ordering::Relaxed);
        for id in from.saturating_add(1)..=upto {
            let Some(segment) = self.segments.get(id).filter(|segment| !segment.is_gone()) else { continue };
            // The word may be wrong, the name is not.
            if self.dir.join(sealed_name(id)).exists() {
                self.batch_file.let_go(id);
                // If the system refuses, the flag alone sends everybody to the sealed file.
                let _ = segment.let_go();
            }
        }
        if upto > from {
            // What leans on those that are sealed now may have got another file.
            self.recent.forget(from.saturating_sub(seal::FARTHEST)..upto);
        }
        self.let_go.fetch_max(upto, Ordering::Relaxed);
    }
}

fn is_missing(error: &OpenError) -> bool {
    matches!(error, OpenError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}
