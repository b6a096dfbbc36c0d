//! The peer's side: does what it is asked, in a thread or as a process.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Rows, Statement};

use crate::image::main_image;
use crate::protocol::{Answer, Request};

/// Answers requests until there are no more.
///
/// `next` gives the next request, `answer` takes its answer.
pub fn serve(next: &mut dyn FnMut() -> Option<Request>, answer: &mut dyn FnMut(Answer)) {
    let mut state = Peer::default();
    while let Some(request) = next() {
        let reply = match request {
            Request::Cursor { sql } => {
                let Some(connection) = &state.connection else {
                    answer(closed());
                    continue;
                };
                match with_cursor(connection, &sql, next, answer) {
                    Some(reply) => reply,
                    None => return,
                }
            }
            other => state.handle(other),
        };
        answer(reply);
    }
}

#[derive(Default)]
struct Peer {
    connection: Option<Connection>,
    recording: crate::recording::Slot,
}

impl Peer {
    fn handle(&mut self, request: Request) -> Answer {
        match request {
            Request::Open { path, vfs, busy, keep_wal } => {
                self.connection = None;
                match open(Path::new(&path), vfs.as_deref(), busy, keep_wal) {
                    Ok(connection) => {
                        self.connection = Some(connection);
                        Answer::Done
                    }
                    Err(error) => failed(&error),
                }
            }
            Request::Close => {
                self.connection = None;
                Answer::Done
            }
            Request::Sql { sql } => self.with(|connection| run(connection, &sql)),
            Request::Image { dump } => self.with(|connection| {
                let image = main_image(connection)?;
                if let Some(path) = dump {
                    image.dump(Path::new(&path));
                }
                Ok(image.answer())
            }),
            Request::EndCursor => fault("no cursor is open"),
            other => self.recording.handle(other),
        }
    }

    fn with(&mut self, act: impl FnOnce(&mut Connection) -> rusqlite::Result<Answer>) -> Answer {
        match &mut self.connection {
            Some(connection) => act(connection).unwrap_or_else(|error| failed(&error)),
            None => closed(),
        }
    }
}

/// Keeps a half-read cursor open until `EndCursor`; other statements of the connection run meanwhile.
/// `None` when there are no more requests.
fn with_cursor(
    connection: &Connection,
    sql: &str,
    next: &mut dyn FnMut() -> Option<Request>,
    answer: &mut dyn FnMut(Answer),
) -> Option<Answer> {
    let opened = (|| {
        connection.execute_batch("BEGIN")?;
        let mut statement = connection.prepare(sql)?;
        let all = rest(&mut statement.query([])?)?;
        Ok::<_, rusqlite::Error>((statement, all))
    })();
    let (mut statement, expected) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let _rolled_back = connection.execute_batch("ROLLBACK");
            return Some(failed(&error));
        }
    };
    let reply = half_read(connection, &mut statement, &expected, next, answer);
    drop(statement);
    if reply.is_some() {
        let _ended = connection.execute_batch("COMMIT");
    }
    reply
}

fn half_read(
    connection: &Connection,
    statement: &mut Statement<'_>,
    expected: &[Vec<String>],
    next: &mut dyn FnMut() -> Option<Request>,
    answer: &mut dyn FnMut(Answer),
) -> Option<Answer> {
    let columns = statement.column_count();
    let mut rows = match statement.query([]) {
        Ok(rows) => rows,
        Err(error) => return Some(failed(&error)),
    };
    let mut seen = Vec::new();
    match rows.next() {
        Ok(Some(row)) => seen.push((0..columns).map(|at| text(row.get_ref_unwrap(at))).collect()),
        Ok(None) => {}
        Err(error) => return Some(failed(&error)),
    }
    answer(Answer::Done);
    loop {
        match next()? {
            Request::EndCursor => {
                return Some(match rest(&mut rows) {
                    Ok(more) => {
                        seen.extend(more);
                        if seen == expected {
                            Answer::Done
                        } else {
                            let text = format!("{} rows, then {}", expected.len(), seen.len());
                            Answer::Failed { code: "stale".into(), text }
                        }
                    }
                    Err(error) => failed(&error),
                });
            }
            Request::Sql { sql } => {
                answer(run(connection, &sql).unwrap_or_else(|error| failed(&error)));
            }
            other => answer(fault(&format!("not while a cursor is open: {other:?}"))),
        }
    }
}

fn open(path: &Path, vfs: Option<&str>, busy: u32, keep_wal: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let connection = match vfs {
        Some(name) => Connection::open_with_flags_and_vfs(path, flags, name)?,
        None => Connection::open_with_flags(path, flags)?,
    };
    connection.busy_timeout(Duration::from_millis(busy.into()))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep_wal)?;
    Ok(connection)
}

/// Runs statements one by one; the rows of the last one.
fn run(connection: &Connection, sql: &str) -> rusqlite::Result<Answer> {
    let mut batch = rusqlite::Batch::new(connection, sql);
    let mut rows = Vec::new();
    while let Some(mut statement) = batch.next()? {
        rows = rest(&mut statement.query([])?)?;
    }
    Ok(Answer::Rows { rows })
}

fn rest(rows: &mut Rows<'_>) -> rusqlite::Result<Vec<Vec<String>>> {
    let columns = rows.as_ref().map_or(0, Statement::column_count);
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push((0..columns).map(|at| text(row.get_ref_unwrap(at))).collect());
    }
    Ok(all)
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Blob(bytes) if bytes.len() <= 16 => format!("{bytes:02x?}"),
        ValueRef::Blob(bytes) => {
            format!("blob of {} {:016x}", bytes.len(), xxhash_rust::xxh3::xxh3_64(bytes))
        }
    }
}

fn failed(error: &rusqlite::Error) -> Answer {
    let code = match error {
        rusqlite::Error::SqliteFailure(inner, _) => inner.extended_code.to_string(),
        rusqlite::Error::SqlInputError { error, .. } => error.extended_code.to_string(),
        _ => "peer".to_owned(),
    };
    Answer::Failed { code, text: error.to_string() }
}

fn closed() -> Answer {
    fault("no connection is open")
}

/// The peer itself cannot do this.
pub(crate) fn fault(text: &str) -> Answer {
    Answer::Failed { code: "peer".into(), text: text.to_owned() }
}
