//! A new database file that holds exactly what was there at a moment.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dbrewind_core::Lsn;

use super::{Origin, View};
use crate::error::Error;
use crate::fault;
use crate::ffi::{create_unnamed, link_to_new, rename_to_new};
use crate::progress::Steps;

/// Bytes that are copied between two looks at whether the caller was interrupted.
const PIECE: usize = 1 << 20;

/// Copies the state at a moment into a new file at `path`. It gets its name when it is complete and on disk.
pub(crate) fn clone_to(origin: &Arc<Origin>, lsn: Lsn, path: &Path) -> Result<(), Error> {
    if path.as_os_str().is_empty() {
        return Err(Error::Invalid { what: "the copy must have a name, and it is empty".to_owned() });
    }
    let path = std::path::absolute(path).map_err(failed("find the folder of", path))?;
    refuse_existing(&path)?;
    let mut view = View::open(origin, lsn)?;
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    // Not open to more users than the database is.
    let mode = std::fs::metadata(&origin.path).map_or(0o600, |found| found.permissions().mode() & 0o666);
    let draft = Draft::new(&path, mode)?;
    copy(&mut view, &draft.file).map_err(|error| match error {
        Copy::Read(error) => error,
        Copy::Write(source) => failed("write", &path)(source),
    })?;
    fault::place("clone: written");
    draft.file.sync_all().map_err(failed("sync", &path))?;
    fault::place("clone: synced");
    draft.publish(&path)?;
    fault::place("clone: named");
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", &folder))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

/// Nothing is overwritten; and a journal or a WAL that is left there would be taken for the copy's own.
fn refuse_existing(path: &Path) -> Result<(), Error> {
    for suffix in ["", "-wal", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        if std::fs::symlink_metadata(&name).is_ok() {
            return Err(exists(Path::new(&name)));
        }
    }
    Ok(())
}

fn exists(path: &Path) -> Error {
    let path = path.display();
    Error::Invalid {
        what: format!("{path} exists already; give the copy another name, or remove that file first"),
    }
}

enum Copy {
    Read(Error),
    Write(io::Error),
}

fn copy(view: &mut View, mut file: &File) -> Result<(), Copy> {
    let mut piece = vec![0; PIECE];
    let mut patience = dbrewind_core::Patience::new();
    let mut steps = Steps::of(view.size());
    let mut at = 0;
    while at < view.size() {
        let len = usize::try_from(view.size() - at).unwrap_or(PIECE).min(PIECE);
        let Some(piece) = piece.get_mut(..len) else { break };
        view.read(piece, at).map_err(Copy::Read)?;
        file.write_all(piece).map_err(Copy::Write)?;
        at += len as u64;
        steps.add(len as u64);
        if patience.is_over() {
            return Err(Copy::Read(Error::Interrupted));
        }
        fault::place("clone: one piece");
    }
    Ok(())
}

/// The copy before it has its name.
struct Draft {
    file: File,
    /// Its temporary name, where a file must have one; removed when it is dropped.
    path: Option<PathBuf>,
}

impl Draft {
    /// A file beside the target: without a name, so that a kill leaves nothing.
    fn new(target: &Path, mode: u32) -> Result<Self, Error> {
        let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(Error::Invalid { what: format!("{} names no file", target.display()) });
        };
        match create_unnamed(folder, mode) {
            Ok(file) => Ok(Self { file, path: None }),
            Err(_) if !folder.is_dir() => Err(Error::FolderMissing { path: folder.to_owned() }),
            Err(_) => Self::named(folder, name, mode),
        }
    }

    /// For file systems that have no files without a name.
    fn named(folder: &Path, target: &OsStr, mode: u32) -> Result<Self, Error> {
        let mut name = OsString::from(".");
        name.push(target);
        name.push(format!(".{}-{:08x}.tmp", std::process::id(), crate::rollback::random() >> 32));
        let path = folder.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let file = file.map_err(failed("create a file in", folder))?;
        Ok(Self { file, path: Some(path) })
    }

    /// Gives it its name, if that is still free.
    fn publish(&self, path: &Path) -> Result<(), Error> {
        let named = match &self.path {
            None => link_to_new(&self.file, path),
            Some(draft) => rename_to_new(draft, path),
        };
        named.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => exists(path),
            _ => failed("name", path)(source),
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone, if it has its name.
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both kinds of draft of one target, as far as the file system has them.
    fn drafts(target: &Path) -> Vec<Draft> {
        let (folder, name) = (target.parent().unwrap(), target.file_name().unwrap());
        let unnamed = create_unnamed(folder, 0o600).ok().map(|file| Draft { file, path: None });
        unnamed.into_iter().chain([Draft::named(folder, name, 0o600).unwrap()]).collect()
    }

    #[test]
    fn a_draft_gets_its_name_once_it_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("copy.db");
        for draft in drafts(&target) {
            (&draft.file).write_all(b"all").unwrap();
            assert!(!target.exists());
            draft.publish(&target).unwrap();
            drop(draft);
            assert_eq!(std::fs::read(&target).unwrap(), b"all");
            std::fs::remove_file(&target).unwrap();
        }
    }

    #[test]
    fn a_draft_takes_nobodys_name_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("copy.db");
        std::fs::write(&target, "theirs").unwrap();
        for draft in drafts(&target) {
            assert!(matches!(draft.publish(&target), Err(Error::Invalid { .. })));
        }
        assert_eq!(std::fs::read(&target).unwrap(), b"theirs");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
