//! What a database is called in its store, so that both may be moved, together or not, and found again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dbrewind_core::{Cursor, Kind, Location, ObjectId, Store};

use crate::error::Error;
use crate::file::FileId;
use crate::notes::{anchored_file, tag};

/// The name of the database that the store's folder is named after, whatever that is.
const BESIDE: &str = ".";

/// The folder of the store that nobody asked to be elsewhere.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push("-rewind");
    PathBuf::from(beside)
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

/// Where a name leads.
fn place(folder: &Path, name: &str) -> Option<PathBuf> {
    if name == BESIDE {
        let text = folder.to_str()?;
        return text.strip_suffix("-rewind").map(PathBuf::from);
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
    let mut newest: BTreeMap<ObjectId, Location> = BTreeMap::new();
    store.scan(&mut Cursor::default(), &mut |head, at, _| {
        if head.kind == Kind::Note && head.key.get() == tag::ANCHOR {
            newest.insert(head.object, at);
        }
    })?;
    let mut found: Option<(Location, &str)> = None;
    for (object, at) in newest {
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
