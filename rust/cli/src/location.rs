//! Which file is meant by what a user calls a database: its path, a URL as SQLAlchemy writes it, a URI as SQLite does
//! (`rust/docs/cli.md`, "Which database").

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use dbrewind_sqlite::{Code, refuse_without_file};

use crate::failure::Failure;

const HOW: &str = "sqlite:///app.db is a file of the present folder, sqlite:////srv/app.db and file:/srv/app.db one by its whole path";

/// A database, as far as its name tells.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Location {
    /// Its file, which need not be there.
    pub(crate) path: PathBuf,
    /// The VFS that connections opened by this name ask for.
    pub(crate) vfs: Option<String>,
}

impl Location {
    /// Reads a path, `sqlite:///...`, `sqlite+DRIVER:///...` or `file:...`. What names no file is refused: a database in memory, one of
    /// another engine, a host. No error shows a URL: there may be a password in it.
    pub(crate) fn of(given: &OsStr) -> Result<Self, Failure> {
        let Some(text) = given.to_str() else { return at(PathBuf::from(given), None) };
        if let Some(uri) = text.strip_prefix("file:") {
            return of_uri(uri);
        }
        match text.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => of_url(scheme, rest),
            _ => at(PathBuf::from(given), None),
        }
    }
}

fn at(path: PathBuf, vfs: Option<String>) -> Result<Location, Failure> {
    refuse_without_file(&path)?;
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(Failure::own(
            Code::InvalidArgument,
            "the name of a file cannot have a zero byte (%00) in it",
        ));
    }
    Ok(Location { path, vfs })
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c))
}

/// As SQLAlchemy does: what follows the third slash is the path, relative or not.
fn of_url(scheme: &str, rest: &str) -> Result<Location, Failure> {
    let kind = scheme.split('+').next().unwrap_or(scheme).to_ascii_lowercase();
    if kind == "sqlite3" {
        let text = format!("{scheme}:// is not how a SQLite file is named here");
        return Err(Failure::own(Code::InvalidArgument, text).with_fix(HOW));
    }
    if kind != "sqlite" {
        let text =
            format!("{scheme}:// begins the URL of another database: only SQLite's are recorded from here");
        return Err(Failure::own(Code::Unsupported, text)
            .with_fix("name a SQLite file by its path or its URL, such as sqlite:///app.db"));
    }
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let Some(path) = place.strip_prefix('/') else {
        if place.is_empty() {
            return Err(in_memory());
        }
        let text = format!(
            "the URL has something between {scheme}:// and the next slash, where no file can be named"
        );
        return Err(Failure::own(Code::InvalidArgument, text).with_fix(HOW));
    };
    if path.is_empty() {
        return Err(in_memory());
    }
    let is_uri = parameter(query, "uri").is_some_and(|value| {
        ["true", "1", "yes", "on", "t", "y"].contains(&value.trim().to_ascii_lowercase().as_str())
    });
    match path.strip_prefix("file:") {
        // The driver hands it to SQLite with what it does not know itself.
        Some(uri) if is_uri => of_uri(&format!("{uri}?{query}")),
        _ => at(decoded(path), None),
    }
}

/// As SQLite does: what follows `file:`.
fn of_uri(uri: &str) -> Result<Location, Failure> {
    let uri = uri.split_once('#').map_or(uri, |(before, _)| before);
    let (place, query) = uri.split_once('?').unwrap_or((uri, ""));
    let path = match place.strip_prefix("//") {
        None => place,
        Some(after) => {
            let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
            if !["", "localhost"].contains(&authority) {
                let text = "SQLite takes no URI with a host: nothing, or localhost, stands between file:// and the next slash";
                return Err(Failure::own(Code::InvalidArgument, text).with_fix(HOW));
            }
            path
        }
    };
    let vfs = parameter(query, "vfs");
    // Without a path SQLite makes a file that it deletes again.
    if path.is_empty()
        || vfs.as_deref() == Some("memdb")
        || parameter(query, "mode").as_deref() == Some("memory")
    {
        return Err(in_memory());
    }
    at(decoded(path), vfs)
}

fn in_memory() -> Failure {
    let text = "this names a database in memory, or a temporary one, which has no file to record";
    Failure::own(Code::Unsupported, text)
        .with_fix("use a file, on a tmpfs such as /dev/shm if it must be fast: sqlite:////dev/shm/app.db")
}

/// The first one of this name.
fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split(['&', '?']).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut values = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
    values.next().map(|value| decoded(value).to_string_lossy().into_owned())
}

/// A `%` that no two digits follow stands for itself, as in SQLite.
fn decoded(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => byte(*high, *low),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn of(text: &str) -> Result<(String, Option<String>), (Code, String)> {
        let found = Location::of(OsStr::new(text));
        let said = |failure: Failure| (failure.code(), failure.text().to_owned());
        found.map(|found| (found.path.to_str().unwrap().to_owned(), found.vfs)).map_err(said)
    }

    #[test]
    fn a_file_is_named_in_many_ways() {
        for (name, path) in [
            ("app.db", "app.db"),
            ("/srv/a b.db", "/srv/a b.db"),
            ("./file:app.db", "./file:app.db"),
            ("./sqlite:///app.db", "./sqlite:///app.db"),
            ("100%.db", "100%.db"),
            ("sqlite:///app.db", "app.db"),
            ("sqlite:////srv/app.db", "/srv/app.db"),
            ("sqlite+pysqlite:///app.db", "app.db"),
            ("sqlite+aiosqlite:////srv/app.db?timeout=5", "/srv/app.db"),
            ("sqlite:///a%20b%2Fc.db", "a b/c.db"),
            ("sqlite:///100%.db", "100%.db"),
            ("sqlite:///file:app.db", "file:app.db"),
            ("sqlite:///file:/srv/app.db?mode=ro&uri=true", "/srv/app.db"),
            ("sqlite:///file:app.db?mode=ro&uri=True", "app.db"),
            ("file:app.db", "app.db"),
            ("file:data/app.db?cache=shared#part", "data/app.db"),
            ("file:/srv/app.db", "/srv/app.db"),
            ("file:///srv/app.db", "/srv/app.db"),
            ("file://localhost/srv/a%3fb.db", "/srv/a?b.db"),
        ] {
            assert_eq!(of(name), Ok((path.to_owned(), None)), "{name}");
        }
        let no_text = OsStr::from_bytes(b"caf\xe9.db");
        assert_eq!(Location::of(no_text).unwrap().path, PathBuf::from(no_text));
        assert_eq!(Location::of(OsStr::new("file:caf%e9.db")).unwrap().path, PathBuf::from(no_text));
    }

    #[test]
    fn the_vfs_that_is_asked_for() {
        let vfs = |name| of(name).unwrap().1;
        assert_eq!(vfs("file:app.db?mode=rw&vfs=dbrewind").as_deref(), Some("dbrewind"));
        assert_eq!(vfs("sqlite:///file:app.db?vfs=unix%2Dexcl&uri=true").as_deref(), Some("unix-excl"));
        // Without `uri` no driver hands it on.
        assert_eq!(vfs("sqlite:///app.db?vfs=unix-excl"), None);
    }

    #[test]
    fn what_names_no_file_is_refused_without_being_shown() {
        for (name, code) in [
            ("", Code::InvalidArgument),
            (":memory:", Code::Unsupported),
            ("sqlite://", Code::Unsupported),
            ("sqlite:///", Code::Unsupported),
            ("sqlite:///?uri=true", Code::Unsupported),
            ("sqlite:///:memory:", Code::Unsupported),
            ("sqlite+aiosqlite://", Code::Unsupported),
            ("sqlite:///file:shop?mode=memory&uri=true", Code::Unsupported),
            ("file:", Code::Unsupported),
            ("file::memory:?cache=shared", Code::Unsupported),
            ("file:shop?mode=memory", Code::Unsupported),
            ("file:/shop?vfs=memdb", Code::Unsupported),
            ("postgresql+psycopg://ann:hunter2@db/shop", Code::Unsupported),
            ("mysql://ann:hunter2@db/shop", Code::Unsupported),
            ("ibm_db_sa://ann:hunter2@db/shop", Code::Unsupported),
            ("db2+ibm_db://ann:hunter2@db/shop", Code::Unsupported),
            ("sqlite3:///app.db", Code::InvalidArgument),
            ("sqlite+pysqlcipher://:hunter2@/shop.db", Code::InvalidArgument),
            ("sqlite://app.db", Code::InvalidArgument),
            ("file://hunter2/srv/app.db", Code::InvalidArgument),
            ("file:a%00b", Code::InvalidArgument),
        ] {
            let (found, text) = of(name).expect_err(name);
            assert_eq!(found, code, "{name}: {text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
