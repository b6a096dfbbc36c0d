use std::sync::PoisonError;

use crate::error::{AppendError, ReadError};
use crate::format::Kind;
use crate::format::control::OBJECTS;
use crate::format::object::ObjectBody;
use crate::map::Held;
use crate::store::roll::PATIENCE;
use crate::store::walk::InFlight;
use crate::store::{Head, Location, Store, locks};
use crate::types::{Key, Lsn, ObjectId};

/// The objects that this process has seen registered.
#[derive(Debug, Default)]
pub(super) struct Objects {
    next: Location,
    known: Vec<(ObjectId, ObjectBody)>,
}

impl Objects {
    fn find(&self, name: &str, key_size: u32) -> Option<ObjectId> {
        let found = self.known.iter().find(|(_, body)| body.name == name && body.key_size == key_size);
        found.map(|(object, _)| *object)
    }
}

impl Store {
    /// The object of this name and key size; registers it if there is none.
    ///
    /// `key_size` is the length of an item's image in bytes, or 0 where they differ. The same name
    /// with another key size is another object: their histories have nothing in common.
    ///
    /// # Errors
    /// [`AppendError::TooManyObjects`] when the store has 256 objects already; otherwise as
    /// [`append`](Store::append).
    pub fn object(&self, name: &str, key_size: u32) -> Result<ObjectId, AppendError> {
        let inner = &*self.inner;
        if inner.forked() {
            return Err(AppendError::Forked);
        }
        let mut objects = inner.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = objects.find(name, key_size) {
            return Ok(found);
        }
        let io = |source| AppendError::Io { action: "lock the objects", source };
        let lock = Held::take(&inner.lock_path(), locks::REGISTER, PATIENCE).map_err(io)?;
        let _lock = lock.ok_or_else(|| io(std::io::ErrorKind::TimedOut.into()))?;
        self.learn(&mut objects)?;
        if let Some(found) = objects.find(name, key_size) {
            return Ok(found);
        }
        let used = objects.known.iter().map(|(object, _)| object.get() + 1).max().unwrap_or(0);
        if used >= OBJECTS {
            return Err(AppendError::TooManyObjects { max: OBJECTS });
        }
        let object = ObjectId::new(used);
        let head = Head { kind: Kind::Object, flags: 0, object, key: Key::new(0), lsn: Lsn::ORIGIN };
        let body = ObjectBody { key_size, name: name.to_owned() };
        self.append(head, &[&body.encode()])?;
        self.learn(&mut objects)?;
        Ok(object)
    }

    /// Reads what was registered since the last time. The caller has the registration lock, hence no
    /// registration is in flight, and records that are can be passed over.
    fn learn(&self, objects: &mut Objects) -> Result<(), AppendError> {
        let mut found = Vec::new();
        let mut next = objects.next;
        let walked = self.inner.walk(&mut next, InFlight::Skip, &mut |head, at, _| {
            if head.kind == Kind::Object {
                found.push(at);
            }
        });
        walked.map_err(damaged)?;
        for at in found {
            let record = self.read(at).map_err(damaged)?;
            let what = || format!("the registration at {at} is malformed");
            let body = ObjectBody::decode(&record.body).filter(|_| record.head.object.get() < OBJECTS);
            let body = body.ok_or_else(|| AppendError::Damaged { what: what() })?;
            objects.known.push((record.head.object, body));
        }
        objects.next = next;
        Ok(())
    }
}

fn damaged(error: ReadError) -> AppendError {
    match error {
        ReadError::Forked => AppendError::Forked,
        ReadError::Io { action, source } => AppendError::Io { action, source },
        other => AppendError::Damaged { what: other.to_string() },
    }
}
