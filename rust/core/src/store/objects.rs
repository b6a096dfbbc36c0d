use std::sync::PoisonError;

use crate::error::{AppendError, ReadError};
use crate::format::Kind;
use crate::format::control::OBJECTS;
use crate::format::object::ObjectBody;
use crate::map::Held;
use crate::store::roll::PATIENCE;
use crate::store::walk::{InFlight, Seen};
use crate::store::window::Unfit;
use crate::store::{Head, Location, Need, Store, locks};
use crate::types::{Key, Lsn, ObjectId};

/// The objects that this process has seen registered.
#[derive(Debug, Default)]
pub(super) struct Objects {
    next: Location,
    known: Vec<(ObjectId, ObjectBody)>,
}

/// A registration that was found: of which object, where, and its body if it is known.
type Registration = (ObjectId, Location, Option<Vec<u8>>);

/// See [`Store::lock_names`]. Dropping it, or the end of the process, releases it.
#[derive(Debug)]
#[must_use = "dropping the lock releases it"]
pub struct NamesLock {
    _held: Held,
    /// An eviction would wait for it.
    _unfit: Unfit,
}

impl Objects {
    fn find(&self, name: &str, key_size: u32) -> Option<ObjectId> {
        let found = self.known.iter().find(|(_, body)| body.name == name && body.key_size == key_size);
        found.map(|(object, _)| *object)
    }
}

/// What the names of objects begin with that nobody needs any more: their records are evicted as those of things that are gone
/// (`rust/docs/window.md`).
pub const FORGOTTEN: &str = "//forgotten/";

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
        let _lock = self.lock_registration()?;
        self.learn(&mut objects)?;
        if let Some(found) = objects.find(name, key_size) {
            return Ok(found);
        }
        let used = objects.known.iter().map(|(object, _)| object.get() + 1).max().unwrap_or(0);
        if used >= OBJECTS {
            return Err(AppendError::TooManyObjects { max: OBJECTS });
        }
        let object = ObjectId::new(used);
        let head = Head::new(Kind::Object, object, Key::new(0), Lsn::ORIGIN);
        let body = ObjectBody { key_size, name: name.to_owned() }.encode();
        // What goes on in keys of another size may be what cures a full store.
        match objects.known.iter().any(|(_, known)| known.name == name) {
            true => self.append_in_need(Need::Keep, head, &[&body])?,
            false => self.append(head, &[&body])?,
        };
        self.learn(&mut objects)?;
        Ok(object)
    }

    /// The objects of this store and their names. Of several with one name the key sizes differ.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn objects(&self) -> Result<Vec<(ObjectId, String)>, AppendError> {
        if self.inner.forked() {
            return Err(AppendError::Forked);
        }
        let mut objects = self.inner.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.lock_registration()?;
        self.learn(&mut objects)?;
        Ok(objects.known.iter().map(|(object, body)| (*object, body.name.clone())).collect())
    }

    /// The objects of this name, and the size of each one's keys.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn objects_named(&self, name: &str) -> Result<Vec<(ObjectId, u32)>, AppendError> {
        if self.inner.forked() {
            return Err(AppendError::Forked);
        }
        let mut objects = self.inner.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.lock_registration()?;
        self.learn(&mut objects)?;
        let named = objects.known.iter().filter(|(_, body)| body.name == name);
        Ok(named.map(|(object, body)| (*object, body.key_size)).collect())
    }

    /// Gives an object another name. Its history stays, also for those who found it by the old one. In a full store, too
    /// ([`Need::Drop`]): what is there can be looked at, or goes, by its new name.
    ///
    /// # Errors
    /// [`AppendError::Invalid`] when there is no such object, or when another one of the same key size has the name;
    /// otherwise as [`append`](Store::append).
    pub fn rename_object(&self, object: ObjectId, name: &str) -> Result<(), AppendError> {
        if self.inner.forked() {
            return Err(AppendError::Forked);
        }
        let mut objects = self.inner.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.lock_registration()?;
        self.learn(&mut objects)?;
        let invalid = |what: String| Err(AppendError::Invalid { what });
        let Some((_, body)) = objects.known.iter().find(|(known, _)| *known == object) else {
            return invalid(format!("there is no object {object}"));
        };
        let key_size = body.key_size;
        match objects.find(name, key_size) {
            Some(found) if found == object => return Ok(()),
            Some(found) => return invalid(format!("object {found} is called {name:?} already")),
            None => {}
        }
        let head = Head::new(Kind::Object, object, Key::new(0), Lsn::ORIGIN);
        let body = ObjectBody { key_size, name: name.to_owned() }.encode();
        self.append_in_need(Need::Drop, head, &[&body])?;
        self.learn(&mut objects)
    }

    /// The right to say what names mean: objects are registered and renamed under it, and whoever drops a mark must hold it from his
    /// look at the marks until the `DROP` is appended. What an eviction carries forward is what they mean until it is carried.
    ///
    /// # Errors
    /// When the lock file cannot be locked, or somebody has it for too long.
    pub fn lock_names(&self) -> Result<NamesLock, AppendError> {
        if self.inner.forked() {
            return Err(AppendError::Forked);
        }
        self.lock_registration()
    }

    pub(super) fn lock_registration(&self) -> Result<NamesLock, AppendError> {
        let io = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::Interrupted => AppendError::Interrupted,
            _ => AppendError::Io { action: "lock the objects", source },
        };
        let lock = Held::take_patiently(&self.inner.lock_path(), locks::REGISTER, PATIENCE).map_err(io)?;
        let held = lock.ok_or_else(|| io(std::io::ErrorKind::TimedOut.into()))?;
        Ok(NamesLock { _held: held, _unfit: Unfit::to_evict() })
    }

    /// Reads what was registered since the last time. The caller has the registration lock, hence no
    /// registration is in flight, and records that are can be passed over.
    fn learn(&self, objects: &mut Objects) -> Result<(), AppendError> {
        match self.learn_from(objects, u32::MAX) {
            // What a digest says may contradict the rest, although its hash is right: it only repeats what is in its segment.
            Err(AppendError::Damaged { .. }) => {
                *objects = Objects::default();
                self.learn_from(objects, 0)
            }
            learned => learned,
        }
    }

    /// The same; of sealed segments from this one on everything is read.
    fn learn_from(&self, objects: &mut Objects, whole_from: u32) -> Result<(), AppendError> {
        let mut found = Vec::new();
        let mut next = objects.next;
        self.inner.skim(&mut next, InFlight::Skip, whole_from, &mut |seen| match seen {
            Seen::Record(head, at) if head.kind == Kind::Object => found.push((head.object, at, None)),
            Seen::Listed(head, at, body) if head.kind == Kind::Object => {
                found.push((head.object, at, Some(body.to_vec())));
            }
            _ => {}
        })?;
        self.take(objects, found)?;
        objects.next = next;
        Ok(())
    }

    fn take(&self, objects: &mut Objects, found: Vec<Registration>) -> Result<(), AppendError> {
        for (object, at, body) in found {
            let body = match body.map_or_else(|| self.read(at).map(|record| record.body), Ok) {
                Ok(body) => body,
                // Evicted since. What it said was said again before, and under the lock that the caller has.
                Err(ReadError::BeforeWindow { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let what = || format!("the registration at {at} is malformed");
            let body = ObjectBody::decode(&body).filter(|_| object.get() < OBJECTS);
            let body = body.ok_or_else(|| AppendError::Damaged { what: what() })?;
            match objects.known.iter_mut().find(|(known, _)| *known == object) {
                Some((_, known)) if known.key_size != body.key_size => {
                    return Err(AppendError::Damaged { what: what() });
                }
                // A new name.
                Some((_, known)) => *known = body,
                None => objects.known.push((object, body)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreOptions;

    #[test]
    fn hazard_a_registration_is_evicted_between_the_look_for_it_and_its_reading() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions { first_segment: 4096, max_segment: 4096, limit: 1 << 20 };
        let store = Store::open(dir.path(), &options).unwrap();
        let object = store.object("a", 512).unwrap();
        let mut places = Vec::new();
        let mut visit =
            |head: Head, at, _| places.extend((head.kind == Kind::Object).then_some((head.object, at, None)));
        store.inner.walk(&mut Location::default(), InFlight::Skip, &mut visit).unwrap();
        for lsn in 1..9 {
            let head = Head::new(Kind::Note, object, Key::new(1), Lsn::new(lsn));
            store.append(head, &[&[7; 600]]).unwrap();
        }
        store.append(Head::new(Kind::Object, object, Key::new(0), Lsn::ORIGIN), &[&[0; 8], b"a"]).unwrap();
        store.inner.control.raise_ready(2);
        assert!(store.inner.evict_while(|_| true).unwrap());
        let mut objects = Objects::default();
        store.take(&mut objects, places).unwrap();
        assert!(objects.known.is_empty());
    }
}
