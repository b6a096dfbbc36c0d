//! What a database is called in its store, so that both may be moved, together or not, and found again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dbrewind_core::{Cursor, Kind, Location, ObjectId, OpenError, Store, StoreOptions};

use crate::error::Error;
use crate::file::{FileId, born};
use crate::notes::{anchored_file, tag};
use crate::store_folder::{beside, database_of};

/// The name of the database that the store's folder is named after, whatever that is.
const BESIDE: &str = ".";

/// The folder beside a database that was renamed without it: it holds the history of this very file, and there is no
/// database any more whose store it would be.
///
/// Only what is certain counts. The file must have the number that the newest record names, and be older than the store: a
/// file that got the number of one that was deleted is not. Where the file system tells no birth, nothing is certain; nor
/// where both came in one tick of its clock.
///
/// # Errors
/// `DBR026` when a wait for somebody who opens that store is interrupted. Anything else that fails there is no reason not
/// to begin here.
pub fn left_behind(path: &Path) -> Result<Option<PathBuf>, Error> {
    let (Some(folder), Ok(file), Some(birth)) = (path.parent(), FileId::of(path), birth(path)) else {
        return Ok(None);
    };
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(None) };
    for store in entries.flatten().map(|entry| entry.path()) {
        let Some(database) = place(&store, BESIDE) else { continue };
        let gone = || std::fs::symlink_metadata(&database).is_err();
        let older = || birth_of_store(&store).is_some_and(|store| birth < store);
        if gone() && older() && knows(&store, file)? {
            return Ok(Some(store));
        }
    }
    Ok(None)
}

fn birth(path: &Path) -> Option<u64> {
    Some(born(path)).filter(|birth| *birth > 0)
}

fn birth_of_store(store: &Path) -> Option<u64> {
    // Not to open anything that is no store.
    std::fs::symlink_metadata(store).ok().filter(std::fs::Metadata::is_dir)?;
    birth(&store.join("locks"))
}

/// Whether the history of this file is in the store, under the name of the database that the store is beside.
fn knows(store: &Path, file: FileId) -> Result<bool, Error> {
    let store = match Store::open(store, &StoreOptions::default()) {
        Ok(store) => store,
        Err(error @ OpenError::Interrupted { .. }) => return Err(error.into()),
        Err(_) => return Ok(false),
    };
    let Ok(objects) = store.objects() else { return Ok(false) };
    let newest = newest_anchors(&store)?
        .into_iter()
        .filter(|(object, _)| objects.iter().any(|(known, name)| known == object && name == BESIDE));
    let Some(at) = newest.map(|(_, at)| at).max() else { return Ok(false) };
    Ok(store.read(at).is_ok_and(|record| anchored_file(&record.body) == Some(file)))
}

/// The newest anchor of each object.
fn newest_anchors(store: &Store) -> Result<BTreeMap<ObjectId, Location>, Error> {
    let mut newest = BTreeMap::new();
    store.scan_moments(&mut Cursor::default(), &mut |head, at| {
        if head.kind == Kind::Note && head.key.get() == tag::ANCHOR {
            newest.insert(head.object, at);
        }
    })?;
    Ok(newest)
}

/// The object's name for the database at `path`, which has no links in it (`format.md`).
///
/// A database that the store knows by another name, at whose place is nothing now, gets its new one.
pub(crate) fn name_in(store: &Store, path: &Path) -> Result<String, Error> {
    let action = "look at";
    let io = |source| Error::Io { action, path: store.dir().to_owned(), source };
    let folder = std::fs::canonicalize(store.dir()).map_err(io)?;
    let name = name_of(&folder, path);
    let objects = store.objects()?;
    if objects.iter().any(|(_, known)| *known == name) {
        return Ok(name);
    }
    if let Some(old) = moved_from(store, &objects, &folder, path)? {
        for (object, _) in objects.iter().filter(|(_, known)| *known == old) {
            store.rename_object(*object, &name)?;
        }
    }
    Ok(name)
}

fn name_of(folder: &Path, path: &Path) -> String {
    if folder == beside(path) {
        return BESIDE.to_owned();
    }
    let near = folder.parent().and_then(|parent| path.strip_prefix(parent).ok());
    near.unwrap_or(path).to_string_lossy().into_owned()
}

/// Whether there is something that has this name in the store of a folder, or may be.
pub(crate) fn is_there(folder: &Path, name: &str) -> bool {
    let gone = [std::io::ErrorKind::NotFound, std::io::ErrorKind::NotADirectory];
    // A volume is no file, and nobody else knows whether it is there; no path begins so (`volumes.md`).
    if name.starts_with("//") {
        return true;
    }
    place(folder, name).is_none_or(|path| match std::fs::symlink_metadata(path) {
        Ok(_) => true,
        // Who may not look, or cannot at the moment, does not know.
        Err(error) => !gone.contains(&error.kind()),
    })
}

/// The same question for who evicts from the store of a folder.
pub(crate) fn who_is_there(folder: &Path) -> Arc<dyn Fn(&str) -> bool + Send + Sync> {
    let folder = folder.to_owned();
    Arc::new(move |name: &str| is_there(&folder, name))
}

/// Where a name leads.
fn place(folder: &Path, name: &str) -> Option<PathBuf> {
    if name == BESIDE {
        return database_of(folder);
    }
    // An absolute path stays what it is.
    folder.parent().map(|parent| parent.join(name))
}

/// The name under which the store has the history of this very file, if the file was moved.
fn moved_from(
    store: &Store,
    objects: &[(ObjectId, String)],
    folder: &Path,
    path: &Path,
) -> Result<Option<String>, Error> {
    if objects.is_empty() {
        return Ok(None);
    }
    let file =
        FileId::of(path).map_err(|source| Error::Io { action: "look at", path: path.to_owned(), source })?;
    let mut found: Option<(Location, &str)> = None;
    for (object, at) in newest_anchors(store)? {
        let Some((_, name)) = objects.iter().find(|(known, _)| *known == object) else { continue };
        let gone = place(folder, name).is_some_and(|place| std::fs::symlink_metadata(place).is_err());
        let same = anchored_file(&store.read(at)?.body) == Some(file);
        if gone && same && found.is_none_or(|(newer, _)| newer < at) {
            found = Some((at, name));
        }
    }
    Ok(found.map(|(_, name)| name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_never_taken_for_a_database_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_there(folder.path(), "//volume/gone") && !is_there(folder.path(), "gone.db"));
    }

    #[test]
    fn names_lead_back() {
        for (store, database, name) in [
            ("/srv/app.db-rewind", "/srv/app.db", "."),
            ("/srv/app.db-rewind", "/srv/other.db", "other.db"),
            ("/srv/history", "/srv/data/app.db", "data/app.db"),
            ("/var/history", "/srv/app.db", "/srv/app.db"),
            ("/srv/other.db-rewind", "/srv/deep/app.db", "deep/app.db"),
        ] {
            let (store, database) = (Path::new(store), Path::new(database));
            assert_eq!(name_of(store, database), name);
            assert_eq!(place(store, name).as_deref(), Some(database));
        }
    }
}
