//! A new database file that holds exactly what was there at a moment.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dbrewind_core::Lsn;

use super::{Origin, View};
use crate::error::Error;
use crate::fault;
use crate::ffi::rename_to_new;

/// Bytes that are copied between two looks at whether the caller was interrupted.
const PIECE: usize = 1 << 20;

/// Copies the state at a moment into a new file at `path`. It gets its name when it is complete and on disk.
pub(crate) fn clone_to(origin: &Arc<Origin>, lsn: Lsn, path: &Path) -> Result<(), Error> {
    let path = std::path::absolute(path).map_err(failed("find the folder of", path))?;
    refuse_existing(&path)?;
    let mut view = View::open(origin, lsn)?;
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    // Not open to more users than the database is.
    let mode = std::fs::metadata(&origin.path).map_or(0o600, |found| found.permissions().mode() & 0o666);
    let draft = Draft::new(&path, mode)?;
    copy(&mut view, &draft.file).map_err(|error| match error {
        Copy::Read(error) => error,
        Copy::Write(source) => failed("write", &draft.path)(source),
    })?;
    fault::place("clone: written");
    draft.file.sync_all().map_err(failed("sync", &draft.path))?;
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
    let mut at = 0;
    while at < view.size() {
        let len = usize::try_from(view.size() - at).unwrap_or(PIECE).min(PIECE);
        let Some(piece) = piece.get_mut(..len) else { break };
        view.read(piece, at).map_err(Copy::Read)?;
        file.write_all(piece).map_err(Copy::Write)?;
        at += len as u64;
        if patience.is_over() {
            return Err(Copy::Read(Error::Interrupted));
        }
        fault::place("clone: one piece");
    }
    Ok(())
}

/// The file under its temporary name; removed when it is dropped.
struct Draft {
    path: PathBuf,
    file: File,
}

impl Draft {
    fn new(target: &Path, mode: u32) -> Result<Self, Error> {
        let Some(name) = target.file_name() else {
            return Err(Error::Invalid { what: format!("{} names no file", target.display()) });
        };
        let mut draft = OsString::from(".");
        draft.push(name);
        draft.push(format!(".{}-{:08x}.tmp", std::process::id(), crate::rollback::random() >> 32));
        let path = target.with_file_name(draft);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let file = file.map_err(failed("create", &path))?;
        Ok(Self { path, file })
    }

    /// Gives it its name, if that is still free.
    fn publish(&self, path: &Path) -> Result<(), Error> {
        rename_to_new(&self.path, path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => exists(path),
            _ => failed("name", path)(source),
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone, if it has its name.
        let _ = std::fs::remove_file(&self.path);
    }
}
