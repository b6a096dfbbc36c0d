use std::io;
use std::sync::Arc;

use crate::error::{OpenError, ReadError};
use crate::ring::{self, OneOf};
use crate::seal::{self, Digest, Found, Sealed};
use crate::segment::{self, Segment, sealed_name};
use crate::store::handle::Inner;

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
        let raw = || segment::open(&self.dir, id, &self.id);
        Ok(Some(match ring::find(mapped.is_some(), sealed, raw, is_missing)? {
            OneOf::Sealed(sealed) => Form::Sealed(self.recent.put(sealed)),
            OneOf::Raw(segment) => Form::Raw(self.map(segment, id)?),
        }))
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
        let let_go = |id| {
            let Some(segment) = self.segments.get(id).filter(|segment| !segment.is_gone()) else { return };
            // The word may be wrong, the name is not.
            if self.dir.join(sealed_name(id)).exists() {
                self.batch_file.let_go(id);
                // If the system refuses, the flag alone sends everybody to the sealed file.
                let _ = segment.let_go();
            }
        };
        ring::sealed_since(&self.control, &self.current, &self.let_go, let_go, |from, upto| {
            // What leans on those that are sealed now may have got another file.
            self.recent.forget(from.saturating_sub(seal::FARTHEST)..upto);
        });
    }
}

/// Whether it is only that the file is not there.
pub(super) fn is_missing(error: &OpenError) -> bool {
    matches!(error, OpenError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use crate::format::Kind;
    use crate::store::{Head, Store, StoreOptions};
    use crate::types::{Key, Lsn, ObjectId};

    /// Others have gone on, and have sealed the segment that this handle appends to: it keeps that one until it has gone on itself, so
    /// that nobody in the midst of an append finds another memory than the one it began in.
    #[test]
    fn hazard_the_segment_that_is_appended_to_here_is_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions { first_segment: 4096, max_segment: 4096, limit: 1 << 20 };
        let (behind, ahead) =
            (Store::open(dir.path(), &options).unwrap(), Store::open(dir.path(), &options).unwrap());
        let append = |store: &Store, lsn: u64| {
            let head = Head::new(Kind::Note, ObjectId::new(0), Key::new(1), Lsn::new(lsn));
            store.append(head, &[&[lsn as u8; 600]]).unwrap()
        };
        let gone = || [1, 2].map(|id| behind.inner.segments.get(id).map(|segment| segment.is_gone()));
        (1..8).for_each(|lsn| {
            append(&ahead, lsn);
        });
        append(&behind, 8);
        (9..20).for_each(|lsn| {
            append(&ahead, lsn);
        });
        while ahead.seal_some().unwrap().is_some() {}
        assert!(behind.inner.control.sealed() > 2, "the log has not come far enough");
        behind.inner.let_go_of_sealed();
        assert_eq!(gone(), [Some(true), Some(false)]);
        let at = append(&behind, 20);
        assert_eq!(at.segment().get(), u64::from(behind.inner.control.current()));
        behind.inner.let_go_of_sealed();
        assert_eq!(gone(), [Some(true), Some(true)]);
    }
}
