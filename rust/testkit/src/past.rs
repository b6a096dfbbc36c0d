//! A peer's past moments: each is read in every way there is, and again later.

use std::path::Path;

use dbrewind_sqlite::{At, Database, Error};
use rusqlite::{Connection, OpenFlags};

use crate::image::{Image, main_image};
use crate::protocol::{Answer, Goal};
use crate::recording::target;

/// More connections to the past than this are not kept.
const KEPT: usize = 4;

/// Connections to past moments, with what they read first.
#[derive(Default)]
pub(crate) struct Views(Vec<(Connection, At, Image)>);

impl Views {
    /// Reads one through a new connection, leaves its pages at `dump`, and compares a copy, the digest, and all that was
    /// read before.
    pub(crate) fn read(&mut self, database: &Database, to: &Goal, dump: &Path) -> Result<Answer, Error> {
        let at = database.at(&target(to))?;
        let connection = open(at.uri());
        let read = connection.and_then(|mut connection| Ok((main_image(&mut connection)?, connection)));
        let (image, connection) = match read {
            Ok(both) => both,
            Err(error) => return Ok(stale(format!("a connection to {to:?}: {error}"))),
        };
        image.dump(dump);
        let copy = dump.with_extension("copy");
        let _gone = std::fs::remove_file(&copy);
        database.clone_to(&target(to), &copy)?;
        let found = Image::load(&copy, image.page_size);
        if let Some(text) = image.difference(&found) {
            return Ok(stale(format!("the copy of {to:?}: {text}")));
        }
        at.digest()?;
        self.0.push((connection, at, image.clone()));
        if let Some(text) = self.compare() {
            return Ok(stale(format!("an older view: {text}")));
        }
        if self.0.len() > KEPT {
            self.0.remove(0);
        }
        Ok(image.answer())
    }

    /// Reads all again: each is as it was, or refused since its history has ended. What differs.
    fn compare(&mut self) -> Option<String> {
        let mut found = None;
        self.0.retain_mut(|(connection, at, before)| {
            let differs = match main_image(connection) {
                Ok(now) => before.difference(&now),
                Err(error) => Some(error.to_string()),
            };
            // SQLite puts zeros into an image for what it could not read.
            let refused = at.failure().is_some_and(|why| why.contains("can no longer be told"));
            if !refused {
                found = found.take().or(differs);
            }
            !refused
        });
        found
    }
}

/// With as small a cache as there can be: what is read again comes from the file.
fn open(uri: &str) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags)?;
    connection.execute_batch("pragma cache_size = 1")?;
    Ok(connection)
}

fn stale(text: String) -> Answer {
    Answer::Failed { code: "stale".to_owned(), text }
}
